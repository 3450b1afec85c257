"""Finishing: what is kept, closed, smoothed and reduced, on shapes whose volumes are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trimesh
from scipy.ndimage import gaussian_filter
from skimage.measure import marching_cubes

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction.finishing import (
    Finishing,
    closed,
    decimated,
    finished,
    outside_out,
    smoothed,
    winding_number,
    without_floaters,
)
from viewfusion.reconstruction.triangles import Triangles, topology, vertex_normals


def shape(mesh: trimesh.Trimesh) -> Triangles:
    return Triangles(np.array(mesh.vertices), np.array(mesh.faces))


def ball(radius: float, middle=(0.0, 0, 0), fineness: int = 3, inside_out: bool = False) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=fineness, radius=radius)
    mesh.apply_translation(middle)
    if inside_out:
        mesh.invert()
    return mesh


def together(*meshes: trimesh.Trimesh) -> Triangles:
    return shape(trimesh.util.concatenate(meshes))


BALL = shape(ball(0.5))
BOX = shape(trimesh.creation.box(extents=(1, 1, 1)))


def test_pieces_below_a_share_of_the_largest_are_floaters():
    """Volumes 1, 0.027 and 0.001 of the largest."""
    three = together(ball(0.03, (0, 0.5, 0)), ball(0.3), ball(0.09, (0.5, 0, 0)))
    assert topology(without_floaters(three, 0.02)).components == 2
    largest = topology(without_floaters(three, 1))
    assert (largest.components, largest.vertices) == (1, len(BALL.vertices))
    assert topology(without_floaters(three, 0)).components == 3


def test_cavities_and_what_floats_in_them_go():
    """A ball with a hollow, in it a smaller ball: from outside they cannot be told from a ball."""
    solid = without_floaters(together(ball(0.5), ball(0.4, inside_out=True), ball(0.3)), 0)
    assert topology(solid).components == 1
    assert solid.volume == pytest.approx(BALL.volume)


def test_the_winding_number_is_one_inside_and_none_outside():
    assert winding_number(BOX.corners, np.array([0.2, -0.3, 0.4])) == pytest.approx(1)
    assert winding_number(BOX.corners, np.array([0.2, -0.3, 0.6])) == pytest.approx(0, abs=1e-12)


def test_a_surface_that_encloses_nothing_is_refused():
    with pytest.raises(ViewFusionError, match="encloses nothing"):
        finished(Triangles(BOX.vertices, BOX.faces[:0]))


@pytest.mark.parametrize("lost", [1, 5, 60])
def test_holes_are_closed(lost):
    """Neighbours of one face, so they are one hole or a few."""
    order = np.argsort(np.linalg.norm(BALL.corners.mean(axis=1) - [0.5, 0, 0], axis=1))
    open_ball = Triangles(BALL.vertices, BALL.faces[np.sort(order[lost:])])
    assert not topology(open_ball).watertight
    facts = topology(closed(open_ball))
    assert (facts.watertight, facts.components, facts.genus) == (True, 1, 0)
    assert facts.volume == pytest.approx(BALL.volume, rel=0.05)


def test_holes_that_meet_in_a_vertex_are_closed():
    """All faces around two neighbours of one vertex but none of its own others: two loops through it."""
    at_vertex = np.flatnonzero((BALL.faces == 12).any(axis=1))
    kept = np.delete(np.arange(len(BALL.faces)), [at_vertex[0], at_vertex[2]])
    facts = topology(closed(Triangles(BALL.vertices, BALL.faces[kept])))
    assert (facts.watertight, facts.genus) == (True, 0)


def test_faces_of_no_use_go():
    """A fin on an edge, a face that is there twice and one without extent."""
    vertices = np.concatenate([BALL.vertices, [[2.0, 0, 0]]])
    fin = [*BALL.faces[0, :2], len(BALL.vertices)]
    faces = np.concatenate([BALL.faces, [fin], [BALL.faces[7]], [[3, 3, 4]]])
    facts = topology(closed(Triangles(vertices, faces)))
    assert (facts.watertight, facts.components, facts.genus) == (True, 1, 0)
    assert facts.volume == pytest.approx(BALL.volume, rel=0.02)


def test_smoothing_takes_noise_and_keeps_volume():
    rng = np.random.default_rng(0)
    rough = Triangles(BALL.vertices + rng.normal(0, 0.01, BALL.vertices.shape), BALL.faces)
    smooth = smoothed(rough, 10)
    before, after = (np.linalg.norm(each.vertices, axis=1).std() for each in (rough, smooth))
    assert after < 0.5 * before
    assert smooth.volume == pytest.approx(rough.volume, rel=1e-6)


def test_fewer_faces_where_it_is_flat_and_the_same_volume():
    fine = trimesh.creation.box(extents=(1, 1, 1))
    for _ in range(4):
        fine = fine.subdivide()
    few = decimated(shape(fine), 100)
    facts = topology(few)
    assert facts.faces <= 100
    assert facts.watertight
    assert facts.volume == pytest.approx(1, rel=1e-6)
    assert np.abs(few.vertices).max() == pytest.approx(0.5, abs=1e-6)


def test_a_mesh_with_few_faces_is_left_alone():
    assert decimated(BALL, 0) is BALL
    assert decimated(BALL, len(BALL.faces)) is BALL


def test_reducing_does_not_tear_what_is_watertight():
    """Thin walls, where collapsing an edge is likely to make others shared by four."""
    frame = trimesh.creation.annulus(0.49, 0.5, 0.004, sections=200)
    for _ in range(2):
        frame = frame.subdivide()
    before = topology(shape(frame))
    after = topology(decimated(shape(frame), 400))
    assert (before.watertight, before.genus) == (True, 1)
    assert (after.watertight, after.genus) == (True, 1)
    assert after.faces < before.faces / 4


def test_handles_of_noise_do_not_keep_faces():
    """A ball in noise: of its 83 handles a third may go, which is what 2000 faces cannot keep."""
    noise = gaussian_filter(np.random.default_rng(0).normal(size=(40, 40, 40)), 1)
    far = np.linalg.norm(np.indices(noise.shape).reshape(3, -1) - 19.5, axis=0).reshape(noise.shape)
    vertices, faces, _, _ = marching_cubes(np.where(far < 18, (far - 15) / 4 + 8 * noise, 9.0), 0.0)
    rough = without_floaters(outside_out(closed(Triangles(vertices / 40, faces.astype(np.int64)))), 0.02)
    before = topology(rough)
    assert (before.watertight, before.genus > 50, before.faces > 20_000) == (True, True, True)
    after = topology(decimated(rough, 2000, handles=False))
    assert after.watertight
    assert after.faces <= 2000
    kept = topology(decimated(rough, 2000))
    assert kept.watertight
    assert kept.faces > 2000
    assert kept.genus >= before.genus - before.genus // 3


def test_all_together():
    """Inside out, with a floater, a hole and steps."""
    wrong = together(ball(0.5, fineness=4, inside_out=True), ball(0.05, (0.6, 0.6, 0), inside_out=True))
    result = finished(Triangles(wrong.vertices, wrong.faces[1:]), Finishing(faces=1000))
    facts = topology(result)
    assert (facts.watertight, facts.components, facts.genus) == (True, 1, 0)
    assert facts.faces <= 1000
    assert facts.volume == pytest.approx(4 / 3 * math.pi * 0.5**3, rel=0.01)


def test_normals_of_a_box_point_along_its_diagonals():
    """However its sides are cut in two."""
    assert vertex_normals(BOX) == pytest.approx(np.sign(BOX.vertices) / math.sqrt(3))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"faces": 3}, "at least 100, got 3"),
        ({"smoothing": -1}, "smoothing must be 0"),
        ({"smallest_piece": 1.5}, "a share of 0 to 1, got 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ViewFusionError, match=words):
        Finishing(**settings)
