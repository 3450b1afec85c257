"""Bad views: gaps and rays worked out by hand; every refusal is one line that names the views."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.geometry import Pose, camera_to_world, intrinsics, ring
from viewfusion.reconstruction.view_checks import (
    check_masks,
    check_poses,
    largest_gap,
    meets_cube,
)

MATRIX = intrinsics(32)
CAMERAS = np.stack([camera_to_world(pose) for pose in ring(8).views])
NAMES = [f"{i:03d}.png" for i in range(8)]


def at(*azimuths: float, elevation: float = 20) -> list[Pose]:
    return [Pose.from_degrees(azimuth, elevation, 1.5) for azimuth in azimuths]


def masks() -> np.ndarray:
    """A square of 12 x 12 in each of eight pictures."""
    found = np.zeros((8, 32, 32), np.float32)
    found[:, 10:22, 10:22] = 1
    return found


@pytest.mark.parametrize(
    ("azimuths", "start", "gap"),
    [
        ((0, 90, 180, 270), 0, 90),
        ((350, 10, 130, 240), 10, 120),
        ((-160, 0, 10, 20), 20, 180),
        ((0, 0, 0, 0), 0, 360),
        ((720, 100, 200, 290), 0, 100),
    ],
)
def test_the_largest_gap(azimuths, start, gap):
    found = largest_gap(at(*azimuths))
    assert [math.degrees(each) for each in found] == pytest.approx([start, gap])


def test_views_must_surround_the_object():
    check_poses(at(0, 90, 180, 270), 150)
    with pytest.raises(ViewFusionError) as error:
        check_poses(at(*range(0, 181, 10)), 150)
    words = (
        "the 19 views do not surround",
        "between azimuth 180 and 360 degrees",
        "a gap of 180 (at most 150)",
    )
    assert all(each in str(error.value) for each in words)
    check_poses(at(*range(0, 181, 10)), 200)
    with pytest.raises(ViewFusionError, match="wanted 4 views or more, got 3"):
        check_poses(at(0, 120, 240), 150)


def test_views_from_above_show_no_side():
    """Whatever their azimuths, they all stand in about one place."""
    with pytest.raises(ViewFusionError, match="all look from above or below, at 80 degrees and more"):
        check_poses(at(0, 90, 180, 270, elevation=85), 150)
    with pytest.raises(ViewFusionError, match="a gap of 180 "):
        check_poses([*at(0, 90, 180), *at(225, 270, 315, elevation=-85)], 150)
    check_poses([*at(0, 90, 180, 270), *at(0, elevation=90)], 150)


def test_a_camera_that_is_too_near_is_named():
    check_poses([*at(0, 90, 180), Pose.from_degrees(270, 20, 0.91)], 150)
    with pytest.raises(ViewFusionError, match=r"^view 3 is 0\.89 from the object, half of the views 1\.5"):
        check_poses([*at(0, 90, 180), Pose.from_degrees(270, 20, 0.89)], 150)


def test_rays_that_meet_the_cube():
    """A camera 1.5 before the origin sees the cube's front face, 0.9 away, up to a slope of 0.6 / 0.9."""
    camera = camera_to_world(Pose(0.0, 0.0, 1.5))
    matrix = intrinsics(200, math.radians(90))
    slopes = np.array([0, 0.66, 0.67, -0.66, -0.67, 0.99])
    middle = np.full(6, 100.0)
    wanted = [True, True, False, True, False, False]
    assert meets_cube(camera, matrix, 100 + 100 * slopes, middle, 0.6).tolist() == wanted
    assert meets_cube(camera, matrix, middle, 100 + 100 * slopes, 0.6).tolist() == wanted
    behind = camera_to_world(Pose(0.0, 0.0, 1.5))
    behind[:3, 3] *= -1  # it looks away
    assert not meets_cube(behind, matrix, middle, middle, 0.6).any()


def test_good_masks_pass():
    check_masks(masks(), CAMERAS, MATRIX, 0.6, NAMES)


def test_empty_and_full_masks_are_named():
    empty = masks()
    empty[[2, 5]] = 0
    with pytest.raises(ViewFusionError, match=r"^002\.png, 005\.png: no object to be seen; leave them out"):
        check_masks(empty, CAMERAS, MATRIX, 0.6, NAMES)
    with pytest.raises(ViewFusionError, match=r"005\.png and 2 more: no object"):
        check_masks(0 * empty, CAMERAS, MATRIX, 0.6, NAMES)
    full = masks()
    full[3] = 1
    with pytest.raises(ViewFusionError, match=r"^003\.png: no background; cut them out"):
        check_masks(full, CAMERAS, MATRIX, 0.6, NAMES)


def test_an_object_at_the_frame():
    cut = masks()
    cut[:2, 10:22, 10:] = 1
    with pytest.warns(ViewFusionWarning, match=r"^000\.png, 001\.png: the object reaches the frame"):
        check_masks(cut, CAMERAS, MATRIX, 0.6, NAMES)
    cut[2, :22, 10:22] = 1
    with pytest.raises(ViewFusionError, match=r"002\.png: an object that reaches the frame"):
        check_masks(cut, CAMERAS, MATRIX, 0.6, NAMES)


def test_an_object_larger_than_the_cube():
    """Through a lens of 90 degrees the frame reaches 1.5 each way at the origin, the cube 1.04 at most."""
    wide = np.zeros((8, 32, 32), np.float32)
    wide[:, 2:30, 2:30] = 1
    with pytest.raises(ViewFusionError, match=r"% of the object lie outside the cube"):
        check_masks(wide, CAMERAS, intrinsics(32, math.radians(90)), 0.6, NAMES)
    check_masks(wide, CAMERAS, intrinsics(32, math.radians(40)), 0.6, NAMES)
