"""Rays through pixels: cameras and pixel positions go in, half-lines with a near and a far end come out.

Lengths are scene units: the cameras lie at about 1.5 and the object in the cube ``|x| <= 0.6``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SPHERE_RADIUS = math.sqrt(3) / 2
"""Half the length of the part of a ray that is looked at, about its point nearest to the origin."""


@dataclass(frozen=True, eq=False)
class Rays:
    """R rays ``origins + t * directions`` for t from ``near`` to ``far``.

    Args:
        origins: (R, 3).
        directions: (R, 3), of length 1, so that t is a distance.
        near: (R, 1).
        far: (R, 1).
    """

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, rows: slice | Tensor) -> Rays:
        """Some of them, still R of each."""
        return Rays(self.origins[rows], self.directions[rows], self.near[rows], self.far[rows])

    def points(self, z_vals: Tensor) -> Tensor:
        """(R, S, 3) positions at the distances ``z_vals`` (R, S)."""
        return self.origins[:, None] + self.directions[:, None] * z_vals[..., None]

    def to(self, device: torch.device | str) -> Rays:
        return Rays(*(part.to(device) for part in (self.origins, self.directions, self.near, self.far)))


def rays_from(origins: Tensor, directions: Tensor, radius: float = SPHERE_RADIUS) -> Rays:
    """Rays with their ends ``radius`` before and behind their point nearest to the origin."""
    middle = -(origins * directions).sum(-1, keepdim=True)
    return Rays(origins, directions, middle - radius, middle + radius)


def pixel_rays(cameras: Tensor, intrinsics: Tensor, views: Tensor, x: Tensor, y: Tensor) -> Rays:
    """The rays that meet the pictures at given points, in float32; gradients flow to the cameras.

    Args:
        cameras: (V, 4, 4) OpenGL camera-to-world.
        intrinsics: (3, 3) in pixels; pixel (0, 0) covers [0, 1) x [0, 1), so its centre is (0.5, 0.5).
        views: (R,) which camera each ray belongs to.
        x: (R,) position to the right in pixels, whole or not.
        y: (R,) position downwards.
    """
    camera = cameras[views]
    right = (x.to(camera) - intrinsics[0, 2]) / intrinsics[0, 0]
    down = (y.to(camera) - intrinsics[1, 2]) / intrinsics[1, 1]
    seen = torch.stack([right, -down, -torch.ones_like(right)], -1).to(camera)
    directions = torch.nn.functional.normalize((camera[:, :3, :3] @ seen[..., None])[..., 0], dim=-1)
    return rays_from(camera[:, :3, 3].float(), directions.float())
