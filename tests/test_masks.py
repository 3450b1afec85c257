"""Masks from white: areas of shapes whose areas are known, under the veils that generated views carry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.reconstruction.masks import WHITE, cut_out, mask_from_white

SIDE = 64


def coverage(inside, side: int = SIDE, fine: int = 8) -> np.ndarray:
    """(side, side) the part of each pixel in which ``inside(x, y)`` holds, x and y from the middle."""
    at = (np.arange(side * fine) + 0.5) / fine - side / 2
    covered = inside(at[None, :], at[:, None]).astype(np.float64)
    return covered.reshape(side, fine, side, fine).mean(axis=(1, 3))


def over(cover: np.ndarray, colour: object, background: float = 1.0) -> np.ndarray:
    return cover[..., None] * np.array(colour) + (1 - cover[..., None]) * background


def disc(radius: float, x: float = 0, y: float = 0):
    return lambda a, b: (a - x) ** 2 + (b - y) ** 2 <= radius**2


def found(picture: np.ndarray) -> np.ndarray:
    silhouette = mask_from_white(picture)
    assert silhouette is not None
    assert silhouette.mask.dtype == np.float32
    assert silhouette.mask.min() >= 0
    assert silhouette.mask.max() <= 1
    return silhouette.mask


@pytest.mark.parametrize("colour", [(0.1, 0.2, 0.3), (0.9, 0.1, 0.1), (0.95, 0.95, 0.9), (0, 0, 0)])
def test_an_edge_counts_for_the_part_it_covers(colour):
    cover = coverage(disc(20.3))
    mask = found(over(cover, colour))
    assert mask.sum() == pytest.approx(math.pi * 20.3**2, rel=0.005)
    # What is nearer to white than WHITE is white: of a light object a larger part of a pixel.
    assert np.abs(mask - cover).max() < 0.02 + WHITE / (1 - min(colour))


def test_a_veil_and_specks_are_no_object():
    """Noise of two levels about a background three below white, dust, a wisp and a mark in a corner."""
    generator = np.random.default_rng(0)
    cover = coverage(disc(18))
    picture = over(cover, (0.3, 0.4, 0.2), 252 / 255) + generator.normal(0, 2 / 255, (SIDE, SIDE, 3))
    picture[5, 50] -= 0.08
    picture[50:52, 5:7] -= 0.06
    picture[31, 48:] -= 0.03
    picture[-2:, :3] = 0.85
    picture = np.clip(picture, 0, 1)
    silhouette = mask_from_white(picture)
    assert silhouette is not None
    assert np.abs(silhouette.background - 252 / 255).max() < 1.5 / 255
    assert silhouette.mask.sum() == pytest.approx(math.pi * 18**2, rel=0.03)
    assert silhouette.mask[coverage(disc(22)) == 0].max() == 0


def test_white_inside_is_object_unless_it_is_as_white_as_the_background():
    body, middle = coverage(disc(24)), coverage(disc(10))
    label = over(middle, (0.97, 0.97, 0.97), 0) + (1 - middle[..., None]) * over(body, (0.2, 0.2, 0.6))
    assert found(label).sum() == pytest.approx(math.pi * 24**2, rel=0.005)
    mug = over(np.clip(body - middle, 0, 1), (0.2, 0.2, 0.6))
    assert found(mug).sum() == pytest.approx(math.pi * (24**2 - 10**2), rel=0.005)
    shine = over(body, (0.2, 0.2, 0.6))
    shine[30, 30:33] = 1
    assert found(shine).sum() == pytest.approx(math.pi * 24**2, rel=0.005)


def test_a_nearly_white_object_in_a_clean_picture_is_found():
    cover = coverage(disc(20))
    assert found(over(cover, (252 / 255,) * 3)).sum() == pytest.approx(math.pi * 400, rel=0.02)


def test_parts_that_seem_apart_stay():
    two = np.maximum(coverage(disc(12, -16)), coverage(disc(5, 18)))
    assert found(over(two, (0.5, 0.3, 0.1))).sum() == pytest.approx(math.pi * (144 + 25), rel=0.01)


def test_nothing_but_white_gives_an_empty_mask():
    assert found(np.ones((SIDE, SIDE, 3))).max() == 0


def test_other_backgrounds_are_told_by_their_views():
    black = over(coverage(disc(20)), (0.5, 0.5, 0.5), 0.0)
    assert mask_from_white(black) is None
    white = over(coverage(disc(20)), (0.5, 0.5, 0.5))
    with pytest.raises(ViewFusionError, match=r"^b, d: not over white; give pictures with alpha"):
        cut_out([white, black, white, black], None, "abcd")
    alpha = coverage(disc(20)).astype(np.float32)
    assert cut_out([white, black], [None, alpha], "ab")[1][1].sum() == pytest.approx(alpha.sum())


def test_what_is_cut_out_lies_over_pure_white():
    cover = coverage(disc(20))
    grey = over(cover, (0.2, 0.4, 0.6), 0.96)
    (picture,), (mask,) = cut_out([grey], None, ["a"])
    assert (picture[:, mask == 0] == 1).all()
    assert np.abs(picture.transpose(1, 2, 0) - over(cover, (0.2, 0.4, 0.6))).max() < 0.02


def test_an_opaque_alpha_says_nothing():
    picture = over(coverage(disc(20)), (0.2, 0.4, 0.6))
    _, masks = cut_out([picture], [np.ones((SIDE, SIDE))], ["a"])
    assert masks[0].sum() == pytest.approx(math.pi * 400, rel=0.005)
