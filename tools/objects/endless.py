"""New objects for as long as training goes on, rendered on the device that trains.

Workers on the CPU draw objects and poses; what travels is a few hundred numbers an object. The pictures
are made where they are used.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from viewfusion.geometry import camera_to_world

from .generator import SPLITS, random_object
from .poses import random_poses
from .renderer import over_white, render_scene
from .scene import Scene, pack


class Scenes(IterableDataset):
    """Endless (Scene, poses (B, V, 3), cameras (B, V, 4, 4), seeds (B,)), all of the training split."""

    def __init__(self, seed: int, objects: int, views: int, photos: int = 0) -> None:
        self.seed, self.objects, self.views, self.photos = seed, objects, views, photos

    def __iter__(self) -> Iterator[tuple[Scene, torch.Tensor, torch.Tensor, torch.Tensor]]:
        info = get_worker_info()
        rng = np.random.default_rng((self.seed, info.id if info else 0))
        while True:
            seeds = rng.integers(SPLITS["validation"], size=self.objects)
            scene = pack([random_object(int(seed), photos=self.photos) for seed in seeds])
            poses = [random_poses(rng, self.views) for _ in seeds]
            numbers = [[(p.azimuth, p.elevation, p.radius) for p in row] for row in poses]
            cameras = np.stack([[camera_to_world(pose) for pose in row] for row in poses])
            yield scene, torch.tensor(numbers), torch.from_numpy(cameras).float(), torch.from_numpy(seeds)


def endless_batches(
    seed: int,
    objects: int,
    views: int,
    size: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
    photos: torch.Tensor | None = None,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Images (B, V, size, size, 3) uint8 on white, poses (B, V, 3) azimuth, elevation, radius, seeds (B,).

    Args:
        workers: processes that draw objects; 0 draws them here. One draws a few hundred a second.
        photos: for materials that show photographs, see ``load_photos``; without, none does.
    """
    scenes = Scenes(seed, objects, views, 0 if photos is None else len(photos))
    photos = None if photos is None else photos.to(device)
    owners = torch.arange(objects, device=device).repeat_interleave(views)
    for scene, poses, cameras, seeds in DataLoader(scenes, batch_size=None, num_workers=workers):
        cameras = cameras.to(device, non_blocking=True).flatten(0, 1)
        rgba = render_scene(scene.to(device), owners, cameras, size, photos=photos)
        yield over_white(rgba).unflatten(0, (objects, views)), poses.to(device), seeds
