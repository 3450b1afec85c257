"""Metrics of meshes: shapes whose distances are known by hand, settings and meshes that are refused."""

from __future__ import annotations

import copy
import sys
from contextlib import suppress

import numpy as np
import pytest
import trimesh

from viewfusion.datasets import read_triangles
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.meshes import (
    DepthMaps,
    MeshSettings,
    Samples,
    Triangles,
    aligned,
    cleaned,
    depth_samples,
    f_score,
    matched,
    mean_of_distances,
    normal_consistency,
    score_meshes,
    sum_of_squares,
    surface_samples,
)
from viewfusion.geometry import intrinsics
from viewfusion.outputs import syncdreamer
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import read_yaml


def protocol(name: str) -> dict:
    return read_yaml(resource_folder("configs") / "protocols" / f"{name}.yaml", "protocol", "--protocol")


VIEWFUSION, SYNCDREAMER = (protocol(f"mesh-{name}")["mesh"] for name in ("viewfusion", "syncdreamer"))
COARSE = {**SYNCDREAMER, "points": {**SYNCDREAMER["points"], "size": 64, "focal": 70.0}}
"""SyncDreamer's cameras with a quarter of the pixels a side."""


def as_it_is(**changes) -> dict:
    """ViewFusion's settings without any alignment."""
    plain = {"prediction": [], "truth": [], "longest_side": 1.0}
    return {**copy.deepcopy(VIEWFUSION), "alignment": plain, **changes}


def mesh(shape) -> Triangles:
    return Triangles(shape.vertices, shape.faces)


def ball(radius: float, fineness: int = 4) -> Triangles:
    return mesh(trimesh.creation.icosphere(subdivisions=fineness, radius=radius))


BALL = ball(0.5, 1)


def steps() -> trimesh.Trimesh:
    """Three boxes of one mesh, that looks the same from nowhere else."""
    bounds = ([0, 0, 0], [4, 1, 1]), ([0, 0.5, 0.5], [1, 3, 2]), ([2, 0.2, 0.5], [3, 0.8, 5])
    return trimesh.util.concatenate([trimesh.creation.box(bounds=each) for each in bounds])


def samples(points, normal=(0, 0, 1)) -> Samples:
    return Samples(np.array(points, float), np.tile(np.array(normal, float), (len(points), 1)))


# Distances


def test_distances_are_those_worked_out_by_hand():
    """One point against two, at distances 0 and 5."""
    found = matched(samples([(0, 0, 0)]), samples([(3, 4, 0), (0, 0, 0)], (0, 0.8, -0.6)))
    assert found.to_truth.tolist() == [0]
    assert found.to_prediction.tolist() == [5, 0]
    assert sum_of_squares(found) == 12.5  # 0 + 25 / 2
    assert mean_of_distances(found) == 1.25  # (0 + 5 / 2) / 2
    assert normal_consistency(found) == pytest.approx(0.6)


def test_the_f_score_steps_where_distances_reach_the_threshold():
    found = matched(samples([(0, 0, 0)]), samples([(3, 4, 0), (0, 0, 0)]))
    assert f_score(found, 25.0) == pytest.approx((2 / 3, 1, 0.5))  # 25 is not below 25
    assert f_score(found, 25.1) == (1, 1, 1)
    far = matched(samples([(0, 0, 0)]), samples([(3, 4, 0)]))
    assert f_score(far, 25.0) == (0, 0, 0)


def test_concentric_balls_are_as_far_apart_as_their_radii():
    small, large = ball(0.4), ball(0.5)
    squares, notes = score_meshes(small, large, as_it_is())
    assert squares["chamfer"] == pytest.approx(2 * 0.1**2, abs=4e-4)
    assert squares["volume_iou"] == pytest.approx(0.8**3, abs=0.02)
    assert squares["normal_consistency"] == pytest.approx(1, abs=0.005)
    assert notes == []
    means, _ = score_meshes(small, large, as_it_is(chamfer="mean_of_distances"))
    assert means["chamfer"] == pytest.approx(0.1, abs=0.002)
    near, far = ({"squared_distance": (0.1 + offset) ** 2} for offset in (-0.003, 0.005))
    assert score_meshes(small, large, as_it_is(f_score=near))[0]["f_score"] < 0.1
    assert score_meshes(small, large, as_it_is(f_score=far))[0]["f_score"] > 0.9


