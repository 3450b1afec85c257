"""Where the object can be at all: masks and their cameras go in, a signed distance on a lattice comes out.

The visual hull is what every mask allows. Each mask is turned into a signed distance in the picture, to a
fraction of a pixel as far as its soft edge tells; seen from the camera, a pixel at a depth is a length. The
largest of them over the views is a bound on the distance to the hull, and is zero exactly on it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from viewfusion.errors import ViewFusionError

from .rendering import HALF_SIDE

if TYPE_CHECKING:
    from .scene import Scene

_LOOK = 48  # points a side of the lattice that finds where the object lies
_POINTS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Lattice:
    """Points at ``lower + spacing * (i, j, k)``.

    Args:
        lower: (3,) the first, in scene units.
        spacing: between neighbours, the same along each axis.
        shape: how many along each axis.
    """

    lower: tuple[float, float, float]
    spacing: float
    shape: tuple[int, int, int]

    def points(self) -> np.ndarray:
        """(I*J*K, 3) float32 positions, the last axis fastest."""
        axes = [
            low + self.spacing * np.arange(n, dtype=np.float32)
            for low, n in zip(self.lower, self.shape, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)


def lattice_over(lower: np.ndarray, upper: np.ndarray, resolution: int) -> Lattice:
    """A lattice from ``lower`` to at least ``upper`` with ``resolution`` cells along the longest side."""
    # Rounded as a field keeps them, so that both have the same points.
    lower, upper = lower.astype(np.float32), upper.astype(np.float32)
    spacing = float(np.float32((upper - lower).max() / resolution))
    shape = tuple(math.ceil(side / spacing - 1e-3) + 1 for side in upper - lower)
    return Lattice(tuple(float(v) for v in lower), spacing, shape)  # type: ignore[arg-type]


def mask_distance(mask: np.ndarray) -> np.ndarray:
    """(H, W) signed distance in pixels to the edge of a soft ``mask`` (H, W) in [0, 1], negative inside.

    A pixel on the edge of which the share m is covered has its centre m - 0.5 pixels inside.
    """
    from scipy.ndimage import binary_dilation, distance_transform_edt

    inside = mask >= 0.5
    if inside.all() or not inside.any():
        return np.full(mask.shape, -math.inf if inside.all() else math.inf, dtype=np.float32)
    soft = (mask > 0.02) & (mask < 0.98)
    hard = inside & ~soft & binary_dilation(mask <= 0.02)  # beside the ground without a pixel between
    steps, (y, x) = distance_transform_edt(~(soft | hard), return_indices=True)
    beyond = np.where(soft, 0.5 - mask, -0.5)[y, x]
    return (np.where(inside, -steps, steps) + beyond).astype(np.float32)


def hull_distance(scene: Scene, points: np.ndarray, tolerance: float = 0.0) -> np.ndarray:
    """(P,) signed distance to the visual hull of the trained views, negative inside; see the module.

    Args:
        scene: its masks and cameras.
        points: (P, 3) in scene units, before every camera.
        tolerance: share of the views, by how far they are trusted, that may call a point background without
            its being so: views that do not agree would carve too much together. Where some were given, these
            are never overruled.
    """
    views = list(scene.trained)
    # Beyond its picture a mask goes on as at the border: what is cut off is not carved.
    distances = [
        np.nan_to_num(mask_distance(scene.masks[view].numpy()), posinf=1e4, neginf=-1e4) for view in views
    ]
    weights = scene.weights[views].double().numpy()
    result = np.empty(len(points), dtype=np.float32)
    for start in range(0, len(points), _POINTS_AT_ONCE):
        some = points[start : start + _POINTS_AT_ONCE]
        seen = np.stack(
            [
                _distance_in_view(distance, scene.cameras[view].numpy(), scene.intrinsics.numpy(), some)
                for view, distance in zip(views, distances, strict=True)
            ]
        )
        result[start : start + _POINTS_AT_ONCE] = (
            _agreed(seen, weights, tolerance) if tolerance else seen.max(0)
        )
    return result


def _agreed(seen: np.ndarray, weights: np.ndarray, tolerance: float) -> np.ndarray:
    """(P,) the largest of the distances (V, P) that is not outvoted, by the weights (V,) of the views."""
    falling = np.argsort(-seen, axis=0)
    said = np.cumsum(weights[falling], axis=0)
    first = np.argmax(said > min(tolerance * said[-1, 0] + 1e-6, said[-1, 0] - 1e-6), axis=0)
    agreed = np.take_along_axis(seen, np.take_along_axis(falling, first[None], 0), 0)[0]
    given = weights == weights.max()
    return agreed if given.all() else np.maximum(agreed, seen[given].max(axis=0))


def _distance_in_view(
    distance: np.ndarray, camera: np.ndarray, intrinsics: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """(P,) a picture's signed distance in pixels at the points, as a length at their depth."""
    from scipy.ndimage import map_coordinates

    local = (points - camera[:3, 3]) @ camera[:3, :3]
    depth = np.maximum(-local[:, 2], 1e-3)
    column = intrinsics[0, 0] * local[:, 0] / depth + intrinsics[0, 2] - 0.5
    row = -intrinsics[1, 1] * local[:, 1] / depth + intrinsics[1, 2] - 0.5
    pixels = map_coordinates(distance, [row, column], order=1, mode="nearest")
    return pixels * depth / intrinsics[0, 0]


def hull_bounds(scene: Scene, tolerance: float = 0.0, margin: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper corner, (3,) each, of the hull's box with a margin, inside the cube.

    Raises:
        ViewFusionError: the masks have no place in common.
    """
    corner = np.full(3, HALF_SIDE)
    lattice = lattice_over(-corner, corner, _LOOK)
    points = lattice.points()
    # What is thinner than a cell has no point of the lattice inside, yet one that is near.
    within = points[hull_distance(scene, points, tolerance) < 0.5 * lattice.spacing]
    if not len(within):
        raise ViewFusionError(
            "the masks of the views have no place in common, so nothing can be where all of them see it; "
            "check that poses and field of view are those of the pictures and that masks show the object"
        )
    lower = np.maximum(within.min(0) - margin, -HALF_SIDE)
    upper = np.minimum(within.max(0) + margin, HALF_SIDE)
    return lower.astype(np.float64), upper.astype(np.float64)
