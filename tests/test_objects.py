"""The procedural objects' ray caster, against silhouettes and shades worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from make_dataset import over_white, random_poses, write_shard
from objects import BALL, BOX, CYLINDER, FAMILIES, ProceduralObject, random_object, render

from viewfusion.geometry import FOV, Pose


def body(shape, half=(0.5, 0.5, 0.5), light=(1.0, 0.0, 0.0)):
    """One red part at the origin, lit from +x; ambient light 0.5."""
    return ProceduralObject(
        "test",
        torch.tensor([shape]),
        torch.diag(1 / torch.tensor(half))[None],
        torch.zeros(1, 3),
        torch.tensor([[[1.0, 0, 0], [0, 0, 1.0]]]),
        torch.tensor([[0.0, 0, 1]]),
        torch.tensor(light),
        0.5,
    )


def outline(image):
    """(width, height) in pixels of what is more than half covered."""
    covered = image[..., 3] > 127
    return int(covered.any(0).sum()), int(covered.any(1).sum())


def test_a_ball_has_the_silhouette_of_perspective():
    # Tangent rays leave at asin(r / d) = asin(1/3): tan = 1/sqrt(8), times the focal length.
    focal = 128 / math.tan(FOV / 2)
    image = render(body(BALL), Pose(0.7, 0.3, 1.5), 256)
    assert outline(image) == (pytest.approx(2 * focal / math.sqrt(8), abs=1.5),) * 2


def test_a_box_seen_face_on_shows_its_near_face():
    # The face at distance 1.5 - 0.5 = 1 is 1 wide: one focal length of pixels.
    focal = 128 / math.tan(FOV / 2)
    image = render(body(BOX, (0.5, 0.25, 0.4)), Pose(0.0, 0.0, 1.5), 256)
    assert outline(image) == (pytest.approx(focal * 0.5, abs=1.5), pytest.approx(focal * 0.8, abs=1.5))


def test_a_cylinder_is_round_from_above_and_square_from_the_side():
    image = render(body(CYLINDER, (0.3, 0.3, 0.2)), Pose(0.0, math.pi / 2, 1.5), 128)
    covered = (image[..., 3] > 127).float().mean()
    width, height = outline(image)
    assert width == pytest.approx(height, abs=1)
    assert covered.item() == pytest.approx(math.pi / 4 * width * height / 128**2, rel=0.05)
    side = render(body(CYLINDER, (0.3, 0.3, 0.2)), Pose(1.0, 0.0, 4.0), 128)
    width, height = outline(side)
    assert (side[..., 3] > 127).float().sum() == pytest.approx(width * height, rel=0.05)


def test_faces_are_lit_by_lamberts_law():
    lit = render(body(BOX), Pose(0.0, 0.0, 1.5), 32)[16, 16]
    dark = render(body(BOX), Pose(math.pi, 0.0, 1.5), 32)[16, 16]
    slant = render(body(BOX, light=(0.6, 0.8, 0.0)), Pose(0.0, 0.0, 1.5), 32)[16, 16]
    assert lit.tolist() == [255, 0, 0, 255]
    assert dark.tolist() == [128, 0, 0, 255]
    assert slant.tolist() == [204, 0, 0, 255]  # 0.5 + 0.5 x 0.6 = 0.8


def test_positive_azimuth_turns_the_camera_counter_clockwise():
    """A box off to +y appears right of the centre from azimuth 0 and in front from azimuth 90."""
    obj = body(BOX, (0.1, 0.1, 0.1))
    moved = ProceduralObject(**{**obj.__dict__, "centres": torch.tensor([[0.0, 0.4, 0.0]])})
    columns = [(render(moved, Pose(a, 0.0, 1.5), 64)[..., 3] > 0).any(0).nonzero() for a in (0, math.pi / 2)]
    assert columns[0].min() > 32
    assert columns[1].float().mean() == pytest.approx(31.5, abs=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_makes_whole_objects(family):
    for seed in range(3):
        obj = random_object(seed, family)
        image = render(obj, Pose(0.5, 0.4, 1.5), 64)
        assert image.shape == (64, 64, 4)
        assert image.dtype == torch.uint8
        assert 0.02 < (image[..., 3] > 127).float().mean() < 0.8
        again = render(random_object(seed, family), Pose(0.5, 0.4, 1.5), 64)
        assert torch.equal(image, again)


def test_over_white():
    rgba = torch.tensor([[[10, 20, 30, 0], [10, 20, 30, 255], [0, 0, 0, 51]]], dtype=torch.uint8)
    assert over_white(rgba).tolist() == [[[255, 255, 255], [10, 20, 30], [204, 204, 204]]]


def test_poses_are_zero123s():
    poses = random_poses(np.random.default_rng(0), 200)
    assert all(1.3 <= pose.radius <= 2.2 for pose in poses)
    assert all(-15 <= pose.elevation_deg <= 75 for pose in poses)
    assert np.ptp([pose.azimuth_deg for pose in poses]) > 300


def test_a_finished_shard_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("make_dataset.SHARD", 2)
    name = write_shard(0, tmp_path, views=2, size=16, first_seed=5)
    shard = np.load(tmp_path / name)
    assert shard["images"].shape == (2, 2, 16, 16, 3)
    assert shard["poses"].shape == (2, 2, 3)
    (tmp_path / name).write_bytes(b"kept")
    assert write_shard(0, tmp_path, views=2, size=16, first_seed=5) == name
    assert (tmp_path / name).read_bytes() == b"kept"