def test_a_ball_against_itself_is_limited_by_its_samples_alone():
    """Of N points on an area A, the next one is A / (pi N) away in the mean square."""
    scores, _ = score_meshes(ball(0.8), ball(0.8), as_it_is())
    assert scores["chamfer"] == pytest.approx(2 * 4 * np.pi * 0.8**2 / (np.pi * 10_000), rel=0.1)
    assert scores["normal_consistency"] > 0.997
    assert (scores["f_score"], scores["precision"], scores["recall"], scores["volume_iou"]) == (1, 1, 1, 1)


def test_half_a_shape_has_precision_but_no_recall():
    both = mesh(
        trimesh.util.concatenate([trimesh.creation.box(bounds=[[x, 0, 0], [x + 1, 1, 1]]) for x in (0, 5)])
    )
    scores, _ = score_meshes(mesh(trimesh.creation.box(bounds=[[0, 0, 0], [1, 1, 1]])), both, as_it_is())
    assert scores["precision"] == 1
    assert scores["recall"] == pytest.approx(0.5, abs=0.02)
    assert scores["f_score"] == pytest.approx(2 / 3, abs=0.02)


# Points


def test_samples_fall_on_faces_as_often_as_their_areas_say():
    """A square of area 4 at z = 0, a triangle of area 1 at z = 1, and one without area."""
    vertices = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0), (0, 0, 1), (2, 0, 1), (0, 1, 1), (1, 0, 1)]
    sheet = Triangles(np.array(vertices), np.array([(0, 1, 2), (0, 2, 3), (4, 5, 6), (4, 7, 5)]))
    found = surface_samples(sheet, 20_000, np.random.default_rng(0))
    high = found.points[:, 2] == 1
    assert high.mean() == pytest.approx(0.2, abs=0.01)
    assert np.abs(found.normals).tolist() == np.tile([0, 0, 1], (20_000, 1)).tolist()
    assert found.points[~high].mean(axis=0) == pytest.approx([1, 1, 0], abs=0.02)
    assert found.points[high].mean(axis=0) == pytest.approx([2 / 3, 1 / 3, 1], abs=0.02)  # the centroid
    assert (found.points[high, 0] / 2 + found.points[high, 1] <= 1 + 1e-12).all()


def test_a_camera_above_sees_the_points_its_pixels_look_at():
    """Four pixels a side, focal length 4 pixels, 1.5 above the ground: (i + 0.5 - 2) / 4 * 1.5."""
    ground = mesh(trimesh.creation.box(bounds=[[-5, -5, -1], [5, 5, 0]]))
    found = depth_samples(ground, DepthMaps(1, np.pi / 2, 1.5, 4, 4.0, 0.001))
    places = [-0.5625, -0.1875, 0.1875, 0.5625]
    expected = np.array([(x, y, 0) for x in places for y in places])
    assert np.array(sorted(map(tuple, found.points.round(6)))) == pytest.approx(expected, abs=1e-6)
    assert (found.normals == (0, 0, 1)).all()


def test_cameras_stand_where_their_azimuths_say():
    """Each of four sees the side of a cube that faces it, and nobody sees the bottom."""
    cube = mesh(trimesh.creation.box(bounds=[[-0.5] * 3, [0.5] * 3]))
    first = depth_samples(cube, DepthMaps(1, 0.0, 1.5, 32, 35.0, 0.01))
    assert first.points[:, 0] == pytest.approx(0.5)
    assert (first.normals == (1, 0, 0)).all()
    around = depth_samples(cube, DepthMaps(4, np.radians(30), 1.5, 32, 35.0, 0.01))
    assert {tuple(each) for each in around.normals} == {
        (1, 0, 0),
        (-1, 0, 0),
        (0, 1, 0),
        (0, -1, 0),
        (0, 0, 1),
    }
    assert np.abs(around.points).max(axis=1) == pytest.approx(0.5, abs=1e-5)


