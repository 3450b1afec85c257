"""What the network is trained on: rendered views of objects, and what is drawn of them.

Enters: a folder of ``objects-*.npz`` (tools/make_dataset.py), or nothing: objects can be made for as long as
training goes on. Leaves: pictures, and :class:`Moves`, input views with the views they should become.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from objects import endless_batches

from viewfusion.zero123.model import Zero123


@dataclass(frozen=True)
class Views:
    """Rendered views of M objects, V each.

    Args:
        images: (M, V, H, W, 3) uint8 over white.
        poses: (M, V, 3) azimuth, elevation, radius.
    """

    images: torch.Tensor
    poses: torch.Tensor

    @classmethod
    def load(cls, *folders: Path) -> Views:
        """Every shard in ``folders``; broken ones, and ones of another shape, are named and left out.

        Raises:
            SystemExit: no shard is whole.
        """
        whole: list[dict[str, np.ndarray]] = []
        paths = [path for folder in folders for path in sorted(folder.glob("objects-?????.npz"))]
        for path in paths:
            try:
                shard = read_shard(path)
                if whole and shard["images"].shape[1:] != whole[0]["images"].shape[1:]:
                    raise ValueError(f"its views are {shard['images'].shape[1:]}")
                whole.append(shard)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                print(f"left out: {path}: {error}", flush=True)
        if not whole:
            where = " ".join(map(str, folders))
            raise SystemExit(f"no whole objects-*.npz in {where}; make them with tools/make_dataset.py")
        if len(whole) < len(paths):
            print(f"{len(paths) - len(whole)} of {len(paths)} shards left out", flush=True)
        return cls(
            *(torch.from_numpy(np.concatenate([s[name] for s in whole])) for name in ("images", "poses"))
        )


def read_shard(path: Path) -> dict[str, np.ndarray]:
    """The two arrays of one shard, checked."""
    with np.load(path) as shard:
        images, poses = shard["images"], shard["poses"]
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images (M, V, H, H, 3) uint8 expected, got {images.shape} {images.dtype}")
    if poses.shape != (*images.shape[:2], 3) or not np.isfinite(poses).all():
        raise ValueError(f"finite poses {(*images.shape[:2], 3)} expected, got {poses.shape}")
    return {"images": images, "poses": poses.astype(np.float32)}


def to_float(images: torch.Tensor) -> torch.Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) float in [-1, 1]."""
    return images.movedim(-1, -3).float() / 127.5 - 1


@dataclass(frozen=True)
class Moves:
    """B input views, and T views each that they should become.

    Args:
        images: (B, 3, H, W) the inputs, in [-1, 1].
        cond_latents: (B, 4, h, w) theirs, unscaled.
        latents: (B, T, 4, h, w) the targets', unscaled.
        pose_embeddings: (B, T, 4) Zero123's.
    """

    images: torch.Tensor
    cond_latents: torch.Tensor
    latents: torch.Tensor
    pose_embeddings: torch.Tensor

    def to(self, device: torch.device | str) -> Moves:
        parts = (self.images, self.cond_latents, self.latents, self.pose_embeddings)
        return Moves(*(part.to(device) for part in parts))


class MoveSource(Protocol):
    """What there is to train on."""

    def pictures(self, count: int) -> torch.Tensor:
        """(count, 3, H, W) views in [-1, 1]."""

    def draw(self, inputs: int, targets: int) -> Moves:
        """``inputs`` input views with ``targets`` target views each."""


