"""SIFT matches: is the ratio test the one stated, and does the count fall where views disagree?"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_lpips import crop

from viewfusion.evaluation.metrics import resized, sift_matches, sift_matches_around, unit_images
from viewfusion.evaluation.metrics.matches import Points, described, matched


def points(*lengths: float) -> Points:
    """Descriptors, each at one of ``lengths`` from the origin."""
    found = np.zeros((len(lengths), 128), np.float32)
    found[:, 0] = lengths
    return Points(np.zeros((len(lengths), 2)), found)


@pytest.mark.parametrize(
    ("ours", "theirs", "pairs"),
    [
        (points(0), points(2.9, 4), [(0, 0)]),
        (points(0), points(3, 4), []),  # exactly at the ratio is not below it
        (points(0), points(4, 9, 2), [(0, 2)]),
        (points(0, 0, 26), points(1, 50), [(0, 0), (1, 0)]),  # two may share one; the third is between both
        (points(0), points(1), []),  # no second best
        (points(0), points(), []),
        (points(), points(1, 2), []),
    ],
)
def test_the_ratio_test_by_hand(ours, theirs, pairs):
    assert [tuple(pair) for pair in matched(ours, theirs)] == pairs


def test_points_lie_where_they_are():
    """A soft spot in the middle of a pixel, whose first corner is (0, 0); OpenCV is off by a quarter."""
    x = torch.arange(64) + 0.5
    spot = 1 - (-((x - 40.5) ** 2 + (x[:, None] - 20.5) ** 2) / 18).exp()
    (found,) = described(spot.expand(1, 3, 64, 64), 64)
    assert np.abs(found.places - (40.5, 20.5)).max(1).min() < 0.3


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    """Two pieces of one photo that overlap, and one of another."""
    pieces = [crop("firetruck.png", 40, 150, 128), crop("firetruck.png", 44, 158, 128)]
    return unit_images(np.stack([*pieces, crop("cup.png", 40, 80, 128)]))


def test_the_count_falls_where_pictures_disagree(pictures):
    same, moved, unrelated = sift_matches(pictures[[0, 0, 0]], pictures).tolist()
    assert same > moved > 5 * unrelated
    planted = pictures[1:2].clone()
    planted[..., 40:90, 40:90] = pictures[2:, :, 40:90, 40:90]
    assert int(sift_matches(pictures[:1], planted)) < moved


def test_nothing_to_find_is_nothing_found():
    white = torch.ones(1, 3, 64, 64)
    assert sift_matches(white, white).tolist() == [0]


def test_small_pictures_are_enlarged_first(pictures):
    small = resized(pictures, 64)
    assert torch.equal(sift_matches(small[:1], small[1:2]), sift_matches(*resized(small[:2], 256).split(1)))


def test_a_turn_is_its_pairs(pictures):
    assert torch.equal(sift_matches_around(pictures, 128), sift_matches(pictures, pictures.roll(-1, 0), 128))
