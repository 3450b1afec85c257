"""Poses, cameras and trajectories against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfusion.geometry import (
    FOV,
    PATH_STEP,
    Pose,
    angular_distance,
    around,
    azimuth_distance,
    camera_to_world,
    colmap_to_opengl,
    elevation_sweep,
    intrinsics,
    nerfstudio_to_opengl,
    opencv_to_opengl,
    opengl_to_colmap,
    opengl_to_nerfstudio,
    opengl_to_opencv,
    path_to,
    pose_embedding,
    pose_from_camera_to_world,
    project,
    ring,
    ring_around,
    wrap_angle,
)

PI = math.pi


def deg(azimuth: float, elevation: float = 30.0, radius: float = 1.5) -> Pose:
    return Pose.from_degrees(azimuth, elevation, radius)


def random_poses(count: int) -> list[Pose]:
    rng = np.random.default_rng(0)
    return [deg(rng.uniform(-360, 360), rng.uniform(-89, 89), rng.uniform(0.5, 3)) for _ in range(count)]


# Poses


def test_degrees_come_in_through_one_door():
    pose = Pose.from_degrees(90, -45, 2)
    assert (pose.azimuth, pose.elevation, pose.radius) == pytest.approx((PI / 2, -PI / 4, 2.0))
    assert (pose.azimuth_deg, pose.elevation_deg) == pytest.approx((90, -45))
    assert pose.polar == pytest.approx(math.radians(135))


def test_an_unknown_camera_is_30_degrees_up_at_distance_one_and_a_half():
    assert (Pose(0.0).elevation_deg, Pose(0.0).radius) == pytest.approx((30.0, 1.5))


@pytest.mark.parametrize("elevation_deg", [-90, 90])
def test_the_poles_are_poses(elevation_deg):
    assert deg(0, elevation_deg).elevation_deg == pytest.approx(elevation_deg)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((math.nan, 0, 1), "azimuth must be a finite number"),
        ((math.inf, 0, 1), "azimuth must be a finite number"),
        ((0, math.nan, 1), "elevation must be a finite number"),
        ((0, 0, math.nan), "radius must be a finite number"),
        ((0, 0, math.inf), "radius must be a finite number"),
        ((0, 90.1, 1), "within"),
        ((0, -91, 1), "within"),
        ((0, 0, 0), "radius must be positive"),
        ((0, 0, -1.5), "radius must be positive"),
    ],
)
def test_impossible_poses_are_refused(numbers, words):
    with pytest.raises(ValueError, match=words):
        Pose.from_degrees(*numbers)


# Angles


@pytest.mark.parametrize(
    ("angle", "wrapped"),
    [
        (0.0, 0.0),
        (1.0, 1.0),
        (-1.0, -1.0),
        (PI, PI),
        (-PI, PI),
        (3 * PI, PI),
        (-3 * PI, PI),
        (2 * PI, 0.0),
        (1.5 * PI, -0.5 * PI),
        (-1.5 * PI, 0.5 * PI),
        (20 * PI + 0.25, 0.25),
        (1e-9, 1e-9),
        (-1e-9, -1e-9),
        (PI + 1e-6, -PI + 1e-6),
        (-PI - 1e-6, PI - 1e-6),
    ],
)
def test_wrap_angle(angle, wrapped):
    assert wrap_angle(angle) == pytest.approx(wrapped, abs=1e-12)


def test_wrapped_angles_lie_between_minus_pi_and_pi():
    for angle in np.linspace(-50, 50, 5001):
        assert -PI < wrap_angle(angle) <= PI


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [(0, 90, 90), (90, 0, 90), (350, 10, 20), (-170, 170, 20), (0, 180, 180), (0, 360, 0), (725, 0, 5)],
)
def test_azimuth_distance_goes_the_short_way(a, b, distance):
    assert azimuth_distance(deg(a), deg(b)) == pytest.approx(math.radians(distance), abs=1e-12)


def test_angular_distance_adds_the_elevations():
    assert angular_distance(deg(350, 60), deg(10, 25)) == pytest.approx(math.radians(20 + 35))
    assert angular_distance(deg(5, 10, 1.0), deg(5, 10, 2.0)) == 0


def test_an_angle_just_past_pi_stays_above_minus_pi():
    assert wrap_angle(math.nextafter(PI, 4)) > -PI


# What the network is told


def test_pose_embedding_of_zero123():
    # 30 degrees higher is 30 degrees less polar angle; a quarter turn has sine 1, cosine 0.
    target = deg(90, 60, 1.7)
    rows = pose_embedding(target, [deg(0, 30, 1.5), deg(120, 60, 2.0)])
    np.testing.assert_allclose(rows[0], [-PI / 6, 1, 0, 0.2], atol=1e-12)
    np.testing.assert_allclose(rows[1], [0, -0.5, math.sqrt(3) / 2, -0.3], atol=1e-12)


def test_pose_embedding_of_stable_zero123_ends_in_the_references_polar_angle():
    rows = pose_embedding(deg(90, 60, 1.7), [deg(0, 30, 1.5), deg(180, -10, 1.5)], "stable-zero123")
    np.testing.assert_allclose(rows[0], [-PI / 6, 1, 0, math.radians(60)], atol=1e-12)
    np.testing.assert_allclose(rows[1], [-math.radians(70), -1, 0, math.radians(100)], atol=1e-12)


def test_pose_embedding_of_nothing_has_four_columns():
    assert pose_embedding(deg(0), []).shape == (0, 4)


def test_pose_embedding_refuses_an_unknown_family():
    with pytest.raises(ValueError, match=r"zero321.*known: zero123, stable-zero123"):
        pose_embedding(deg(0), [deg(0)], "zero321")


# Cameras


@pytest.mark.parametrize(
    ("azimuth", "elevation", "right", "up", "position"),
    [
        (0, 0, (0, 1, 0), (0, 0, 1), (2, 0, 0)),
        (90, 0, (-1, 0, 0), (0, 0, 1), (0, 2, 0)),
        (180, 0, (0, -1, 0), (0, 0, 1), (-2, 0, 0)),
        (0, 90, (0, 1, 0), (-1, 0, 0), (0, 0, 2)),
        (90, 90, (-1, 0, 0), (0, -1, 0), (0, 0, 2)),
        (0, -90, (0, 1, 0), (1, 0, 0), (0, 0, -2)),
    ],
)
def test_camera_to_world_by_hand(azimuth, elevation, right, up, position):
    matrix = camera_to_world(deg(azimuth, elevation, 2))
    np.testing.assert_allclose(matrix[:3, 0], right, atol=1e-12)
    np.testing.assert_allclose(matrix[:3, 1], up, atol=1e-12)
    np.testing.assert_allclose(matrix[:3, 2], np.divide(position, 2), atol=1e-12)
    np.testing.assert_allclose(matrix[:3, 3], position, atol=1e-12)
    np.testing.assert_array_equal(matrix[3], [0, 0, 0, 1])


@pytest.mark.parametrize("pose", random_poses(8))
def test_cameras_are_rigid_upright_and_look_at_the_origin(pose):
    matrix = camera_to_world(pose)
    rotation = matrix[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[2, 0] == pytest.approx(0)
    assert np.linalg.norm(matrix[:3, 3]) == pytest.approx(pose.radius)
    centre = project(np.zeros((1, 3)), matrix, intrinsics((192, 256)))
    np.testing.assert_allclose(centre, [[128, 96]], atol=1e-9)


@pytest.mark.parametrize("pose", [*random_poses(8), deg(0, 0), deg(180, 10), deg(30, 90), deg(-70, -90)])
def test_a_pose_comes_back_from_its_matrix(pose):
    found = pose_from_camera_to_world(camera_to_world(pose))
    assert azimuth_distance(found, pose) == pytest.approx(0, abs=1e-9)
    # arcsin is flat at the poles.
    assert found.elevation == pytest.approx(pose.elevation, abs=1e-7)
    assert found.radius == pytest.approx(pose.radius)


def rolled(matrix: np.ndarray) -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    return matrix @ turn


def moved(matrix: np.ndarray, by: tuple[float, float, float]) -> np.ndarray:
    matrix = matrix.copy()
    matrix[:3, 3] += by
    return matrix


def mirrored(matrix: np.ndarray) -> np.ndarray:
    return matrix @ np.diag([-1.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (rolled(camera_to_world(deg(20))), "look at the origin with z up"),
        (moved(camera_to_world(deg(20)), (0, 0, 0.1)), "look at the origin with z up"),
        (opengl_to_opencv(camera_to_world(deg(20))), "look at the origin with z up"),
        (mirrored(camera_to_world(deg(20))), "look at the origin with z up"),
        (np.eye(4), "sits at the origin"),
        (moved(np.eye(4), (math.nan, 0, 0)), "sits at the origin or is not finite"),
    ],
)
def test_other_matrices_have_no_pose(matrix, words):
    with pytest.raises(ValueError, match=words):
        pose_from_camera_to_world(matrix)


def seen(world_to_camera: np.ndarray, point: tuple[float, float, float]) -> np.ndarray:
    return (world_to_camera @ [*point, 1.0])[:3]


# The camera of the next tests stands at (2, 0, 0) and looks along -x: +y is to its right, +z is up.
CAMERA = camera_to_world(deg(0, 0, 2))
POINT = (0.0, 0.25, 0.5)


def test_opengl_has_points_in_front_at_negative_z():
    np.testing.assert_allclose(seen(np.linalg.inv(CAMERA), POINT), [0.25, 0.5, -2], atol=1e-12)


def test_opencv_has_points_in_front_at_positive_z_and_y_down():
    world_to_camera = np.linalg.inv(opengl_to_opencv(CAMERA))
    np.testing.assert_allclose(seen(world_to_camera, POINT), [0.25, -0.5, 2], atol=1e-12)


def test_colmap_stores_world_to_camera_in_opencv_axes():
    matrix = opengl_to_colmap(CAMERA)
    np.testing.assert_allclose(seen(matrix, POINT), [0.25, -0.5, 2], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, :3], [[0, 1, 0], [0, 0, -1], [-1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(matrix[:3, 3], [0, 0, 2], atol=1e-12)


def test_nerfstudio_stores_opengl_camera_to_world():
    matrix = opengl_to_nerfstudio(CAMERA)
    np.testing.assert_allclose(matrix[:3, 3], [2, 0, 0], atol=1e-12)
    np.testing.assert_allclose(seen(np.linalg.inv(matrix), POINT), [0.25, 0.5, -2], atol=1e-12)
    assert matrix is not CAMERA


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (opengl_to_opencv, opencv_to_opengl),
        (opengl_to_colmap, colmap_to_opengl),
        (opengl_to_nerfstudio, nerfstudio_to_opengl),
    ],
)
@pytest.mark.parametrize("pose", random_poses(3))
def test_converters_come_back(there, back, pose):
    np.testing.assert_allclose(back(there(camera_to_world(pose))), camera_to_world(pose), atol=1e-12)


def test_intrinsics_of_zero123():
    # 35 mm lens, 32 mm sensor: focal / width = 35 / 32, so 280 of 256 pixels.
    assert intrinsics(256)[0, 0] == pytest.approx(128 / math.tan(math.radians(49.134) / 2))
    np.testing.assert_allclose(intrinsics(256), [[280, 0, 128], [0, 280, 128], [0, 0, 1]], atol=3e-3)
    assert math.tan(FOV / 2) == pytest.approx(16 / 35, abs=1e-5)


def test_the_field_of_view_spans_the_width():
    matrix = intrinsics((100, 300), fov=PI / 2)
    np.testing.assert_allclose(matrix, [[150, 0, 150], [0, 150, 50], [0, 0, 1]])


def test_project_by_hand():
    # At depth 2 a focal length of 280: 0.25 to the right is 35 pixels, 0.5 up is 70.
    matrix = np.array([[280.0, 0, 128], [0, 280, 128], [0, 0, 1]])
    pixels = project(np.array([POINT, (1.0, 0.0, 0.0)]), CAMERA, matrix)
    np.testing.assert_allclose(pixels, [[163, 58], [128, 128]], atol=1e-9)


# Trajectories


@pytest.mark.parametrize(
    ("views", "order"),
    [
        (2, (1,)),
        (3, (1, 2)),
        (4, (1, 3, 2)),
        (5, (1, 4, 2, 3)),
        (8, (1, 7, 2, 6, 3, 5, 4)),
    ],
)
def test_a_ring_is_made_outwards_on_both_sides(views, order):
    assert ring(views).order == order


def test_the_order_of_36_views():
    order = ring(36).order
    assert order[:6] == (1, 35, 2, 34, 3, 33)
    assert order[-3:] == (17, 19, 18)
    assert sorted(order) == list(range(1, 36))


@pytest.mark.parametrize("views", [2, 3, 4, 5, 8, 36])
def test_the_views_of_a_ring_stand_in_azimuth_order(views):
    trajectory = ring(views, math.radians(20), 1.7)
    assert (trajectory.kind, trajectory.num_inputs) == ("ring", 1)
    assert trajectory.inputs == (Pose(0.0, math.radians(20), 1.7),)
    azimuths = [pose.azimuth_deg for pose in trajectory.views]
    assert azimuths == pytest.approx([i * 360 / views for i in range(views)])
    assert {(pose.elevation, pose.radius) for pose in trajectory.views} == {(math.radians(20), 1.7)}


@pytest.mark.parametrize("views", [1, 0, -3])
def test_a_ring_of_fewer_than_two_views_is_refused(views):
    with pytest.raises(ValueError, match=f"at least 2 views .*got {views}"):
        ring(views)


def test_ring_around_turns_the_first_input_to_azimuth_zero():
    trajectory = ring_around((deg(40, 20, 1.6), deg(130, -5, 1.8)), 4)
    found = [(pose.azimuth_deg, pose.elevation_deg, pose.radius) for pose in trajectory.views]
    expected = [(0, 20, 1.6), (90, -5, 1.8), (90, 20, 1.6), (180, 20, 1.6), (270, 20, 1.6)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (trajectory.num_inputs, trajectory.order) == (2, (2, 4, 3))
    assert trajectory.inputs == trajectory.views[:2]


@pytest.mark.parametrize(
    ("azimuth", "elevation", "steps"),
    [
        (30, 30, 3),
        (-30, 30, 3),
        (30.1, 30, 4),
        (29.9, 30, 3),
        (9, 30, 1),
        (10, 30, 1),
        (180, 30, 18),
        (0, 60, 3),
        (0, -25, 6),
        (20, 65, 4),
        (50, 20, 5),
        (0, 30, 1),
    ],
)
def test_a_path_takes_steps_of_at_most_ten_degrees(azimuth, elevation, steps):
    assert math.degrees(PATH_STEP) == pytest.approx(10)
    trajectory = path_to(deg(0), deg(azimuth, elevation))
    assert len(trajectory.views) == 1 + steps
    assert trajectory.order == tuple(range(1, steps + 1))
    assert (trajectory.kind, trajectory.num_inputs, trajectory.views[0]) == ("path", 1, deg(0))


@pytest.mark.parametrize("start", [0.0, 13.7, -170.0, 301.0])
@pytest.mark.parametrize("steps", range(1, 18))
def test_exact_multiples_need_no_step_more(start, steps):
    assert len(path_to(deg(start), deg(start + 10 * steps)).order) == steps


def test_a_path_is_even_in_all_three_numbers():
    trajectory = path_to(deg(10, 20, 1.5), deg(40, 5, 1.8))
    found = [(pose.azimuth_deg, pose.elevation_deg, pose.radius) for pose in trajectory.views]
    np.testing.assert_allclose(found, [(10, 20, 1.5), (20, 15, 1.6), (30, 10, 1.7), (40, 5, 1.8)], atol=1e-9)


def test_a_path_goes_the_short_way_round():
    trajectory = path_to(deg(0), deg(350))
    assert [pose.azimuth_deg for pose in trajectory.views] == pytest.approx([0, -10])
    trajectory = path_to(deg(170), deg(-170))
    assert [pose.azimuth_deg for pose in trajectory.views] == pytest.approx([170, 180, 190])


def test_a_move_of_the_radius_alone_is_one_step():
    trajectory = path_to(deg(0, 30, 1.5), deg(0, 30, 2.0))
    assert trajectory.views == (deg(0, 30, 1.5), deg(0, 30, 2.0))
    assert trajectory.order == (1,)


def test_the_step_can_be_chosen():
    assert len(path_to(deg(0), deg(30), step=math.radians(5)).order) == 6


@pytest.mark.parametrize("target", random_poses(6))
def test_a_path_ends_at_its_target(target):
    last = path_to(deg(12, -40, 1.2), target).views[-1]
    assert angular_distance(last, target) == pytest.approx(0, abs=1e-9)
    assert last.radius == pytest.approx(target.radius)


def test_targets_around_an_input_are_made_the_nearest_first():
    """Distances by hand: 90, 10 (the short way), 50 (20 + 30), 10, 0 (closer only), 90; ties as given."""
    source = deg(0, 30)
    targets = [deg(90), deg(350), deg(-20, 60), deg(10), deg(0, 30, 1.2), deg(-90)]
    trajectory = around(source, targets)
    assert trajectory.views == (source, *targets)
    assert trajectory.order == (5, 2, 4, 3, 1, 6)
    assert (trajectory.kind, trajectory.num_inputs) == ("path", 1)
    with pytest.raises(ValueError, match="at least one target"):
        around(source, [])


@pytest.mark.parametrize(
    ("elevation", "low", "high", "views", "heights"),
    [
        (30, -30, 90, 9, [-30, -15, 0, 15, 45, 60, 75, 90]),
        (30, 30, 70, 5, [40, 50, 60, 70]),
        (30, -10, 30, 5, [-10, 0, 10, 20]),
        # 4 targets over 50 degrees, 10 of them below the input: 1 below (0.8), 3 above.
        (30, 20, 70, 5, [20, 30 + 40 / 3, 30 + 80 / 3, 70]),
        (89, -90, 90, 4, [-90, -90 + 179 / 2, 90]),
        (-10, 0, 60, 5, [0, 20, 40, 60]),
        (30, -5, 5, 3, [-5, 5]),
    ],
)
def test_a_sweep_over_elevations(elevation, low, high, views, heights):
    source = deg(0, elevation, 1.7)
    trajectory = elevation_sweep(source, math.radians(low), math.radians(high), views)
    assert trajectory.views[0] == source
    assert [pose.elevation_deg for pose in trajectory.views[1:]] == pytest.approx(heights)
    assert {(pose.azimuth, pose.radius) for pose in trajectory.views} == {(0.0, 1.7)}
    away = [abs(trajectory.views[view].elevation - source.elevation) for view in trajectory.order]
    assert away == sorted(away)
    assert sorted(trajectory.order) == list(range(1, views))


def test_sweeps_that_are_none():
    with pytest.raises(ValueError, match="at least 3 views"):
        elevation_sweep(deg(0), 0, 1, 2)
    with pytest.raises(ValueError, match="from a lower to a higher"):
        elevation_sweep(deg(0), 1, 1, 4)