class StoredMoves:
    """Moves between the stored views of an object, and between their mirror images.

    Args:
        views: see :class:`Views`.
        latents: (2, M, V, 4, h, w) unscaled latents of the views and of their mirror images; what the first
            stage, which asks for pictures only, does without.
    """

    def __init__(self, views: Views, latents: torch.Tensor | None = None) -> None:
        self.views, self.latents = views, latents

    def pictures(self, count: int) -> torch.Tensor:
        """(count, 3, H, W) in [-1, 1]."""
        flat = self.views.images.flatten(0, 1)
        return to_float(flat[torch.randint(len(flat), (count,))])

    def draw(self, inputs: int, targets: int) -> Moves:
        """``inputs`` objects with ``targets`` views each, none of which is the input view."""
        objects, views = self.views.images.shape[:2]
        rows, mirrored = torch.randint(objects, (inputs,)), torch.rand(inputs) < 0.5
        order = torch.rand(inputs, views).argsort(1)
        return self.of(rows, mirrored, order[:, 0], order[:, 1 : 1 + targets])

    def of(
        self, rows: torch.Tensor, mirrored: torch.Tensor, source: torch.Tensor, targets: torch.Tensor
    ) -> Moves:
        """The moves of objects (B,), mirrored or not (B,), from views (B,) to views (B, T)."""
        images = to_float(self.views.images[rows, source])
        images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        poses = self.views.poses
        moves = pose_embeddings(poses[rows, source][:, None], poses[rows[:, None], targets])
        moves[..., 1] = torch.where(
            mirrored[:, None], -moves[..., 1], moves[..., 1]
        )  # it turns the other way
        assert self.latents is not None, "moves want latents"
        side = mirrored.long()
        cond, latents = self.latents[side, rows, source], self.latents[side[:, None], rows[:, None], targets]
        return Moves(images, cond.float(), latents.float(), moves)


class EndlessMoves:
    """Moves of objects made when they are asked for, on the device of ``model``; no object comes twice.

    Args:
        model: its autoencoder gives the latents.
        workers: processes that draw objects.
    """

    def __init__(self, model: Zero123, workers: int) -> None:
        self.model, self.workers = model, workers
        self.batches: dict[tuple[int, int], Iterator] = {}

    def draw(self, inputs: int, targets: int) -> Moves:
        """As of :class:`MoveSource`."""
        images, poses = self.rendered(inputs, targets + 1)
        pictures = to_float(images)
        # A trainer's autocast would round what the network is to be exact about.
        with torch.no_grad(), torch.autocast(pictures.device.type, enabled=False):
            latents = self.model.encode_cond_latents(pictures.flatten(0, 1)).unflatten(0, (inputs, -1))
        moves = pose_embeddings(poses[:, :1], poses[:, 1:])
        return Moves(pictures[:, 0], latents[:, 0], latents[:, 1:], moves)

    def pictures(self, count: int) -> torch.Tensor:
        """(count, 3, H, W) in [-1, 1], one of each object."""
        return to_float(self.rendered(count, 1)[0][:, 0])

    def rendered(self, objects: int, views: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (B, V, H, W, 3) uint8 and poses (B, V, 3) of new objects."""
        if (objects, views) not in self.batches:
            device, size = self.model.device, self.model.image_size
            # Different in every process and after every resumption, see TimedModule.on_train_start.
            seed = torch.initial_seed()
            batches = endless_batches(seed, objects, views, size, device, self.workers)
            self.batches[objects, views] = batches
        images, poses, _ = next(self.batches[objects, views])
        return images, poses


def pose_embeddings(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(..., 4) Zero123 pose embeddings of moves between poses (..., 3) azimuth, elevation, radius."""
    azimuth, elevation, radius = (target - source).float().unbind(-1)
    return torch.stack([-elevation, azimuth.sin(), azimuth.cos(), radius], -1)


@torch.no_grad()
def encode_all(model: Zero123, images: torch.Tensor) -> torch.Tensor:
    """(2, M, V, 4, h, w) float16 unscaled latents of (M, V, H, W, 3) images and of their mirror images."""
    flat = images.flatten(0, 1)
    result = torch.empty(2, len(flat), *model.latent_shape, dtype=torch.float16)
    for start in range(0, len(flat), 64):
        batch = to_float(flat[start : start + 64]).to(model.device)
        for side in (0, 1):
            latents = model.encode_cond_latents(batch.flip(-1) if side else batch)
            result[side, start : start + 64] = latents.half().cpu()
    return result.unflatten(1, images.shape[:2])
