"""Is the visual hull where lines through the masks' edges meet, to a fraction of a pixel?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction.hull import hull_bounds, hull_distance, lattice_over, mask_distance
from viewfusion.reconstruction.scene import Scene


def silhouettes(
    radius: float, poses: list[Pose], size: int = 64, shift: tuple[float, ...] = (0, 0, 0)
) -> Scene:
    """Views of a ball, whose pixels are covered by their distance to the ball's edge."""
    matrix = intrinsics(size)
    y, x = np.mgrid[:size, :size] + 0.5
    seen = np.stack(
        [(x - matrix[0, 2]) / matrix[0, 0], -(y - matrix[1, 2]) / matrix[1, 1], -np.ones_like(x)], -1
    )
    seen /= np.linalg.norm(seen, axis=-1, keepdims=True)
    masks, cameras = [], []
    for pose in poses:
        camera = camera_to_world(pose)
        centre = (np.array(shift) - camera[:3, 3]) @ camera[:3, :3]
        far = np.linalg.norm(centre)
        angle = np.arccos(seen @ centre / far) - np.arcsin(radius / far)
        masks.append(np.clip(0.5 - angle * matrix[0, 0], 0, 1))
        cameras.append(camera)
    count = len(poses)
    return Scene(
        images=torch.ones(count, 3, size, size),
        masks=torch.tensor(np.stack(masks), dtype=torch.float32),
        cameras=torch.from_numpy(np.stack(cameras)),
        intrinsics=torch.from_numpy(matrix),
        weights=torch.ones(count),
        held_out=(),
        scale=1.0,
        input_index=None,
    )


def ring(count: int, elevation_deg: float = 0.0) -> list[Pose]:
    return [Pose.from_degrees(360 * k / count, elevation_deg, 1.5) for k in range(count)]


def test_an_edge_lies_where_coverage_says():
    # Columns 0 to 4 covered, column 5 a quarter: the edge is at x = 5.25, centres at 0.5, 1.5, ...
    mask = np.zeros((7, 10))
    mask[:, :5], mask[:, 5] = 1, 0.25
    expected = np.arange(10) + 0.5 - 5.25
    np.testing.assert_allclose(mask_distance(mask)[3], expected, atol=1e-6)
    # Three quarters of column 5: the pixel is inside, its centre a quarter from the edge at 5.75.
    mask[:, 5] = 0.75
    np.testing.assert_allclose(mask_distance(mask)[3], np.arange(10) + 0.5 - 5.75, atol=1e-6)


def test_masks_of_one_kind_are_infinitely_far():
    assert (mask_distance(np.zeros((3, 4))) == np.inf).all()
    assert (mask_distance(np.ones((3, 4))) == -np.inf).all()


def test_the_hull_of_a_ball_is_the_ball_in_the_plane_of_its_cameras():
    scene = silhouettes(0.4, ring(24))
    at = np.array([0.2, 0.35, 0.39, 0.41, 0.45, 0.55])
    for azimuth in np.radians([0, 33, 97]):
        points = at[:, None] * np.array([np.cos(azimuth), np.sin(azimuth), 0])
        distances = hull_distance(scene, points.astype(np.float32))
        # A pixel is 0.02 there; a polygon of 24 sides about the circle is farther out by 0.9 % at most.
        assert (np.abs(distances - (at - 0.4))[2:4] < 0.008).all()
        assert (np.sign(distances) == np.sign(at - 0.4)).all()


def test_cameras_at_one_height_allow_a_cone():
    # Seen from 30 degrees above at distance 1.5, a ball of radius 0.4 is touched by lines that make an angle
    # of asin(0.4 / 1.5) with the one to its centre. The lowest of the hull is where the lowest of those lines
    # meets the axis.
    scene = silhouettes(0.4, ring(36, 30.0), size=128)
    half = np.arcsin(0.4 / 1.5)
    angle = np.radians(30) + half  # the line goes down that steeply
    tip = 1.5 * np.sin(np.radians(30)) - 1.5 * np.cos(np.radians(30)) * np.tan(angle)
    points = np.array([[0, 0, tip + 0.02], [0, 0, tip - 0.02]], dtype=np.float32)
    inside, outside = hull_distance(scene, points)
    assert inside < 0 < outside


def test_one_mask_that_errs_is_tolerated():
    scene = silhouettes(0.4, ring(20))
    scene.masks[3] = 0
    point = np.array([[0.1, 0.1, 0.0]], dtype=np.float32)
    assert hull_distance(scene, point)[0] > 0
    assert hull_distance(scene, point, tolerance=0.05)[0] < 0
    with pytest.raises(ViewFusionError, match=r"no place in common.*check that poses"):
        hull_bounds(scene)
    hull_bounds(scene, tolerance=0.05)


def test_views_held_out_carve_nothing():
    scene = silhouettes(0.4, ring(20))
    scene.masks[3] = 0
    scene = Scene(**{**vars(scene), "held_out": (3,)})
    assert hull_distance(scene, np.zeros((1, 3), dtype=np.float32))[0] < -0.3


def test_bounds_are_the_objects():
    scene = silhouettes(0.2, [*ring(12), *ring(12, 60.0)], shift=(0.1, -0.2, 0.05))
    lower, upper = hull_bounds(scene, margin=0.05)
    np.testing.assert_allclose((lower + upper) / 2, (0.1, -0.2, 0.05), atol=0.03)
    assert (upper - lower > 0.4).all()
    assert (upper - lower < 0.4 + 2 * 0.05 + 3 * 1.2 / 48).all()


def test_a_lattice_covers_its_box():
    lattice = lattice_over(np.array([0.0, 0.0, -0.1]), np.array([0.8, 0.31, 0.1]), 8)
    assert lattice.spacing == pytest.approx(0.1)
    assert lattice.shape == (9, 5, 3)
    points = lattice.points()
    np.testing.assert_allclose(points[1] - points[0], (0, 0, 0.1), atol=1e-6)
    np.testing.assert_allclose(points[-1], (0.8, 0.4, 0.1), atol=1e-6)
