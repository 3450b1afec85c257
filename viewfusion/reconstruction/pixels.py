"""What views show where: a scene and places in its pictures go in, rays with their truth come out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .rays import Rays, pixel_rays
from .scene import Scene

CENTRE = 0.5
"""From a pixel's corner to the middle, where its colour was measured."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """R rays and what was seen along them.

    Args:
        rays: R of them.
        colours: (R, 3) in [0, 1], over white.
        masks: (R, 1) in [0, 1].
        weights: (R, 1) how far the view is trusted.
    """

    rays: Rays
    colours: Tensor
    masks: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.rays)

    def __getitem__(self, rows: slice | Tensor) -> Pixels:
        return Pixels(self.rays[rows], self.colours[rows], self.masks[rows], self.weights[rows])

    def to(self, device: torch.device | str) -> Pixels:
        seen = (part.to(device) for part in (self.colours, self.masks, self.weights))
        return Pixels(self.rays.to(device), *seen)


def pixels_at(scene: Scene, views: Tensor, x: Tensor, y: Tensor, centre: float = CENTRE) -> Pixels:
    """The pixels in columns ``x`` and rows ``y`` of ``views``, (R,) whole numbers each.

    Args:
        centre: where in a pixel its ray goes through, from its left upper corner.
    """
    return Pixels(
        pixel_rays(scene.cameras, scene.intrinsics, views, x + centre, y + centre),
        scene.images[views, :, y, x],
        scene.masks[views, y, x][:, None],
        scene.weights[views][:, None],
    )


def random_pixels(
    scene: Scene, count: int, foreground: int, generator: torch.Generator, centre: float = CENTRE
) -> Pixels:
    """``count`` pixels from anywhere in the views trained on, and ``foreground`` more from the object.

    Args:
        generator: of the CPU.
        centre: as in :func:`pixels_at`.
    """
    trained = torch.as_tensor(scene.trained)
    height, width = scene.masks.shape[1:]
    picked = torch.randint(len(trained) * height * width, (count,), generator=generator)
    if foreground:
        masks = scene.masks[trained].flatten()
        covered = (masks > masks.max() / 2).nonzero()[:, 0]
        rows = torch.randint(len(covered), (foreground,), generator=generator)
        picked = torch.cat([picked, covered[rows]])
    place = picked % (height * width)
    return pixels_at(scene, trained[picked // (height * width)], place % width, place // width, centre)