def test_a_voxel_holds_the_mean_of_its_points():
    ground = mesh(trimesh.creation.box(bounds=[[-5, -5, -1], [5, 5, 0]]))
    found = depth_samples(ground, DepthMaps(1, np.pi / 2, 1.5, 4, 4.0, 1.0))
    assert (
        sorted(map(tuple, np.abs(found.points).round(6))) == [(0.375, 0.375, 0)] * 4
    )  # (0.1875 + 0.5625) / 2


def test_depth_maps_see_balls_as_far_apart_as_their_radii():
    scores, notes = score_meshes(ball(0.4), ball(0.5), SYNCDREAMER)
    assert scores["chamfer"] == pytest.approx(0.1, abs=0.004)
    assert scores["volume_iou"] == pytest.approx(0.8**3, abs=0.02)
    assert set(scores) == {"chamfer", "volume_iou", "normal_consistency"}
    assert notes == []


def test_what_no_camera_sees_has_no_distance():
    away = mesh(trimesh.creation.box(bounds=[[0, 0, 50], [1, 1, 51]]))
    scores, notes = score_meshes(away, ball(0.5), COARSE)
    assert (scores["chamfer"], scores["normal_consistency"], scores["volume_iou"]) == (None, None, 0)
    assert any(note.startswith("prediction: no camera") for note in notes)
    assert any(note.startswith("prediction: reaches out of the grid") for note in notes)


# Alignment


def test_steps_are_taken_in_their_order():
    box = mesh(trimesh.creation.box(bounds=[[0, 0, 0], [4, 2, 1]]))

    def bounds(*names):
        placed = aligned(box, names, np.pi / 2, 1.6).vertices
        return placed.min(axis=0), placed.max(axis=0)

    assert np.array(bounds()) == pytest.approx(np.array([[0, 0, 0], [4, 2, 1]]))
    assert np.array(bounds("centre")) == pytest.approx(np.array([[-2, -1, -0.5], [2, 1, 0.5]]))
    assert np.array(bounds("scale")) == pytest.approx(np.array([[0, 0, 0], [1.6, 0.8, 0.4]]))
    assert np.array(bounds("rotate")) == pytest.approx(np.array([[-2, 0, 0], [0, 4, 1]]))  # +x becomes +y
    placed = bounds("rotate", "centre", "scale")
    assert np.array(placed) == pytest.approx(np.array([[-0.4, -0.8, -0.2], [0.4, 0.8, 0.2]]))


def test_viewfusion_aligns_a_prediction_in_the_frame_of_its_input():
    """Its input, at azimuth 40 of the truth's frame, is at azimuth 0 of its own: it is turned by -40."""
    truth = steps()
    turned = truth.copy()
    turned.apply_transform(trimesh.transformations.rotation_matrix(np.radians(-40), (0, 0, 1)))
    turned.apply_scale(7.0)
    turned.apply_translation((10, -20, 30))
    scores, notes = score_meshes(mesh(turned), mesh(truth), VIEWFUSION, rotation=np.radians(40))
    assert scores["chamfer"] < 0.0005
    assert scores["f_score"] == 1
    assert scores["volume_iou"] > 0.99
    assert notes == []
    wrong, _ = score_meshes(mesh(turned), mesh(truth), VIEWFUSION, rotation=np.radians(-40))
    assert wrong["chamfer"] > 0.01


def test_syncdreamer_turns_the_truth_and_leaves_the_prediction():
    truth = steps()
    prediction = truth.copy()
    prediction.apply_translation(-truth.bounds.mean(axis=0))
    prediction.apply_scale(1 / truth.extents.max())
    prediction.apply_transform(trimesh.transformations.rotation_matrix(np.radians(40), (0, 0, 1)))
    scores, _ = score_meshes(mesh(prediction), mesh(truth), SYNCDREAMER, rotation=np.radians(40))
    assert scores["chamfer"] < 0.001  # a tenth of a voxel
    assert scores["volume_iou"] > 0.99
    prediction.apply_scale(5.0)
    worse, notes = score_meshes(mesh(prediction), mesh(truth), COARSE, rotation=np.radians(40))
    assert worse["chamfer"] > 0.1
    assert any("looks like other units" in note for note in notes)


