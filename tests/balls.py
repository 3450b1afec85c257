"""A ball of two colours, exactly as cameras around it see it: what reconstruction is tried on.

Its radius is 0.5; it is RED where y is positive and BLUE elsewhere, or has the colours of a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction.scene import Scene

RADIUS = 0.5
RED, BLUE = np.array([0.8, 0.2, 0.1]), np.array([0.1, 0.3, 0.7])

Colours = Callable[[np.ndarray], np.ndarray]


def halves(points: np.ndarray) -> np.ndarray:
    """(P, 3) colours of ``points`` (P, 3)."""
    return np.where(points[:, 1:2] > 0, RED, BLUE)


def ball_scene(
    count: int = 12,
    size: int = 96,
    elevation_deg: float = 30.0,
    colours: Colours | Sequence[Colours] = halves,
    scale: float = 1.0,
    finer: int = 3,
) -> Scene:
    """``count`` views around it at distance 1.5; ``colours`` may differ from view to view."""
    poses = [Pose.from_degrees(360 * each / count, elevation_deg, 1.5) for each in range(count)]
    cameras, matrix = np.stack([camera_to_world(pose) for pose in poses]), intrinsics(size)
    painted = [colours] * count if callable(colours) else list(colours)
    pictures = [_seen(*each, matrix, size, finer) for each in zip(cameras, painted, strict=True)]
    return Scene(
        images=torch.tensor(np.array([image for image, _ in pictures]), dtype=torch.float32),
        masks=torch.tensor(np.array([mask for _, mask in pictures]), dtype=torch.float32),
        cameras=torch.from_numpy(cameras),
        intrinsics=torch.from_numpy(matrix),
        weights=torch.ones(count),
        held_out=(),
        scale=scale,
        input_index=0,
    )


def _seen(
    camera: np.ndarray, colours: Colours, matrix: np.ndarray, size: int, finer: int
) -> tuple[np.ndarray, np.ndarray]:
    """(3, size, size) picture over white and (size, size) mask, from rays that meet the ball or do not."""
    steps = (np.arange(size * finer) + 0.5) / finer
    x, y = np.meshgrid(steps, steps)
    rays = np.stack([x - matrix[0, 2], matrix[1, 2] - y, np.full_like(x, -matrix[0, 0])], axis=-1)
    rays = rays.reshape(-1, 3) @ camera[:3, :3].T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    along = rays @ camera[:3, 3]
    root = along**2 - (camera[:3, 3] @ camera[:3, 3] - RADIUS**2)
    met = root > 0
    points = camera[:3, 3] + (-along - np.sqrt(np.maximum(root, 0)))[:, None] * rays
    image = np.where(met[:, None], colours(points), 1.0)
    rgba = np.concatenate([image, met[:, None]], axis=1)
    rgba = rgba.reshape(size, finer, size, finer, 4).mean(axis=(1, 3)).transpose(2, 0, 1)
    return rgba[:3], rgba[3]


def angle_deg(points: np.ndarray, towards: Sequence[float]) -> np.ndarray:
    """(P,) angles between ``points`` and a direction, in degrees."""
    cosine = points @ np.asarray(towards, float) / np.linalg.norm(points, axis=1) / math.hypot(*towards)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))
