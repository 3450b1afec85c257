"""Which cells lie inside a mesh: volumes known by hand, and winding numbers as a second opinion."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.meshes import Triangles, Volume, aligned, cleaned, occupied, topology, volume_iou


def mesh(shape) -> Triangles:
    return cleaned(Triangles(shape.vertices, shape.faces))[0]


def inside(shape: Triangles, cells: int, side: float, sampled_at: float = 0.5) -> np.ndarray:
    return occupied(shape, Volume(cells, side, sampled_at))


def box(low, high) -> trimesh.Trimesh:
    return trimesh.creation.box(bounds=[low, high])


def ball(radius: float, fineness: int = 4) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=fineness, radius=radius)


def joined(*shapes) -> trimesh.Trimesh:
    return trimesh.util.concatenate(shapes)


def filled(low, high, cells: int = 16, side: float = 2.0) -> np.ndarray:
    """The cells with their middle in a box, told by comparing coordinates."""
    middles = (np.arange(cells) + 0.5) / cells * side - side / 2
    each = [(middles > a) & (middles < b) for a, b in zip(low, high, strict=True)]
    return each[0][:, None, None] & each[1][None, :, None] & each[2][None, None, :]


def winding_numbers(shape, cells: int, side: float) -> np.ndarray:
    """Generalised winding numbers of the cells' middles: solid angles of all faces over 4 pi.

    Van Oosterom and Strackee, The Solid Angle of a Plane Triangle, 1983.
    """
    middles = (np.arange(cells) + 0.5) / cells * side - side / 2
    points = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), -1).reshape(-1, 1, 3)
    a, b, c = (shape.vertices[shape.faces[:, i]][None] - points for i in range(3))
    x, y, z = (np.linalg.norm(each, axis=-1) for each in (a, b, c))
    below = x * y * z + (a * b).sum(-1) * z + (b * c).sum(-1) * x + (c * a).sum(-1) * y
    angles = 2 * np.arctan2((a * np.cross(b, c)).sum(-1), below)
    return (angles.sum(axis=1) / (4 * np.pi)).reshape(cells, cells, cells)


def test_a_box_fills_the_cells_whose_middles_it_holds():
    low, high = (-0.7, -0.2, 0.11), (0.3, 0.9, 0.55)
    assert np.array_equal(inside(mesh(box(low, high)), 16, 2.0), filled(low, high))


def test_a_middle_on_the_surface_belongs_to_the_side_above():
    """Sides, edges and diagonals of this box go exactly through middles: -0.4375 is that of cell 4 of 16, and
    0.5625 of cell 12. Each counts once, as from low up to below high."""
    found = inside(mesh(box((-0.4375, -0.4375, -0.5), (0.5, 0.5625, 0.5))), 16, 2.0)
    assert found[4:12, 4:12, 4:12].all()
    assert found.sum() == 8**3


def test_cells_are_told_where_the_protocol_says():
    """Lowest corners of 16 cells over -1 to 1 lie at -1, -0.875, ... 0.875: five of them from -0.3 to 0.3."""
    cube = mesh(box((-0.3, -0.3, -0.3), (0.3, 0.3, 0.3)))
    corners, middles = (np.argwhere(inside(cube, 16, 2.0, at)) for at in (0.0, 0.5))
    assert (corners.min(), corners.max(), len(corners)) == (6, 10, 5**3)
    assert (middles.min(), middles.max(), len(middles)) == (6, 9, 4**3)  # -0.1875 to 0.1875


@pytest.mark.parametrize("unit", [1.0, 0.1, 1 / 3, 25.4, 7e5])
def test_rounded_numbers_do_not_move_a_side(unit):
    """Scaled to 1 its ends are at -0.5 and 0.5, where cells are told: 32 from low up to below high."""
    shape = box((0.1, 0.7, -0.2), (0.1 + 1, 0.7 + 0.5, -0.2 + 0.5))
    shape.vertices = (shape.vertices * unit).astype(np.float32)
    placed = aligned(mesh(shape), ("centre", "scale"), 0.0, 1.0)
    assert inside(placed, 64, 2.0, 0.0).sum() == 32 * 16 * 16


def test_cubes_half_a_side_apart_overlap_by_a_third():
    one = inside(mesh(box((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))), 64, 2.0)
    other = inside(mesh(box((0, -0.5, -0.5), (1, 0.5, 0.5))), 64, 2.0)
    assert one.sum() == other.sum() == 32**3
    assert volume_iou(one, other) == pytest.approx(1 / 3)
    assert volume_iou(one, one) == 1


def test_concentric_balls_overlap_by_the_cube_of_their_radii():
    small, large = (inside(mesh(ball(radius)), 64, 1.2) for radius in (0.4, 0.5))
    assert large.sum() * (1.2 / 64) ** 3 == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.01)
    assert volume_iou(small, large) == pytest.approx(0.8**3, abs=0.01)
    assert volume_iou(small, large) == volume_iou(large, small)


@pytest.mark.parametrize(
    "shape",
    [
        ball(0.8, 2),
        trimesh.creation.torus(0.6, 0.25, 24, 12),
        joined(box((-0.6, -0.6, -0.6), (0.2, 0.2, 0.2)), ball(0.5, 1)),  # overlapping parts
        joined(ball(0.8, 2), trimesh.Trimesh(ball(0.5, 2).vertices, ball(0.5, 2).faces[:, ::-1])),  # a cavity
    ],
    ids=["ball", "torus", "overlapping", "hollow"],
)
def test_a_closed_surface_holds_what_it_winds_around(shape):
    numbers = winding_numbers(shape, 16, 2.0)
    assert np.abs(numbers - np.rint(numbers)).max() < 1e-6  # closed: whole numbers
    assert np.array_equal(inside(mesh(shape), 16, 2.0), np.rint(numbers) != 0)


def test_a_ball_with_a_hole_is_nearly_the_ball():
    whole = ball(0.8, 2)
    holed = trimesh.Trimesh(whole.vertices, whole.faces[whole.triangles_center[:, 2] < 0.7], process=False)
    joins = topology(mesh(holed))
    assert not joins.watertight
    assert joins.odd > 5
    assert "not watertight" in joins.notes()[0]
    closed, opened = (inside(mesh(each), 32, 2.0) for each in (whole, holed))
    assert volume_iou(opened, closed) > 0.97
    # As the winding number has it where it is sure, except right under the hole.
    numbers = winding_numbers(holed, 16, 2.0)
    agree = inside(mesh(holed), 16, 2.0) == (numbers > 0.5)
    assert agree[:, :, :12].all()
    assert agree.mean() > 0.99


def test_walls_without_a_lid_hold_what_is_between_them():
    whole = box((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))
    cup = trimesh.Trimesh(whole.vertices, whole.faces[whole.face_normals[:, 2] < 0.5], process=False)
    assert np.array_equal(inside(mesh(cup), 16, 2.0), inside(mesh(whole), 16, 2.0))
    corner = trimesh.Trimesh(whole.vertices, whole.faces[whole.face_normals.max(axis=1) > 0.5], process=False)
    assert not inside(mesh(corner), 16, 2.0).any()


def test_faces_turned_both_ways_are_counted():
    whole = ball(0.8, 2)
    faces = whole.faces.copy()
    faces[::3] = faces[::3, ::-1]
    mixed = cleaned(Triangles(whole.vertices, faces))[0]
    joins = topology(mixed)
    assert joins.watertight
    assert not joins.signed
    assert "turned both ways" in joins.notes()[0]
    assert np.array_equal(inside(mixed, 16, 2.0), inside(mesh(whole), 16, 2.0))
    inside_out = cleaned(Triangles(whole.vertices, whole.faces[:, ::-1]))[0]
    assert topology(inside_out).notes() == []
    assert np.array_equal(inside(inside_out, 16, 2.0), inside(mesh(whole), 16, 2.0))


def test_a_surface_shown_from_both_sides_still_holds_its_inside():
    whole = ball(0.8, 2)
    both = cleaned(Triangles(whole.vertices, np.concatenate([whole.faces, whole.faces[:, ::-1]])))[0]
    assert len(both.faces) == 2 * len(whole.faces)
    assert np.array_equal(inside(both, 16, 2.0), inside(mesh(whole), 16, 2.0))


def test_edges_are_told_apart():
    cube = topology(mesh(box((0, 0, 0), (1, 1, 1))))
    assert (cube.edges, cube.odd, cube.flipped, cube.crowded, cube.watertight) == (18, 0, 0, 0, True)
    assert cube.notes() == []
    sheet = topology(Triangles(np.eye(3), np.array([[0, 1, 2]])))
    assert (sheet.edges, sheet.odd, sheet.watertight) == (3, 3, False)
    # Two cubes that share an edge: closed, and yet four faces meet there.
    pair = topology(mesh(joined(box((0, 0, 0), (1, 1, 1)), box((1, 1, 0), (2, 2, 1)))))
    assert (pair.edges, pair.crowded, pair.watertight) == (35, 1, True)
    assert ["not manifold" in note for note in pair.notes()] == [True]


def test_a_sheet_has_no_volume_and_no_overlap_with_anything():
    sheet = trimesh.Trimesh(
        [(-1, -1, 0.01), (1, -1, 0.01), (1, 1, 0.01), (-1, 1, 0.01)], [(0, 1, 2), (0, 2, 3)]
    )
    nothing, something = (inside(mesh(each), 16, 2.0) for each in (sheet, ball(0.8, 2)))
    assert not nothing.any()
    assert volume_iou(something, nothing) is None
    assert volume_iou(nothing, nothing) is None
    assert volume_iou(nothing, something) == 0


def test_what_lies_beyond_the_grid_still_closes_what_lies_in_it():
    assert inside(mesh(box((-5, -5, -5), (5, 5, 0.0))), 8, 2.0).sum() == 8 * 8 * 4
    assert not inside(mesh(box((3, -5, -5), (5, 5, 5))), 8, 2.0).any()


def test_endless_work_is_refused(monkeypatch):
    monkeypatch.setattr("viewfusion.evaluation.meshes.occupancy._MOST_ROWS", 100)
    with pytest.raises(ViewFusionError, match="too many and too large for a volume; reduce the mesh"):
        inside(mesh(ball(0.8, 2)), 16, 2.0)
    assert inside(mesh(box((-1, -1, -1), (1, 1, 1))), 8, 2.0).all()


def test_many_rows_at_a_time_make_no_difference(monkeypatch):
    shape = mesh(ball(0.8, 3))
    whole = inside(shape, 32, 2.0)
    monkeypatch.setattr("viewfusion.evaluation.meshes.occupancy._LINES", 3200)
    assert np.array_equal(inside(shape, 32, 2.0), whole)