def test_meshes_are_scored_from_their_files(tmp_path):
    """A PLY, z up, of the shape, and an OBJ of it, y up: (x, y, z) there is the world's (x, -z, y)."""
    truth, prediction = steps(), steps()
    prediction.vertices = prediction.vertices[:, [0, 2, 1]] * (3, 3, -3)
    truth.export(tmp_path / "truth.ply")
    prediction.export(tmp_path / "prediction.obj")
    ours, theirs = (Triangles(*read_triangles(tmp_path / name)) for name in ("prediction.obj", "truth.ply"))
    scores, notes = score_meshes(ours, theirs, VIEWFUSION)
    assert scores["chamfer"] < 0.0005
    assert scores["volume_iou"] > 0.99
    assert notes == []


# The protocols


def test_the_cameras_of_syncdreamer_are_those_of_its_pictures():
    points = MeshSettings.from_data(SYNCDREAMER).points
    pose = syncdreamer.POSES[0]
    assert (points.views, points.size, points.focal) == (
        syncdreamer.COUNT,
        syncdreamer.SIDE,
        syncdreamer.FOCAL,
    )
    assert (points.elevation, points.radius) == (pose.elevation, pose.radius)
    assert intrinsics(256)[0, 2] == points.size / 2  # c = 128


def test_the_protocols_are_those_of_the_design():
    viewfusion, sync = MeshSettings.from_data(VIEWFUSION), MeshSettings.from_data(SYNCDREAMER)
    assert viewfusion.alignment.prediction == ("rotate", "centre", "scale")
    assert (viewfusion.alignment.longest_side, viewfusion.points.count) == (1.6, 10_000)
    assert (viewfusion.chamfer, viewfusion.f_score) == ("sum_of_squares", 0.01)
    assert (sync.alignment.prediction, sync.alignment.longest_side) == ((), 1.0)
    assert (sync.points.voxel, sync.chamfer, sync.f_score, sync.volume.cells) == (
        0.01, "mean_of_distances", None, 64,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["mesh-viewfusion", "mesh-syncdreamer"])
def test_a_protocol_names_the_metrics_that_its_settings_give(name):
    stated = protocol(name)
    scores, _ = score_meshes(ball(0.4, 1), ball(0.5, 1), stated["mesh"])
    assert (stated["name"], stated["task"], stated["averaging"]) == (name, "mesh", "objects")
    assert set(stated["metrics"]) == set(scores)
    assert all(set(row["scores"]) <= set(scores) for row in stated.get("published", ()))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("chamfer",), "sum_of_square", "mesh.chamfer must be one of .* did you mean 'sum_of_squares'"),
        (("chamfers",), 1, "mesh.chamfers is unknown.* did you mean 'chamfer'"),
        (("points", "count"), 0, "mesh.points.count must be a whole number from 1"),
        (("points", "count"), True, "mesh.points.count must be a whole number"),
        (("points", "kind"), "surfaces", "mesh.points.kind must be one of .* did you mean 'surface'"),
        (("points",), None, "mesh.points.kind must be one of"),
        (("points", "voxel"), 0.1, "mesh.points.voxel is unknown"),
        (("alignment", "truth"), ["center"], "mesh.alignment.truth must be a list of rotate, centre, scale"),
        (("alignment", "truth"), [{}], "mesh.alignment.truth must be a list"),
        (("alignment", "longest_side"), float("nan"), "longest_side must be a number from 1e-06"),
        (("alignment", "longest_side"), "1.6", "longest_side must be a number"),
        (("f_score",), 0.01, "mesh.f_score must hold squared_distance, got '0.01'"),
        (("volume", "sampled_at"), -0.5, "mesh.volume.sampled_at must be a number from 0 to 1"),
        (("volume", "cells"), 10_000, "mesh.volume.cells must be a whole number from 4 to 256"),
        (("volume",), {"cells": 64}, "mesh.volume lacks side, sampled_at"),
    ],
)
def test_settings_with_a_mistake_are_refused(path, value, words):
    settings = copy.deepcopy(VIEWFUSION)
    part = settings
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(ViewFusionError, match=words):
        MeshSettings.from_data(settings)


