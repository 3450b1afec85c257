"""Pinhole cameras: matrices from poses, and converters between the frames other tools expect.

Inside viewfusion a camera is a 4x4 *camera-to-world* matrix in OpenGL axes (x right, y up, z backwards)
in a right-handed world with z up. Every converter names both of its frames.
"""

from __future__ import annotations

import math

import numpy as np

from .poses import Pose

FOV = math.radians(49.134)
"""Zero123's horizontal and vertical field of view in radians (35 mm lens on a 32 mm sensor)."""

_FLIP_YZ = np.diag([1.0, -1.0, -1.0, 1.0])


def camera_to_world(pose: Pose) -> np.ndarray:
    """(4, 4) float64 OpenGL camera-to-world matrix of a camera at ``pose`` looking at the origin.

    Well defined at the poles too, where "right" keeps the direction its azimuth gives it.
    """
    sin_a, cos_a = math.sin(pose.azimuth), math.cos(pose.azimuth)
    sin_e, cos_e = math.sin(pose.elevation), math.cos(pose.elevation)
    matrix = np.eye(4)
    matrix[:3, 0] = (-sin_a, cos_a, 0.0)
    matrix[:3, 1] = (-sin_e * cos_a, -sin_e * sin_a, cos_e)
    matrix[:3, 2] = (cos_e * cos_a, cos_e * sin_a, sin_e)
    matrix[:3, 3] = pose.radius * matrix[:3, 2]
    return matrix


def pose_from_camera_to_world(matrix: np.ndarray) -> Pose:
    """The pose of an OpenGL camera-to-world matrix that looks at the origin with z up.

    Raises:
        ValueError: the camera does not look at the origin, or is rolled.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    position = matrix[:3, 3]
    radius = float(np.linalg.norm(position))
    if not math.isfinite(radius) or radius == 0:
        raise ValueError("the camera sits at the origin or is not finite; expected it around the object")
    elevation = math.asin(max(-1.0, min(1.0, position[2] / radius)))
    right = matrix[:3, 0]
    pose = Pose(math.atan2(-right[0], right[1]), elevation, radius)
    if not np.allclose(camera_to_world(pose)[:3, :3], matrix[:3, :3], atol=1e-4):
        raise ValueError(f"the camera does not look at the origin with z up ({_fault(matrix)})")
    return pose


def _fault(matrix: np.ndarray) -> str:
    """What is wrong with a camera whose matrix is not that of its position."""
    if not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-4):
        return "its axes are no rotation"
    cosine = matrix[:3, 2] @ matrix[:3, 3] / np.linalg.norm(matrix[:3, 3])
    off = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    return f"it looks {off:.3g} degrees past it" if off > 0.01 else "it is rolled or mirrored"


def intrinsics(size: int | tuple[int, int], fov: float = FOV) -> np.ndarray:
    """(3, 3) float64 intrinsics in pixels for square pixels; ``fov`` (radians) spans the width.

    The principal point is the image centre, pixel (0, 0) covering [0, 1) x [0, 1).

    Args:
        size: pixels of a square image, or (height, width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    focal = 0.5 * width / math.tan(0.5 * fov)
    return np.array([[focal, 0.0, 0.5 * width], [0.0, focal, 0.5 * height], [0.0, 0.0, 1.0]])


def opengl_to_opencv(camera_to_world_opengl: np.ndarray) -> np.ndarray:
    """Camera-to-world, OpenGL axes (y up, z back) -> camera-to-world, OpenCV axes (y down, z forward)."""
    return np.asarray(camera_to_world_opengl) @ _FLIP_YZ


def opencv_to_opengl(camera_to_world_opencv: np.ndarray) -> np.ndarray:
    """Camera-to-world, OpenCV axes -> camera-to-world, OpenGL axes."""
    return np.asarray(camera_to_world_opencv) @ _FLIP_YZ


def opengl_to_colmap(camera_to_world_opengl: np.ndarray) -> np.ndarray:
    """Camera-to-world, OpenGL axes -> world-to-camera, OpenCV axes: what COLMAP stores as R, t."""
    return np.linalg.inv(opengl_to_opencv(camera_to_world_opengl))


def colmap_to_opengl(world_to_camera_opencv: np.ndarray) -> np.ndarray:
    """World-to-camera, OpenCV axes (COLMAP) -> camera-to-world, OpenGL axes."""
    return opencv_to_opengl(np.linalg.inv(world_to_camera_opencv))


def opengl_to_nerfstudio(camera_to_world_opengl: np.ndarray) -> np.ndarray:
    """Camera-to-world, OpenGL axes -> nerfstudio's ``transform_matrix``.

    The same matrix: nerfstudio's transforms.json is OpenGL camera-to-world with a z-up world.
    """
    return np.array(camera_to_world_opengl, dtype=np.float64)


def nerfstudio_to_opengl(transform_matrix: np.ndarray) -> np.ndarray:
    """nerfstudio's ``transform_matrix`` -> camera-to-world, OpenGL axes (the same matrix)."""
    return np.array(transform_matrix, dtype=np.float64)


def project(points: np.ndarray, camera_to_world_opengl: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Pixel positions of world points.

    Args:
        points: (P, 3) world coordinates.
        camera_to_world_opengl: (4, 4).
        matrix: (3, 3) intrinsics in pixels.

    Returns:
        (P, 2) x to the right, y down, in pixels.
    """
    world_to_camera = opengl_to_colmap(camera_to_world_opengl)
    camera = np.asarray(points) @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
    pixels = camera @ np.asarray(matrix).T
    return pixels[:, :2] / pixels[:, 2:]
