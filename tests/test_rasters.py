"""Rasters: which triangle pixels show, and where in it, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from viewfusion.geometry import Pose, camera_to_world, intrinsics
from viewfusion.reconstruction import rasters
from viewfusion.reconstruction.rasters import rasterised, seen
from viewfusion.reconstruction.triangles import Triangles

LOWER = [(0, 0, 1), (0, 4, 1), (4, 4, 1)]
"""Half of a square of four pixels: x, y and depth. The middles on the diagonal are of it too."""


def test_pixels_whose_middle_is_inside_show_the_triangle():
    raster = rasterised(np.array([LOWER], float), (4, 5))
    expected = np.full((4, 5), -1)
    expected[np.tril_indices(4)] = 0
    assert raster.faces.tolist() == expected.tolist()
    assert np.isinf(raster.depth[raster.faces < 0]).all()


def test_shares_are_those_of_the_point():
    """The middle of the pixel at x 0.5, y 2.5: 0.375 of the first corner, 0.5 of the second."""
    raster = rasterised(np.array([LOWER], float), (4, 4))
    assert raster.shares[2, 0] == pytest.approx([0.375, 0.5, 0.125])


def test_shares_and_depth_are_in_perspective():
    """Halfway between depths 1 and 3 on the picture is at depth 1.5, a quarter of the way in space."""
    slope = np.array([[(0, 0.5, 1), (1, 0.5, 3), (0.5, 1.5, 1.5)]], float)
    flat = slope[..., :2] + [0, -0.5]
    raster = rasterised(np.concatenate([flat, slope[..., 2:]], axis=2)[:, [0, 1, 2]] + [0, 0.5, 0], (1, 1))
    assert raster.depth[0, 0] == pytest.approx(1.5)
    assert raster.shares[0, 0] == pytest.approx([0.75, 0.25, 0], abs=1e-6)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearest_is_seen(order):
    near = np.array(LOWER, float)
    far = near + np.array([0, 0, 1])
    raster = rasterised(np.array([near, far])[order], (4, 4))
    assert set(raster.faces[np.tril_indices(4)]) == {order.index(0)}


def test_what_is_outside_or_without_area_is_not_there():
    line = [(0, 0, 1), (2, 2, 1), (4, 4, 1)]
    beside = [(9, 0, 1), (9, 4, 1), (12, 4, 1)]
    raster = rasterised(np.array([line, beside], float), (4, 4))
    assert (raster.faces == -1).all()
    assert (rasterised(np.zeros((0, 3, 3)), (2, 2)).faces == -1).all()


def test_many_at_a_time_are_the_same_as_few(monkeypatch):
    rng = np.random.default_rng(0)
    corners = np.concatenate([rng.uniform(-5, 37, (200, 3, 2)), rng.uniform(1, 2, (200, 3, 1))], axis=2)
    at_once = rasterised(corners, (32, 32))
    monkeypatch.setattr(rasters, "_CANDIDATES", 100)
    assert np.array_equal(rasterised(corners, (32, 32)).faces, at_once.faces)


def test_a_camera_sees_the_near_side_of_a_box_where_it_should():
    """From 1.5 along +x the side at x = 0.25 is 1.25 away; its half side of 0.25 spans f / 5 pixels."""
    box = trimesh.creation.box(extents=(0.5, 0.5, 0.5))
    mesh, matrix = Triangles(np.array(box.vertices), np.array(box.faces)), intrinsics(100)
    raster = seen(mesh, camera_to_world(Pose(0.0, 0.0, 1.5)), matrix, (100, 100))
    half = matrix[0, 0] / 5
    assert np.flatnonzero((raster.faces >= 0).any(axis=0)).tolist() == list(
        range(round(50 - half), round(50 + half))
    )
    assert raster.depth[raster.faces >= 0] == pytest.approx(1.25)
    assert raster.mixed(mesh.vertices, mesh.faces)[:, 0] == pytest.approx(0.25)
    finer = seen(mesh, camera_to_world(Pose(0.0, 0.0, 1.5)), matrix, (100, 100), finer=2)
    assert finer.faces.shape == (200, 200)


def test_a_picture_is_upright_and_not_mirrored():
    """A small box at +y and +z: to the right and up of the middle, seen from +x."""
    box = trimesh.creation.box(extents=(0.1, 0.1, 0.1))
    box.apply_translation((0, 0.3, 0.3))
    mesh = Triangles(np.array(box.vertices), np.array(box.faces))
    rows, columns = np.nonzero(
        seen(mesh, camera_to_world(Pose(0.0, 0.0, 1.5)), intrinsics(64), (64, 64)).faces >= 0
    )
    assert rows.max() < 32
    assert columns.min() > 32
