"""Triangulation: points that several cameras see go in, how badly an elevation explains them comes out.

How the cameras moved from the input view is known, at which elevation the input's stood is not. A turn about
the vertical moves points of the picture along paths that depend on it, so that only with the right one the
rays of a point meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...geometry import Pose, camera_to_world, intrinsics, opengl_to_opencv

TOLERANCE = 0.004
"""Reprojection error, as a share of the frame, at which a point counts as half misfit: a pixel of 256."""

_FOCAL, _CENTRE = float(intrinsics(1)[0, 0]), intrinsics(1)[:2, 2]

Move = tuple[float, float]
"""Of a camera from the input's: change of azimuth and of elevation, radians."""


def cameras(moves: Sequence[Move], elevation: float, radius: float) -> np.ndarray:
    """(V, 4, 4) camera-to-world, OpenCV axes, if the input's camera stands at ``elevation`` (radians)."""
    poses = [Pose(turn, elevation + rise, radius) for turn, rise in moves]
    return np.stack([opengl_to_opencv(camera_to_world(pose)) for pose in poses])


def triangulated(points: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """(T, 3) world points nearest to the rays through ``points`` (T, V, 2), by least squares of distances.

    Args:
        points: in shares of the frame; NaN where a point is not seen.
        matrices: (V, 4, 4) from :func:`cameras`.
    """
    seen = np.isfinite(points[..., 0])
    plane = (np.nan_to_num(points) - _CENTRE) / _FOCAL
    rays = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rays = np.einsum("vij,tvj->tvi", matrices[:, :3, :3], rays)
    across = np.where(seen[..., None, None], np.eye(3) - rays[..., :, None] * rays[..., None, :], 0)
    wanted = np.einsum("tvij,vj->ti", across, matrices[:, :3, 3])
    # The little on the diagonal is for rays that are all parallel.
    return np.linalg.solve(across.sum(axis=1) + 1e-9 * np.eye(3), wanted[..., None])[..., 0]


def in_camera(world: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """(T, V, 3) world points (T, 3) as each camera has them: right, down, forwards."""
    return np.einsum("vji,tvj->tvi", matrices[:, :3, :3], world[:, None] - matrices[None, :, :3, 3])


def freedoms(points: np.ndarray) -> np.ndarray:
    """(T,) what a point can contradict: two numbers for each view that sees it, less its own three."""
    return 2 * np.isfinite(points[..., 0]).sum(axis=1) - 3


def misfits(points: np.ndarray, moves: Sequence[Move], elevation: float, radius: float) -> np.ndarray:
    """(T,) from 0, where the rays of a point meet, to 1: its mean squared error, bounded (Geman, McClure).

    Bounded, for some matches are always wrong, and a wrong one says nothing by how wrong it is.
    """
    matrices = cameras(moves, elevation, radius)
    seen = in_camera(triangulated(points, matrices), matrices)
    ahead = np.maximum(seen[..., 2:], 0.05)  # behind a camera is as wrong as anything
    off = seen[..., :2] / ahead * _FOCAL + _CENTRE - points
    return _bounded(off, freedoms(points))


def misfits_at_rest(points: np.ndarray) -> np.ndarray:
    """(T,) the same if nothing moved from view to view: what there is to beat.

    Views that are copies of the input fit a flat object that faces a camera at the horizon very well.
    """
    off = points - np.nanmean(points, axis=1, keepdims=True)
    return _bounded(off, freedoms(points) + 1)  # a place in the picture is two numbers


def _bounded(off: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    mean_square = np.nansum(off**2, axis=(1, 2)) / freedom
    return mean_square / (mean_square + TOLERANCE**2)