def test_settings_that_are_no_mapping_or_lack_a_part_are_refused():
    for data in (None, [], "mesh", {}):
        with pytest.raises(ViewFusionError, match=r"protocol: mesh (must hold|lacks)"):
            MeshSettings.from_data(data)


def test_a_rotation_nobody_makes_is_refused():
    with pytest.raises(ViewFusionError, match="rotates nothing"):
        score_meshes(ball(1, 1), ball(1, 1), as_it_is(), rotation=1.0)
    with pytest.raises(ViewFusionError, match="finite number of radians"):
        score_meshes(ball(1, 1), ball(1, 1), VIEWFUSION, rotation=float("nan"))


# Meshes as they come


TRIANGLE = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), int), "without faces"),
        (TRIANGLE, np.zeros((0, 3), int), "without faces"),
        (TRIANGLE, [(0, 1, 3)], "names vertex 3 where there are 0 to 2"),
        (TRIANGLE, [(0, 1, -1)], "names vertex -1"),
        ([(0, 0, np.nan), *TRIANGLE[1:]], [(0, 1, 2)], "1 of 1 faces have a corner that is no finite"),
        ([(0, 0, np.inf), *TRIANGLE[1:]], [(0, 1, 2)], "no finite number"),
        ([(0, 0, 2e9), *TRIANGLE[1:]], [(0, 1, 2)], "at most 1e\\+09"),
        (TRIANGLE, [(0.0, 1.0, 2.0)], "faces of a mesh are whole numbers .* got float64"),
        (TRIANGLE, [(0, 1, 2, 0)], "shape \\(N, 3\\), got int64 of shape \\(1, 4\\)"),
        ([(0, 0), (1, 0), (0, 1)], [(0, 1, 2)], "vertices of a mesh are numbers of shape"),
        ([("a", "b", "c")], [(0, 0, 0)], "vertices of a mesh are numbers"),
    ],
)
def test_meshes_without_meaning_are_refused(vertices, faces, words):
    with pytest.raises(ViewFusionError, match=words):
        Triangles(np.array(vertices), np.array(faces))


def test_too_large_a_mesh_is_refused_before_it_is_copied():
    faces = np.broadcast_to(np.arange(3), (4_000_001, 3))
    with pytest.raises(
        ViewFusionError, match=r"4,000,001 faces .* too large to measure; reduce it to 4,000,000"
    ):
        Triangles(np.array(TRIANGLE), faces)


def test_a_surface_without_area_is_refused_and_named():
    line = Triangles(np.array([(0, 0, 0), (1, 1, 1), (2, 2, 2)]), np.array([(0, 1, 2)]))
    point = Triangles(np.zeros((3, 3)), np.array([(0, 1, 2)]))
    for flat in (line, point):
        with pytest.raises(ViewFusionError, match="prediction: a mesh none of whose faces has an area"):
            score_meshes(flat, ball(1, 1), VIEWFUSION)
        with pytest.raises(ViewFusionError, match="truth: a mesh none"):
            score_meshes(ball(1, 1), flat, VIEWFUSION)


def test_what_counts_for_nothing_is_left_out_with_a_note():
    whole = trimesh.creation.icosphere(subdivisions=2)
    faces = np.concatenate([whole.faces, whole.faces[:5], [(0, 0, 1), (2, 3, 3), (4, 4, 4)]])
    vertices = np.concatenate([whole.vertices, [(np.nan, 0, 0), (1e300, 0, 0)]])  # of no face
    clean, notes = cleaned(Triangles(vertices, faces))
    assert len(clean.faces) == len(whole.faces) == 320
    assert len(clean.vertices) == len(whole.vertices)
    assert notes == [
        "3 of 328 faces have no area and count for nothing",
        "5 of 328 faces are given more than once and count once",
    ]


