from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing.pieces import (
    components,
    edge_strips,
    enlarged,
    from_border,
    grown,
    inside_box,
    only_piece_at,
    piece_at,
    reduced,
    shrunk,
    without_specks,
)


def squares(*places: tuple[int, int, int], side: int = 100) -> np.ndarray:
    """(side, side) uint8 with an opaque square for each (left, top, length)."""
    alpha = np.zeros((side, side), np.uint8)
    for left, top, length in places:
        alpha[top : top + length, left : left + length] = 255
    return alpha


def test_a_reduced_copy_is_made_of_block_means() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2048, 1024, 3), np.uint8)
    small = reduced(pixels, Image.Resampling.BOX)
    assert small.shape == (1024, 512, 3)
    means = pixels.reshape(1024, 2, 512, 2, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 0.5
    assert reduced(small, Image.Resampling.BOX) is small


def test_parts_of_an_enlarged_copy_are_those_of_the_whole() -> None:
    rows, columns = np.mgrid[:10, :20]
    copy = np.float32(3 * rows + columns)
    whole = enlarged(copy, (40, 80), slice(0, 40), slice(0, 80))
    part = enlarged(copy, (40, 80), slice(7, 19), slice(30, 41))
    assert np.allclose(part, whole[7:19, 30:41], atol=1e-4)
    # Pixel (r, c) of the large one has its centre at ((r + 0.5) / 4 - 0.5, (c + 0.5) / 4 - 0.5) of the small.
    assert np.allclose(whole[10, 22], 3 * (10.5 / 4 - 0.5) + (22.5 / 4 - 0.5), atol=0.1)
    assert whole[0, 0] == 0


def test_edge_strips_hold_what_is_half_covered() -> None:
    alpha = squares((30, 90, 80), side=200)
    alpha[150, 70] = alpha[10, 3] = 9
    seen = np.zeros_like(alpha)
    for rows, columns in edge_strips(alpha):
        seen[rows, columns] += 1
    assert seen[150, 70] == seen[10, 3] == 1
    assert seen.sum() < 3 * 64


def test_growing_and_shrinking_by_hand() -> None:
    mask = squares((40, 40, 20)) > 0
    assert np.array_equal(grown(mask, 3), squares((37, 37, 26)) > 0)
    assert np.array_equal(shrunk(mask, 3), squares((43, 43, 14)) > 0)
    # The border of the picture is no outline.
    assert shrunk(np.ones((9, 9), bool), 2).all()


def test_the_piece_at_a_point_or_just_beside_it() -> None:
    alpha = squares((10, 10, 30), (60, 60, 30))
    for x, y in ((15, 15), (9, 20.5)):
        assert np.array_equal(only_piece_at(alpha, x, y), squares((10, 10, 30)))
    with pytest.raises(ViewFusionError, match="no object was found at the point"):
        piece_at(alpha > 0, 50, 50)
    with pytest.raises(ViewFusionError, match="no object was found at the point"):
        piece_at(np.zeros((20, 20), bool), 5, 5)


def test_a_point_of_a_narrow_photo_is_found_in_its_copy() -> None:
    """17 x 2100 becomes 8 x 1024, 0.47 times as wide and 0.49 times as high: 34 rows apart at the point."""
    alpha = np.zeros((2100, 17), np.uint8)
    alpha[100:1900], alpha[1960:2080] = 255, 255
    kept = only_piece_at(alpha, 8, 1980)
    assert not kept[:1940].any()
    assert (kept[1970:2070] == 255).all()


def test_a_soft_rim_goes_with_its_piece_and_stays_with_the_other() -> None:
    alpha = squares((10, 10, 30), (60, 60, 30))
    alpha[10:40, 40] = alpha[60:90, 90] = 60
    kept = only_piece_at(alpha, 20, 20)
    assert (kept[10:40, 40] == 60).all()
    assert not kept[:, 41:].any()


def test_pieces_of_a_faint_object_count_as_well() -> None:
    alpha = squares((10, 10, 30), (60, 60, 30)) // 4
    assert np.array_equal(only_piece_at(alpha, 70, 70), squares((60, 60, 30)) // 4)


def test_specks_are_counted_and_removed() -> None:
    # 30 * 30 = 900: a hundredth of it is 9, and 2 * 2 = 4 is less, 3 * 3 is not.
    alpha = squares((10, 10, 30), (60, 60, 2), (80, 80, 2), (60, 20, 3))
    clean, count, share = without_specks(alpha)
    assert np.array_equal(clean, squares((10, 10, 30), (60, 20, 3)))
    assert count == 2
    assert share == pytest.approx(8 / 909)
    whole = squares((10, 10, 30))
    assert without_specks(whole) == (whole, 0, 0.0)


def test_specks_of_a_large_photo_go_at_its_size() -> None:
    alpha = squares((100, 100, 1500), (1900, 1900, 20), side=2048)
    clean, count, _ = without_specks(alpha)
    assert count == 1
    assert np.array_equal(clean, squares((100, 100, 1500), side=2048))


def test_a_box_keeps_what_is_inside() -> None:
    alpha = squares((10, 10, 30), (60, 60, 30))
    assert np.array_equal(inside_box(alpha, (-5, -5, 50, 50)), squares((10, 10, 30)))
    assert inside_box(alpha, (20.5, 20.5, 29.5, 29.5)).sum() == 255 * 10 * 10


def test_components_by_hand() -> None:
    # A U is one piece although its arms start as two; diagonal neighbours are not connected.
    mask = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], bool)
    labels = components(mask)
    assert labels.tolist() == [[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 2]]
    assert not components(np.zeros((3, 3), bool)).any()
    assert (components(np.ones((3, 3), bool)) == 1).all()


def test_pieces_that_reach_the_border_by_hand() -> None:
    mask = np.array([[0, 0, 0, 0, 0], [0, 1, 0, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    expected = np.zeros_like(mask)
    expected[1, 3:] = True
    assert np.array_equal(from_border(mask), expected)
    assert not from_border(np.zeros((3, 3), bool)).any()


def test_components_agree_with_a_plain_flood_fill() -> None:
    rng = np.random.default_rng(0)
    for density in (0.3, 0.59, 0.8):
        mask = rng.random((40, 50)) < density
        labels = components(mask)
        seen = np.zeros_like(mask)
        for start in zip(*np.nonzero(mask), strict=True):
            if seen[start]:
                continue
            piece, todo = np.zeros_like(mask), [start]
            while todo:
                row, column = todo.pop()
                if 0 <= row < 40 and 0 <= column < 50 and mask[row, column] and not piece[row, column]:
                    piece[row, column] = True
                    todo += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            assert np.array_equal(labels == labels[start], piece)
            seen |= piece
        assert np.array_equal(labels > 0, mask)
