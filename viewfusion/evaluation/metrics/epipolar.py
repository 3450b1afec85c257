"""Epipolar consistency: a turn and its cameras go in, how well points found again agree with them comes out.

Two cameras that are known leave a point of one picture a line in the other. Generated views that show one
object have their matches on these lines; a match beside its line is a part that moved or changed. What slides
along its line is not seen, and between views of a level turn the lines run nearly level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, camera_to_world, intrinsics, opengl_to_colmap

from .matches import described, matched
from .pictures import check_pair

THRESHOLD = 2.0
"""Pixels of a picture of 256: matches closer to their lines agree with the cameras."""


def epipolar_consistency(
    images: torch.Tensor,
    poses: Sequence[Pose],
    fov: float = FOV,
    *,
    threshold: float = THRESHOLD,
    size: int = 256,
) -> tuple[torch.Tensor, torch.Tensor]:
    """(V,) shares in [0, 1] and (V,) median residuals in pixels, of the pairs (i, i + 1 mod V) of a turn.

    The matches are those of :func:`.matches.sift_matches` (OpenCV's SIFT, ratio 0.75). The residual of one is
    the mean of its two distances, ``(d(x', F x) + d(x, F' x')) / 2``, where d is from a point to the line
    that the other one leaves: the symmetric epipolar distance (Hartley & Zisserman, "Multiple View Geometry",
    2004, 11.4; there squared and summed) in pixels. The share is of the matches whose residual is below
    ``threshold``. A pair without any match has a share of 0, as nothing in it agrees, and a residual of NaN:
    read both beside the count of matches.

    Args:
        images: (V, 3, S, S) in [0, 1].
        poses: V of them, as the views were asked for.
        fov: horizontal and vertical field of view in radians.
        threshold: in pixels of the size looked at.
        size: of the pictures looked at; others are resized first.

    Raises:
        ViewFusionError: other shapes, fewer than two views, or neighbours at one place, which leave no lines.
    """
    check_pair(images, images)
    count, _, height, width = images.shape
    if height != width or count < 2 or count != len(poses):
        raise ViewFusionError(
            "epipolar consistency wants two square views or more, each with its pose, got "
            f"{count} of {width} x {height} and {len(poses)} poses"
        )
    matrix, found = intrinsics(size, fov), described(images, size)
    shares, medians = [], []
    for here in range(count):
        there = (here + 1) % count
        pairs = matched(found[here], found[there])
        fundamental = fundamental_matrix(poses[here], poses[there], matrix)
        residuals = epipolar_residuals(
            found[here].places[pairs[:, 0]], found[there].places[pairs[:, 1]], fundamental
        )
        shares.append(np.mean(residuals < threshold) if len(residuals) else 0.0)
        medians.append(np.median(residuals) if len(residuals) else np.nan)
    return torch.tensor(np.array(shares)).to(images), torch.tensor(np.array(medians)).to(images)


def fundamental_matrix(pose: Pose, other: Pose, matrix: np.ndarray) -> np.ndarray:
    """(3, 3) F with ``(x', 1) F (x, 1) = 0`` for whatever is seen at x from ``pose``, at x' from ``other``.

    Args:
        matrix: (3, 3) intrinsics of both, in pixels.

    Raises:
        ViewFusionError: both cameras are at one place.
    """
    here, there = (opengl_to_colmap(camera_to_world(each)) for each in (pose, other))
    moved = there @ np.linalg.inv(here)
    x, y, z = moved[:3, 3]
    if np.linalg.norm(moved[:3, 3]) < 1e-6 * max(pose.radius, other.radius):
        raise ViewFusionError(
            f"two neighbouring views have one camera place (azimuth {pose.azimuth_deg:g}, elevation "
            f"{pose.elevation_deg:g} degrees, radius {pose.radius:g}), which leaves no epipolar lines; "
            "give the poses of a turn"
        )
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    back = np.linalg.inv(matrix)
    return np.asarray(back.T @ across @ moved[:3, :3] @ back)


def epipolar_residuals(points: np.ndarray, others: np.ndarray, fundamental: np.ndarray) -> np.ndarray:
    """(M,) pixels: the mean of the distances of each point from the line that its partner leaves.

    Args:
        points: (M, 2) in the first picture.
        others: (M, 2) in the second.
        fundamental: (3, 3), of :func:`fundamental_matrix`.
    """
    first, second = (np.concatenate([each, np.ones((len(each), 1))], 1) for each in (points, others))
    lines, back = first @ fundamental.T, second @ fundamental
    off = np.abs((second * lines).sum(1))
    # At an epipole there is no line, and every point agrees.
    slopes = [np.maximum(np.hypot(each[:, 0], each[:, 1]), 1e-300) for each in (lines, back)]
    return np.asarray((off / slopes[0] + off / slopes[1]) / 2)
