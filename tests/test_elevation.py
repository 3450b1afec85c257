"""Is the elevation that is known found, and is one that is not known admitted?"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evidence.elevations import true_views
from evidence.subjects import Procedural
from test_cli import CHAIR, refused

from viewfusion import ViewFusionPipeline, load_config
from viewfusion.cli import elevations
from viewfusion.cli.wanted import wanted_turn, wanted_views
from viewfusion.conditioning import ReferenceMemory
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics, project
from viewfusion.preprocessing.elevation import (
    MOVES,
    ElevationEstimate,
    curve_picture,
    estimate_elevation,
    estimate_from_points,
    nearby_poses,
)
from viewfusion.preprocessing.elevation.confidence import cells_of, find_least
from viewfusion.preprocessing.elevation.points import SIDE, points_found_again
from viewfusion.preprocessing.elevation.triangulation import (
    TOLERANCE,
    cameras,
    freedoms,
    misfits,
    misfits_at_rest,
    triangulated,
)

RIGHT_ANGLE = [(0.0, 0.0), (math.pi / 2, 0.0)]


def seen_points(elevation_deg: float, count: int = 80, seed: int = 0, radius: float = 1.5) -> np.ndarray:
    """(T, 5, 2) of random points of a cube of side 0.7, seen without error."""
    world = np.random.default_rng(seed).uniform(-0.35, 0.35, (count, 3))
    poses = [Pose(turn, math.radians(elevation_deg) + rise, radius) for turn, rise in MOVES]
    return np.stack([project(world, camera_to_world(pose), intrinsics(1)) for pose in poses], axis=1)


# Triangulation.


def test_rays_at_a_right_angle_meet_where_they_should():
    # The camera on +x sees +y on its right, 0.3 / 1.5 of the focal length off the centre; that on +y sees the
    # point on its axis.
    points = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.5 + 35 / 32 * 0.2, 0.5], [0.5, 0.5]]])
    assert triangulated(points, cameras(RIGHT_ANGLE, 0.0, 1.5)) == pytest.approx(
        np.array([[0, 0, 0], [0, 0.3, 0]]), abs=1e-5
    )
    assert freedoms(points).tolist() == [1, 1]


def test_a_point_off_by_the_tolerance_is_half_misfit():
    # Up by d for one camera, down by d for the other: by symmetry the origin lies between the rays, d off in
    # both pictures. Two squares d^2 over one degree of freedom are the tolerance's square.
    d = TOLERANCE / math.sqrt(2)
    points = np.array([[[0.5, 0.5 + d], [0.5, 0.5 - d]], [[0.5, 0.5], [0.5, 0.5]]])
    assert misfits(points, RIGHT_ANGLE, 0.0, 1.5) == pytest.approx([0.5, 0], abs=1e-3)
    # At rest there are two degrees of freedom: half the square.
    assert misfits_at_rest(points) == pytest.approx([1 / 3, 0])


def test_a_point_nobody_else_sees_takes_no_part():
    points = seen_points(20)
    hidden = points.copy()
    hidden[:, 3:] = np.nan
    assert freedoms(hidden).tolist() == [3] * len(points)
    matrices = cameras(MOVES, math.radians(20), 1.5)
    assert triangulated(hidden, matrices) == pytest.approx(triangulated(points, matrices), abs=1e-6)


# The estimate.


@pytest.mark.parametrize("elevation_deg", [-35, -5, 0, 12.3, 30, 55.7])
@pytest.mark.parametrize("radius", [1.2, 2.2])
def test_exact_points_give_the_exact_elevation(elevation_deg, radius):
    estimate = estimate_from_points(seen_points(elevation_deg, radius=radius), 30.0, radius)
    assert estimate.confident
    assert estimate.confidence > 0.95
    assert estimate.elevation_deg == estimate.measured_deg == pytest.approx(elevation_deg, abs=0.5)
    assert min(estimate.curve, key=lambda point: point[1])[0] == pytest.approx(elevation_deg, abs=1)


def test_wrong_matches_do_not_matter_if_most_are_right():
    points, rng = seen_points(25, 200), np.random.default_rng(1)
    points += rng.normal(0, 0.001, points.shape)
    points[:70, 1:] = rng.uniform(0.2, 0.8, (70, 4, 2))
    estimate = estimate_from_points(points)
    assert estimate.confident
    assert estimate.elevation_deg == pytest.approx(25, abs=2)


def test_random_matches_are_not_believed():
    for seed in range(5):
        points = np.random.default_rng(seed).uniform(0.2, 0.8, (100, 5, 2))
        estimate = estimate_from_points(points, fallback_deg=17.0)
        assert not estimate.confident
        assert estimate.elevation_deg == 17
        assert estimate.confidence < 0.2


def test_copies_of_the_photo_say_nothing():
    """As flat as they look they fit level cameras exactly; it is no elevation that was seen."""
    points = np.repeat(seen_points(40)[:, :1], 5, axis=1)
    estimate = estimate_from_points(points)
    assert (estimate.confident, estimate.elevation_deg) == (False, 30)
    assert (estimate.turn, estimate.doubt) == (0, "the views hardly turn the object")
    trembling = points + np.random.default_rng(0).normal(0, 0.002, points.shape)
    assert not estimate_from_points(trembling).confident
    assert estimate_from_points(seen_points(40)).turn > 0.95


def test_a_camera_above_the_grid_is_not_placed_at_its_end():
    estimate = estimate_from_points(seen_points(70))
    assert (estimate.confident, estimate.elevation_deg, estimate.measured_deg) == (False, 30, 60)
    assert "the last one tried" in estimate.warning
    assert "60 would fit best" in estimate.warning
    assert estimate.warning.endswith("taken to be 30 degrees; give elevation_deg=DEGREES if you know better")


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_points(count):
    estimate = estimate_from_points(seen_points(10, count))
    assert (estimate.confident, estimate.elevation_deg, estimate.measured_deg) == (False, 30, None)
    assert "found again" in estimate.warning


def test_points_of_one_place_count_once():
    few = np.tile(seen_points(10, 4), (50, 1, 1))
    estimate = estimate_from_points(few)
    assert estimate.points == 200
    assert not estimate.confident
    assert "only 4 places" in estimate.doubt


def test_poses_are_ten_degrees_around_any_fallback():
    for fallback, base in ((30, 30), (90, 80), (-90, -80)):
        poses = nearby_poses(fallback, 1.7)
        found = [(round(pose.azimuth_deg, 6), round(pose.elevation_deg - base, 6)) for pose in poses]
        assert found == [(0, 0), (10, 0), (-10, 0), (0, 10), (0, -10)]
        assert {pose.radius for pose in poses} == {1.7}


# Its worth.


def test_the_least_of_a_parabola_between_the_candidates():
    degrees = np.arange(-5.0, 6.0)
    misfit = np.tile((degrees - 1.3) ** 2 / 100, (6, 1))
    found = find_least(misfit, np.full(6, 0.0018), np.ones(6), np.arange(6), degrees)
    assert found.least_deg == pytest.approx(1.3)
    assert (found.agreement, found.places, found.at_end) == (1, 6, False)
    assert found.turn == pytest.approx(0.5)
    assert found.depth == pytest.approx(1 - 0.0009 / np.median((degrees - 1.3) ** 2 / 100))


def test_places_that_disagree():
    """Half of them want -40 degrees and half 40: the other half wins in about as many resamples."""
    degrees = np.arange(-50.0, 51.0)
    rows = [np.minimum(1, np.abs(degrees - wanted) / 30) for wanted in [-40] * 20 + [40] * 21]
    found = find_least(np.array(rows), np.ones(41), np.ones(41), np.arange(41), degrees)
    assert found.least_deg == 40
    assert 0.4 < found.agreement < 0.75


def test_weights_and_places():
    degrees = np.arange(3.0)
    misfit = np.array([[0, 0.5, 1], [1, 0.5, 0]])
    found = find_least(misfit, np.array([1.0, 0.0]), np.array([3.0, 1.0]), np.array([7, 7]), degrees)
    assert found.curve.tolist() == [0.25, 0.5, 0.75]
    assert found.turn == pytest.approx(1 - 0.25 / 0.75)
    assert (found.places, found.at_end, found.confidence) == (1, True, 0)
    points = np.array([[[0.01, 0.01], [np.nan, np.nan]], [[0.99, 0.05], [1.5, 0.05]]])
    assert cells_of(points).tolist() == [0, 15]


# Pictures.


def test_a_shifted_picture_shifts_its_points():
    """By three pixels of 64 across and two down: the same share of the frame at the size of the search."""
    rng = np.random.default_rng(0)
    colours = np.kron(rng.integers(0, 200, (8, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    pictures = np.full((2, 64, 64, 3), 255, np.uint8)
    pictures[0, 12:44, 14:46] = colours
    pictures[1, 14:46, 17:49] = colours
    points = points_found_again(list(pictures))
    assert points.shape[1:] == (2, 2)
    assert len(points) > 50
    moved = points[:, 1] - points[:, 0]
    assert np.median(moved, axis=0) == pytest.approx([3 / 64, 2 / 64], abs=1 / SIDE / 2)
    assert np.mean(np.linalg.norm(moved - [3 / 64, 2 / 64], axis=1) < 1 / SIDE) > 0.9


def test_pictures_without_texture_have_no_points():
    plain = np.full((64, 64, 3), 255, np.uint8)
    assert points_found_again([plain] * 5).shape == (0, 5, 2)
    disc = plain.copy()
    disc[np.hypot(*np.mgrid[-32:32, -32:32]) < 20] = 120
    estimate = estimate_elevation(disc, lambda source, targets: [disc] * len(targets), 20.0)
    assert (estimate.confident, estimate.elevation_deg) == (False, 20)


@pytest.mark.parametrize(("number", "elevation_deg"), [(500000003, 42.0), (500000005, 8.0)])
def test_true_views_of_64_pixels(number, elevation_deg):
    estimate = estimate_elevation(*true_views(Procedural(number), elevation_deg, 64))
    assert estimate.confident
    assert estimate.elevation_deg == pytest.approx(elevation_deg, abs=6)


# What is told.


def test_an_estimate_comes_back_from_its_file():
    estimate = estimate_from_points(seen_points(20))
    assert ElevationEstimate.from_dict(json.loads(json.dumps(estimate.to_dict()))) == estimate
    assert len(estimate.curve) == 121
    assert "curve" not in estimate.to_dict(with_curve=False)


@pytest.mark.parametrize(
    "change",
    [
        *({"elevation_deg": "high"}, {"elevation_deg": 91}, {"elevation_deg": math.nan}, {"x": 1}),
        *({"measured_deg": "low"}, {"confidence": None}, {"doubt": 3}, {"depth": math.inf}),
        *({"curve": 3}, {"curve": [[0, math.nan]]}),
    ],
)
def test_what_is_no_estimate_is_refused(change):
    values = {**estimate_from_points(seen_points(20)).to_dict(), **change}
    with pytest.raises((TypeError, ValueError)):
        ElevationEstimate.from_dict(values)


def test_the_picture_marks_what_is_used():
    sure = estimate_from_points(seen_points(20))
    pixels = np.asarray(curve_picture(sure)).astype(int)
    orange = (pixels[..., 0] > 180) & (pixels[..., 2] < 90)
    column = 44 + (sure.elevation_deg + 90) / 180 * (480 - 44 - 16)
    assert abs(np.flatnonzero(orange[80:200].any(0)).mean() - column) < 1.5
    nothing = np.asarray(curve_picture(ElevationEstimate(30, None, 0.0, "no point of it was found again")))
    assert nothing.shape == pixels.shape
    assert not np.array_equal(nothing, pixels)


# The pipeline.


def test_the_pipeline_makes_four_views_from_the_photo_alone():
    pipeline = ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")
    memory = ReferenceMemory(pipeline.model)
    config = load_config("balanced", ["elevation_deg=12", "views=2", "sampling.num_inference_steps=1"])
    photo = pipeline.prepare(CHAIR)
    estimate = pipeline.estimate_elevation(photo, config, memory=memory)
    assert estimate.network_evaluations == 4 * 15 * 2  # a row for the photo and one for no photo
    assert estimate.points > 8
    assert estimate.elevation_deg == (estimate.measured_deg if estimate.confident else 12)
    assert memory.encodes == 1
    views = list(pipeline.iter_views(photo, config.trajectory(), config, memory=memory))
    assert (len(views), memory.encodes) == (2, 1)


# The commands.


def test_auto_is_used_where_it_is_sure_and_told_where_it_is_not(run, tmp_path):
    command = ["generate-360", CHAIR, "--elevation-deg", "auto", "--preset", "fast", "--views", 2]
    command += ["--num-samples", 2, "sampling.num_inference_steps=1", "--out", tmp_path]
    code, _, err = run(*command)
    assert code == 0, err
    told = {"sure": err.count("chair.png: elevation "), "not": err.count("the elevation is not known")}
    for seed in ("seed-0000", "seed-0001"):
        folder = tmp_path / "chair" / seed
        estimate = json.loads((folder / "elevation.json").read_text())["estimate"]
        assert told == ({"sure": 0, "not": 1} if estimate["doubt"] else {"sure": 1, "not": 0})  # of two seeds
        used = 30 if estimate["doubt"] else estimate["measured_deg"]
        assert (estimate["elevation_deg"], estimate["network_evaluations"]) == (used, 120)
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["config"]["elevation_deg"] == used
        assert manifest["config"]["seed"] == int(seed[-4:])
        assert [view["pose"]["elevation_deg"] for view in manifest["views"]] == [used, used]
        curve = estimate.pop("curve")
        assert (manifest["input"]["elevation"], len(curve)) == (estimate, 121)
        assert {"elevation.json", "elevation.png"} <= set(manifest["files"])
    made = {(tmp_path / "chair" / seed / "views/001.png").read_bytes() for seed in ("seed-0000", "seed-0001")}
    assert len(made) == 2, "another seed, another picture"
    code, _, err = run(*command)
    assert (code, err.count("complete already"), err.count("elevation is")) == (0, 2, 0)


def test_a_run_goes_on_with_the_elevation_it_began_with(tmp_path):
    wanted = wanted_turn("fast", ["elevation_deg=10", "views=4", "elevation_deg=auto"])
    assert wanted.config.elevation_deg == 10
    of = {"photo": "abc"}
    begun = elevations.settled(wanted, of, tmp_path, {}, lambda: ElevationEstimate(23.4, 23.4, 0.9))
    assert {round(pose.elevation_deg, 6) for pose in begun.trajectory.views} == {23.4}
    assert begun.config.elevation_deg == 23.4
    content, _ = elevations.report(begun)
    (tmp_path / "elevation.json").write_text(json.dumps(content))

    def other() -> ElevationEstimate:
        return ElevationEstimate(50.0, 50.0, 0.9)

    assert elevations.settled(wanted, of, tmp_path, {}, other).config == begun.config
    for changed in ({"photo": "abd"}, {"photo": "abc", "more": 1}):
        assert elevations.settled(wanted, changed, tmp_path, {}, other).config.elevation_deg == 50
    nearer = replace(wanted, config=replace(wanted.config, radius=1.2))
    assert elevations.settled(nearer, of, tmp_path, {}, other).config.elevation_deg == 50
    for text in ("", "[]", json.dumps({**content, "estimate": {}}), json.dumps({**content, "estimate": 3})):
        (tmp_path / "elevation.json").write_text(text)
        assert elevations.settled(wanted, of, tmp_path, {}, other).config.elevation_deg == 50


def test_an_elevation_that_is_given_is_not_estimated(tmp_path):
    given = wanted_turn("fast", ["elevation_deg=auto", "elevation_deg=20"])
    assert given.config.elevation_deg == 20

    def asked() -> ElevationEstimate:
        raise AssertionError

    assert elevations.settled(given, {}, tmp_path, {}, asked) is given
    assert elevations.report(given) is None
    assert given.estimate_json() == {}


def test_single_views_start_at_the_elevation_that_was_estimated(tmp_path):
    wanted = wanted_views("fast", ["elevation_deg=auto"], {"azimuth_deg": 20.0, "elevation_deg": 40.0})
    sure = ElevationEstimate(20.0, 20.0, 1.0)
    (made,) = (elevations.settled(one, {}, tmp_path, {}, lambda: sure) for one in wanted)
    assert [round(pose.elevation_deg, 6) for pose in made.trajectory.views] == [20, 30, 40]
    there = wanted_views("fast", ["elevation_deg=auto"], {"elevation_deg": 20.0})
    with pytest.raises(ViewFusionError, match="where the input stands"):
        elevations.settled(there[0], {}, tmp_path, {}, lambda: sure)


def test_what_auto_cannot_go_with(run, tmp_path):
    poses: Path = tmp_path / "poses.json"
    views = [{"azimuth_deg": degrees, "elevation_deg": 5, "radius": 2} for degrees in (0, 9)]
    poses.write_text(json.dumps({"views": views}))
    command = ["generate-360", CHAIR, "--out", tmp_path / "out"]
    refused(run(*command, "--trajectory", poses, "--elevation-deg", "auto"), "leave elevation_deg=auto out")
    refused(run(*command, "--elevation-deg", "high"), "--elevation-deg must be degrees, or auto, got 'high'")
    refused(run("plan", "--elevation-deg", "auto"), "give it in degrees")
    assert not (tmp_path / "out").exists()
