"""Epipolar consistency: is the residual what moved across its line, and nothing for what the cameras see?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom

from viewfusion.datasets import Light, Mesh, Renderer
from viewfusion.datasets.textures import Material
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import epipolar_consistency, unit_images
from viewfusion.evaluation.metrics.epipolar import epipolar_residuals, fundamental_matrix
from viewfusion.geometry import FOV, Pose, camera_to_world, intrinsics, project
from viewfusion.preprocessing import over_white

CAMERA = intrinsics(256)
POSES = [
    Pose.from_degrees(*each) for each in ((0, 30, 1.5), (22.5, 30, 1.5), (200, -10, 2.0), (100, 90, 1.7))
]


def deg(*azimuths: float) -> list[Pose]:
    return [Pose.from_degrees(azimuth, 20, 1.5) for azimuth in azimuths]


def seen(pose: Pose, points: np.ndarray) -> np.ndarray:
    return project(points, camera_to_world(pose), CAMERA)


@pytest.mark.parametrize("other", [1, 2, 3])
def test_points_of_the_world_lie_on_their_lines(other):
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))
    fundamental = fundamental_matrix(POSES[0], POSES[other], CAMERA)
    residuals = epipolar_residuals(seen(POSES[0], points), seen(POSES[other], points), fundamental)
    assert residuals.max() < 1e-9


def test_a_shift_across_its_line_is_the_residual():
    # Cameras side by side: x' F x = y - y', every line is a row.
    rows = np.array([[0.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    points = np.array([[10.0, 20], [100, 30], [50, 60]])
    moved = points + np.array([(5, 0), (7, 3), (-40, -1.5)])
    assert epipolar_residuals(points, moved, rows).tolist() == pytest.approx([0, 3, 1.5])


def test_a_shift_across_the_lines_of_a_turn():
    """The mean of two distances: the shift itself in the second view, and nearly it in the first."""
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3))
    first, second = seen(POSES[0], points), seen(POSES[1], points)
    fundamental = fundamental_matrix(POSES[0], POSES[1], CAMERA)
    lines = np.concatenate([first, np.ones((20, 1))], 1) @ fundamental.T
    across = lines[:, :2] / np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    along = across[:, ::-1] * (1, -1)
    assert epipolar_residuals(first, second + 9 * along, fundamental).max() < 1e-9
    off = epipolar_residuals(first, second + 3 * across, fundamental)
    back = np.concatenate([second + 3 * across, np.ones((20, 1))], 1) @ fundamental
    there = np.abs((back[:, :2] * first).sum(1) + back[:, 2]) / np.linalg.norm(back[:, :2], axis=1)
    assert off == pytest.approx((3 + there) / 2)
    assert there == pytest.approx(np.full(20, 3.0), rel=0.2)


def spotted(seed: int, rows: int = 144) -> Renderer:
    """An egg with soft spots of many colours."""
    around, down = np.linspace(0, 2 * math.pi, 2 * rows + 1), np.linspace(0.01, math.pi - 0.01, rows + 1)
    a, d = np.meshgrid(around, down)
    normals = np.stack([np.sin(d) * np.cos(a), np.sin(d) * np.sin(a), np.cos(d)], -1).reshape(-1, 3)
    first = (np.arange(rows)[:, None] * (2 * rows + 1) + np.arange(2 * rows)).reshape(-1)
    corners = np.stack([first, first + 1, first + 2 * rows + 2, first + 2 * rows + 1], 1)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
    coarse = np.random.default_rng(seed).uniform(0, 255, (49, 97, 4))
    coarse[:, -1], coarse[..., 3] = coarse[:, 0], 255
    colours = zoom(coarse, ((rows + 1) / 49, (2 * rows + 1) / 97, 1), order=1).reshape(-1, 4)
    mesh = Mesh(
        (normals * (0.5, 0.35, 0.4)).astype(np.float32),
        faces.astype(np.int32),
        normals.astype(np.float32),
        np.zeros((len(normals), 2), np.float32),
        colours.astype(np.uint8),
        (Material((1.0, 1.0, 1.0, 1.0)),),
        np.zeros(len(faces), np.int32),
        np.eye(4),
    )
    return Renderer(mesh)


def views(renderer: Renderer, poses: list[Pose], size: int) -> torch.Tensor:
    """(V, 3, size, size) in [0, 1], over white, evenly lit."""
    pictures = [renderer.render(pose, size, Light(ambient=1.0), supersample=2) for pose in poses]
    return unit_images(np.stack([over_white(picture) for picture in pictures]))


@pytest.fixture(scope="module")
def there_and_back() -> tuple[torch.Tensor, list[Pose]]:
    """Six views from four places, so that each has another neighbour 12 degrees away."""
    poses = deg(0, 12, 24, 36)
    images = views(spotted(1), poses, 256)
    order = [0, 1, 2, 3, 2, 1]
    return images[order], [poses[place] for place in order]


def test_true_views_agree_with_their_cameras(there_and_back):
    images, poses = there_and_back
    shares, residuals = epipolar_consistency(images, poses)
    assert shares.shape == residuals.shape == (6,)
    assert shares.dtype == residuals.dtype == torch.float32
    assert shares.min() > 0.9
    assert residuals.max() < 0.7
    strict, _ = epipolar_consistency(images, poses, threshold=0.1)
    assert (strict < shares).all()


def test_wrong_cameras_are_seen_across_their_lines(there_and_back):
    """And hardly along them: in a level turn the lines are nearly level, and a wrong azimuth slides along."""
    images, poses = there_and_back
    right, small = epipolar_consistency(images, poses)
    azimuth, elevation = poses[5].azimuth, poses[5].elevation
    wrong = {
        "azimuth": [*poses[:5], Pose(azimuth + 0.1, elevation, 1.5)],
        "elevation": [*poses[:5], Pose(azimuth, elevation + 0.1, 1.5)],
    }
    shares = {kind: epipolar_consistency(images, each)[0][4:] for kind, each in wrong.items()}
    assert (shares["elevation"] < 0.5 * right[4:]).all()
    assert (shares["azimuth"] > 0.8 * right[4:]).all()
    narrow, larger = epipolar_consistency(images, poses, FOV / 3)
    assert narrow.mean() < right.mean()
    assert larger.mean() > small.mean()


@pytest.mark.parametrize("plant", ["turned", "lower", "another"])
def test_a_planted_inconsistency_is_seen(there_and_back, plant):
    images, poses = there_and_back
    planted = images.clone()
    planted[4] = {
        "turned": images[4].rot90(1, (1, 2)),  # whose points SIFT finds again all the same
        "lower": images[4].roll(12, 1),
        "another": views(spotted(2), poses[4:5], 256)[0],
    }[plant]
    right, small = epipolar_consistency(images, poses)
    shares, residuals = epipolar_consistency(planted, poses)
    assert (shares[[3, 4]] < right[[3, 4]] - 0.4).all()
    assert torch.equal(shares[[0, 1, 2, 5]], right[[0, 1, 2, 5]])
    if plant != "another":  # of which hardly a match is left
        assert (residuals[[3, 4]] > 4 * small[[3, 4]]).all()


def test_nothing_to_match_agrees_with_nothing():
    shares, residuals = epipolar_consistency(torch.ones(2, 3, 64, 64), deg(0, 20))
    assert shares.tolist() == [0, 0]
    assert residuals.isnan().all()


@pytest.mark.parametrize(
    ("images", "poses", "words"),
    [
        (torch.ones(2, 3, 8, 8), deg(0), "got 2 of 8 x 8 and 1 poses"),
        (torch.ones(1, 3, 8, 8), deg(0), "got 1 of 8 x 8 and 1 poses"),
        (torch.ones(2, 3, 8, 9), deg(0, 9), "got 2 of 9 x 8 and 2 poses"),
        (torch.ones(2, 3, 8, 8), deg(30, 390), "one camera place"),
    ],
)
def test_what_has_no_lines_is_refused(images, poses, words):
    with pytest.raises(ViewFusionError) as refused:
        epipolar_consistency(images, poses)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
