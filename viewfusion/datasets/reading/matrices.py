"""Matrices of cameras, out of untrusted files: numbers go in, a pose that says the same comes out.

A pose looks at the origin and is not rolled. A matrix that does neither is refused with the angle it is off.
"""

from __future__ import annotations

import math

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, colmap_to_opengl

TOLERANCE_DEG = 0.1
"""How far past the origin a camera may look, or be rolled: at 256 pixels it is half of one."""

_ROUND = 1e-3
"""Greatest error of a rotation's rows: some files have four decimals."""

_NEAR_POLE = 1e-3
"""Share of the radius. Nearer to the axis than this, the azimuth is that of the camera's right."""


def pose_of_camera(camera_to_world_opengl: np.ndarray) -> Pose:
    """The pose of a (3, 4) or (4, 4) camera-to-world matrix, x right, y up, z backwards.

    Raises:
        ViewFusionError: it has other shapes or numbers, is no rotation, or no pose says it; names no file.
    """
    matrix = _checked(camera_to_world_opengl)
    rotation, position = matrix[:3, :3], matrix[:3, 3]
    radius = float(np.linalg.norm(position))
    if not 1e-6 < radius < 1e6:
        raise ViewFusionError(f"wanted a camera around the object, got one {radius:g} from its middle")
    past = _between(rotation[:, 2], position)
    if past > TOLERANCE_DEG:
        raise ViewFusionError(
            f"the camera looks {past:.3g} degrees past the origin; a pose looks at it (to {TOLERANCE_DEG:g})"
        )
    beside, right = math.hypot(position[0], position[1]), rotation[:, 0]
    azimuth = (
        math.atan2(position[1], position[0])
        if beside > _NEAR_POLE * radius
        else math.atan2(-right[0], right[1])
    )
    pose = Pose(azimuth, math.atan2(position[2], beside), radius)
    level, up = camera_to_world(pose)[:3, :2].T
    rolled = abs(math.degrees(math.atan2(float(right @ up), float(right @ level))))
    if rolled > TOLERANCE_DEG:
        raise ViewFusionError(
            f"the camera is rolled by {rolled:.3g} degrees; a pose is upright (to {TOLERANCE_DEG:g})"
        )
    return pose


def pose_of_world(world_to_camera: np.ndarray) -> Pose:
    """The pose of a (3, 4) or (4, 4) world-to-camera matrix; errors as of :func:`pose_of_camera`.

    Files of both kinds of axes go by the same names. As the origin is in front of the camera, its depth tells
    them: negative in Blender's and OpenGL's (z backwards), positive in OpenCV's (z forward).
    """
    matrix = _checked(world_to_camera)
    if matrix[2, 3] > 0:
        return pose_of_camera(colmap_to_opengl(matrix))
    return pose_of_camera(np.linalg.inv(matrix))


def _checked(values: np.ndarray) -> np.ndarray:
    """(4, 4) float64, a rotation and a shift."""
    given = np.asarray(values, dtype=np.float64)
    if given.shape not in ((3, 4), (4, 4)):
        raise ViewFusionError(f"wanted a matrix of 3 x 4 or 4 x 4 numbers, got {list(given.shape)}")
    if not np.isfinite(given).all():
        raise ViewFusionError("wanted finite numbers in the matrix, got NaN or infinity")
    matrix = np.vstack([given[:3], (0.0, 0.0, 0.0, 1.0)])
    if given.shape == (4, 4) and not np.allclose(given[3], matrix[3], atol=1e-6):
        raise ViewFusionError("the last row of the matrix must be 0 0 0 1; write it rows first")
    rotation = matrix[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        turn = float(np.linalg.det(rotation)) if error <= _ROUND else 0.0
    if not error <= _ROUND:
        raise ViewFusionError(f"the matrix is no rotation: its axes are off by {error:.3g}")
    if turn < 0:
        raise ViewFusionError("the matrix is no rotation: it mirrors")
    return matrix


def _between(a: np.ndarray, b: np.ndarray) -> float:
    """Degrees between two directions; exact for small ones too."""
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(a, b))), float(np.dot(a, b))))