def test_vertices_repeated_at_seams_are_one():
    whole = trimesh.creation.box(bounds=[[-1, -1, -1], [1, 1, 1]])
    loose = Triangles(whole.vertices[whole.faces].reshape(-1, 3) * (1, 1, -1), np.arange(36).reshape(-1, 3))
    clean, notes = cleaned(loose)
    assert (len(clean.vertices), notes) == (8, [])


@pytest.mark.parametrize("settings", [VIEWFUSION, COARSE], ids=["viewfusion", "syncdreamer"])
def test_scores_do_not_depend_on_the_order_in_a_file(settings):
    truth, shape, generator = (
        steps(),
        trimesh.creation.icosphere(subdivisions=2, radius=0.5),
        np.random.default_rng(1),
    )
    order = generator.permutation(len(shape.vertices))
    faces = np.argsort(order)[shape.faces][generator.permutation(len(shape.faces))]
    turned = np.take_along_axis(
        faces, (generator.integers(3, size=(len(faces), 1)) + np.arange(3)) % 3, axis=1
    )
    shuffled = Triangles(shape.vertices[order], turned)
    assert score_meshes(shuffled, mesh(truth), settings, 0.3) == score_meshes(
        mesh(shape), mesh(truth), settings, 0.3
    )


def test_any_numbers_give_scores_or_one_line():
    """Random corners, many of them extreme, and random faces: a score is a finite number or None."""
    extremes = np.array([0, -0.0, 1, -1, 1e-300, 1e-9, 1e9, -1e9, 1e9 + 1, 1e-160, np.nan, 0.5])
    settings = as_it_is(
        points={"kind": "surface", "count": 50, "seed": 0},
        volume={"cells": 8, "side": 2.0, "sampled_at": 0.5},
    )
    aligning = {**settings, "alignment": VIEWFUSION["alignment"]}
    cameras = {**COARSE, "points": {**COARSE["points"], "size": 8, "focal": 9.0}}
    scored = 0
    for number in range(80):
        generator = np.random.default_rng(number)
        count = int(generator.integers(3, 9))
        kinds = extremes if number % 3 else extremes[[0, 2, 3, 11]]
        vertices = generator.choice(kinds, (count, 3))
        faces = generator.integers(0, count + (number % 5 == 0), (int(generator.integers(1, 30)), 3))
        for chosen in (settings, aligning, cameras):
            with suppress(ViewFusionError):
                shape = Triangles(vertices, faces)
                for pair in ((shape, BALL), (BALL, shape)):
                    scores, _ = score_meshes(*pair, chosen)
                    assert all(each is None or np.isfinite(each) for each in scores.values()), number
                    scored += 1
    assert scored > 100


def test_a_holed_ball_is_scored_and_noted():
    whole = trimesh.creation.icosphere(subdivisions=4)
    holed = Triangles(whole.vertices, whole.faces[whole.triangles_center[:, 2] < 0.9])
    scores, notes = score_meshes(
        holed, mesh(whole), as_it_is(volume={"cells": 64, "side": 2.5, "sampled_at": 0.5})
    )
    assert scores["volume_iou"] > 0.98
    assert len(notes) == 1
    assert notes[0].startswith("prediction: not watertight: a face is missing at ")


def test_a_sheet_has_distances_but_no_volume():
    sheet = Triangles(
        np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]), np.array([(0, 1, 2), (0, 2, 3)])
    )
    scores, notes = score_meshes(ball(1, 2), sheet, VIEWFUSION)
    assert scores["volume_iou"] is None
    assert scores["chamfer"] > 0.01
    assert "truth: encloses no cell of the grid: it has no volume" in notes
    scores, _ = score_meshes(sheet, ball(1, 2), VIEWFUSION)
    assert scores["volume_iou"] == 0


@pytest.mark.parametrize(
    ("module", "settings", "words"),
    [
        ("scipy.spatial", VIEWFUSION, r"SciPy .*; run `pip install 'viewfusion\[evaluation\]'"),
        ("embreex.mesh_construction", COARSE, r"embreex .*; run `pip install 'viewfusion\[render\]'"),
    ],
)
def test_a_missing_package_is_named_with_its_remedy(monkeypatch, module, settings, words):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ViewFusionError, match=words):
        score_meshes(ball(0.5, 1), ball(0.5, 1), settings)
