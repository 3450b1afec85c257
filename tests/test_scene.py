"""Scenes of views: scale, trust, what is held out, and pictures of a ball whose outline is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_masks import coverage, disc

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, camera_to_world, ring
from viewfusion.reconstruction.scene import (
    SceneSettings,
    held_out_views,
    scene_from_views,
    view_weights,
)
from viewfusion.views import View, ViewRecord, ViewSet

FOCAL = 0.5 * 64 / math.tan(FOV / 2)


def ball(poses=None, radius: float = 0.45, distance: float = 1.5, record=None) -> ViewSet:
    """A grey ball around the origin, seen by cameras that look at it: a disc of f tan(asin(r / d))."""
    poses = poses or ring(12, radius=distance).views
    cover = coverage(disc(FOCAL * math.tan(math.asin(radius / distance))))
    image = torch.tensor(1 - 2 * 0.6 * cover, dtype=torch.float32).expand(3, -1, -1)
    return ViewSet(tuple(View(i, pose, image, record=record if i else None) for i, pose in enumerate(poses)))


def test_lengths_are_scaled_so_that_cameras_are_one_and_a_half_away():
    scene = scene_from_views(ball(radius=0.9, distance=3))
    assert scene.scale == 2
    assert scene.cameras.dtype == scene.intrinsics.dtype == torch.float64
    assert torch.linalg.norm(scene.cameras[:, :3, 3], dim=1) == pytest.approx(np.full(12, 1.5))
    first = camera_to_world(Pose.from_degrees(0, 30, 1.5))
    assert scene.cameras[0].numpy() == pytest.approx(first)
    mixed = [Pose.from_degrees(90 * i, 30, r) for i, r in enumerate((1.2, 1.8, 1.8, 2.4))]
    assert scene_from_views(ball(mixed)).scale == pytest.approx(1.8 / 1.5)


def test_shapes_and_masks():
    scene = scene_from_views(ball())
    assert scene.images.shape == (12, 3, 64, 64)
    assert scene.images.dtype == scene.masks.dtype == scene.weights.dtype == torch.float32
    assert scene.size == (64, 64)
    assert scene.intrinsics[0, 0] == pytest.approx(64 * 35 / 32, rel=1e-4)
    assert scene.intrinsics[:2, 2].tolist() == [32, 32]
    area = math.pi * (FOCAL * math.tan(math.asin(0.3))) ** 2
    assert scene.masks.sum((1, 2)).numpy() == pytest.approx(np.full(12, area), rel=0.005)
    assert scene.images[:, :, 32, 32].numpy() == pytest.approx(np.full((12, 3), 0.4), abs=1e-6)
    assert (scene.images[:, :, 0] == 1).all()


def test_alphas_go_before_white():
    views = ball()
    half = np.zeros((64, 64), np.float32)
    half[20:40, 20:30] = 0.5
    scene = scene_from_views(views, [half, *[None] * 11])
    assert (scene.masks[0].numpy() == half).all()
    assert scene.masks[1].sum() > 300
    assert (scene.images[0].numpy()[:, half == 0] == 1).all()


def test_the_farther_from_the_input_the_less_a_view_is_trusted():
    settings = SceneSettings(trust_near=0.9, trust_far=0.5)
    poses = ring(12).views
    weights = view_weights(poses, (0,), settings)
    assert weights[0] == 1
    assert weights[6] == pytest.approx(0.5)
    assert weights[3] == weights[9] == pytest.approx(0.7)
    assert max(weights[1:]) == pytest.approx(0.9 - 0.4 / 6)
    both = view_weights(poses, (0, 6), settings)
    assert (both[0], both[6]) == (1, 1)
    assert min(both) == both[3] == pytest.approx(0.7)
    assert view_weights(poses, (), settings) == [1] * 12


def test_what_was_generated_is_known_by_its_record():
    record = ViewRecord((0,), (1.0,), 1, 2, 0.1)
    scene = scene_from_views(ball(record=record))
    assert scene.input_index == 0
    assert scene.weights[0] == 1
    assert scene.weights[1:].max() < 1
    plain = scene_from_views(ball())
    assert plain.input_index is None
    assert (plain.weights == 1).all()
    told = scene_from_views(ball(), inputs=(3,))
    assert told.input_index == 3
    assert told.weights.argmax() == 3


def test_views_held_out():
    assert held_out_views(36, (0,), 9) == (4, 13, 22, 31)
    assert held_out_views(8, (), 9) == (4,)
    assert held_out_views(7, (), 3) == ()
    assert held_out_views(36, (), 0) == ()
    assert held_out_views(12, (4,), 9) == ()
    scene = scene_from_views(ball())
    assert scene.held_out == (4,)
    assert scene.trained == (0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hold_out": 2}, "hold_out must be 0"),
        ({"hold_out": -1}, "hold_out must be 0"),
        ({"trust_far": 0.95}, "trust_far <= trust_near"),
        ({"trust_far": 0}, "trust_far"),
        ({"trust_near": math.nan}, "trust_near"),
        ({"largest_gap_deg": 400}, "largest_gap_deg"),
    ],
)
def test_settings_that_make_no_sense(values, words):
    with pytest.raises(ViewFusionError, match=words):
        SceneSettings(**values)


def test_views_that_are_none(tmp_path):
    with pytest.raises(ViewFusionError, match="wanted 4 views or more, got 3"):
        scene_from_views(ViewSet(ball().views[:3]))
    views = list(ball())
    broken = views[5].image.clone()
    broken[0, 3, 3] = math.nan
    views[5] = View(5, views[5].pose, broken)
    with pytest.raises(ViewFusionError, match=r"^view 5: NaN or infinity"):
        scene_from_views(ViewSet(tuple(views)))
    with pytest.raises(ViewFusionError, match=r"front: .* alpha of 64 x 64 pixels.*got 32 x 48"):
        scene_from_views(ball(), [np.ones((48, 32)), *[None] * 11], names=["front", *"bcdefghijkl"])
    with pytest.raises(ViewFusionError, match="an alpha for each of 12 views, got 1"):
        scene_from_views(ball(), [None])
    with pytest.raises(ViewFusionError, match="inputs must be places"):
        scene_from_views(ball(), inputs=(12,))
