from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import Hints, cut_out
from viewfusion.preprocessing.edges import refined
from viewfusion.preprocessing.saliency import barrier, saliency
from viewfusion.preprocessing.segmenters import grabcut
from viewfusion.preprocessing.starts import starts


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    """(height, width) float share of each pixel inside the disc."""
    fine = 4
    rows = (np.arange(height * fine) + 0.5) / fine
    columns = (np.arange(width * fine) + 0.5) / fine
    inside = (rows[:, None] - y) ** 2 + (columns - x) ** 2 < radius**2
    return inside.reshape(height, fine, width, fine).mean(axis=(1, 3))


def grainy(height: int, width: int, colour: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """(height, width, 3) float: a ground brighter on one side, with grain."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(-20, 20, width)[:, None]
    return np.asarray(colour) + slope + rng.normal(0, 8, (height, width, 3))


def scene(*discs: tuple[np.ndarray, tuple[int, int, int]]) -> np.ndarray:
    """(H, W, 3) uint8: discs of colours over a brown grainy ground."""
    rgb = grainy(*discs[0][0].shape, (140, 110, 80))
    for share, colour in discs:
        surface = grainy(*share.shape, colour, 1)
        rgb = share[..., None] * surface + (1 - share[..., None]) * rgb
    return np.uint8(np.clip(np.rint(rgb), 0, 255))


def overlap(alpha: np.ndarray, share: np.ndarray) -> float:
    found, true = alpha >= 128, share >= 0.5
    return (found & true).sum() / (found | true).sum()


def alpha_or_refusal(rgb: np.ndarray, hints: Hints) -> np.ndarray | str:
    try:
        return grabcut.segment(rgb, hints).alpha
    except ViewFusionError as error:
        return str(error)


BLUE, RED = (50, 80, 190), (190, 50, 40)
ONE = disc(180, 240, 130, 85, 45)
LEFT, RIGHT = disc(180, 240, 65, 90, 40), disc(180, 240, 180, 90, 40)


def test_what_stands_out_is_found_on_any_ground() -> None:
    found = grabcut.segment(scene((ONE, BLUE)), Hints())
    assert found.method == "grabcut"
    assert overlap(found.alpha, ONE) > 0.97
    # Soft edges: shares within a few hundredths on the whole.
    assert np.abs(found.alpha / 255 - ONE).mean() < 0.01
    assert found.confidence > 0.7
    assert "check preview.png" in found.remarks[0]


def test_it_is_the_same_every_time() -> None:
    rgb = scene((ONE, BLUE))
    first, second = (grabcut.segment(rgb, Hints()) for _ in range(2))
    assert np.array_equal(first.alpha, second.alpha)
    assert first.confidence == second.confidence


def test_random_numbers_of_others_are_left_alone() -> None:
    def drawn(between: Callable[[], object]) -> np.ndarray:
        cv2.setRNGSeed(7)
        cv2.randu(np.empty(8, np.uint8), 0, 255)
        between()
        numbers = np.empty(8, np.uint8)
        cv2.randu(numbers, 0, 255)
        return numbers

    rgb = scene((ONE, BLUE))
    undisturbed = drawn(lambda: None)
    assert np.array_equal(drawn(lambda: grabcut.segment(rgb, Hints())), undisturbed)
    assert not np.array_equal(drawn(lambda: cv2.setRNGSeed(0)), undisturbed)


def test_a_click_chooses_one_of_two() -> None:
    rgb = scene((LEFT, BLUE), (RIGHT, RED))
    for place, share in (((65, 90), LEFT), ((170, 110), RIGHT)):
        found = grabcut.segment(rgb, Hints(point=place))
        assert overlap(found.alpha, share) > 0.95
        assert not found.remarks


def test_a_box_chooses_one_of_two() -> None:
    rgb = scene((LEFT, BLUE), (RIGHT, BLUE))
    found = grabcut.segment(rgb, Hints(box=(20, 45, 110, 135)))
    assert overlap(found.alpha, LEFT) > 0.95
    assert not found.alpha[:, 110:].any()


def test_a_click_beside_everything_finds_nothing_or_less_than_the_object() -> None:
    found = alpha_or_refusal(scene((ONE, BLUE)), Hints(point=(20, 160)))
    assert "no object" in found if isinstance(found, str) else overlap(found, ONE) < 0.1


def test_an_object_reaching_one_side_is_found_and_said_to() -> None:
    share = disc(180, 240, 130, 165, 55)
    rgb = scene((share, BLUE))
    cutout = cut_out(np.dstack([rgb, np.full((180, 240), 255, np.uint8)]), "grabcut")
    assert overlap(cutout.rgba[..., 3], share) > 0.95
    assert any("touches the bottom border" in warning for warning in cutout.warnings)


def test_confidence_tells_clear_from_hidden() -> None:
    clear = grabcut.segment(scene((ONE, BLUE)), Hints())
    hidden = grabcut.segment(scene((ONE, (168, 126, 82))), Hints(box=(80, 35, 180, 135)))
    assert hidden.confidence < 0.5 * clear.confidence


def test_what_falls_apart_is_no_object_to_be_sure_of() -> None:
    one = grabcut.segment(scene((ONE, BLUE)), Hints())
    two = grabcut.segment(scene((LEFT, BLUE), (RIGHT, BLUE)), Hints())
    # Half of what is found is the largest piece.
    assert two.confidence < 0.6 * one.confidence


def test_a_blank_or_grainy_ground_has_no_object() -> None:
    for rgb in (np.full((120, 160, 3), 90, np.uint8), scene((np.zeros((120, 160)), BLUE))):
        with pytest.raises(ViewFusionError, match="no object stands out"):
            grabcut.segment(rgb, Hints())


@pytest.mark.parametrize("shape", [(16, 16), (16, 700), (600, 17)])
def test_odd_shapes_end_in_an_alpha_or_one_line(shape: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for hints in (
        Hints(),
        Hints(point=(8, 8)),
        Hints(box=(2, 2, 6, 9)),
        Hints(point=(0, 0), box=(0, 0, 2, 2)),
    ):
        found = alpha_or_refusal(rgb, hints)
        assert "no object" in found if isinstance(found, str) else found.shape == shape


def test_barriers_by_hand() -> None:
    # One channel varies. Ways start at the left column; the wall of 9 has a gap of 4 in its last row.
    values = np.zeros((5, 5, 3), np.float32)
    values[:, 2, 0] = 9
    values[4, 2, 0] = 4
    start = np.zeros((5, 5), bool)
    start[:, 0] = True
    cost = barrier(values, start)
    assert (cost[:, :2] == 0).all()
    assert (cost[:4, 2] == 9).all()
    assert (cost[:, 3:] == 4).all()  # round the wall, through its gap


def test_a_ground_that_changes_slowly_does_not_stand_out() -> None:
    lab = np.zeros((60, 80, 3), np.float32)
    lab[..., 0] = np.linspace(20, 80, 80)
    lab[20:40, 30:50] = (50, 40, 0)
    found = saliency(lab)
    assert found[20:40, 30:50].min() > 0.8
    outside = found.copy()
    outside[19:41, 29:51] = 0
    assert outside.max() < 0.5


def test_starts_keep_to_the_hints() -> None:
    rgb = scene((disc(90, 120, 60, 45, 20), BLUE))
    boxed = starts(rgb, box=(30, 20, 90, 70))
    assert all(not (guess & boxed.never).any() for guess in boxed.guesses)
    assert boxed.never.sum() == 90 * 120 - 60 * 50
    clicked = starts(rgb, point=(60.5, 45.5))
    assert clicked.surely[45, 60]
    assert clicked.surely.sum() < 10
    assert all(guess[45, 60] for guess in clicked.guesses)
    assert not starts(rgb).surely.any()


def test_edges_follow_the_photo_and_not_the_rough_outline() -> None:
    """From a mask two pixels too large the shares come out as they were mixed in."""
    share = disc(128, 128, 64.3, 63.8, 40)
    rgb = np.uint8(np.rint(share[..., None] * [200, 180, 40] + (1 - share[..., None]) * [30, 60, 120]))
    rough = disc(128, 128, 64.3, 63.8, 42) >= 0.5
    alpha = refined(rough, rgb, 3) / 255
    assert np.abs(alpha - share).max() < 0.1
    assert np.abs(alpha - share).mean() < 0.003


def test_edges_of_a_large_photo_are_sharp_at_its_size() -> None:
    share = disc(1600, 2000, 1000, 800, 500)
    rgb = np.uint8(np.rint(share[..., None] * [200, 180, 40] + (1 - share[..., None]) * [30, 60, 120]))
    rough = disc(160, 200, 100, 80, 50) >= 0.5
    alpha = refined(rough, rgb, 1) / 255
    assert np.abs(alpha - share).mean() < 0.001
    # One pixel of the rough outline is ten of the photo's; its edge is as wide as the disc's own.
    assert np.mean((alpha > 0.1) & (alpha < 0.9)) < 1.5 * np.mean((share > 0.1) & (share < 0.9))


def test_colours_that_do_not_differ_leave_the_rough_outline() -> None:
    share = disc(128, 128, 64, 64, 40)
    alpha = refined(share >= 0.5, np.full((128, 128, 3), 90, np.uint8), 2)
    assert overlap(alpha, share) > 0.97


def test_colours_of_parts_too_thin_to_have_an_inside_are_known() -> None:
    """A bar three pixels wide keeps its own colour and cover, though it hangs on a disc of another."""
    rgb = np.full((128, 128, 3), (230, 225, 60), np.uint8)
    share = disc(128, 128, 64, 40, 25)
    rgb[share >= 0.5] = (40, 40, 200)
    bar = np.zeros((128, 128), bool)
    bar[60:120, 63:66] = True
    rgb[bar] = (30, 150, 40)
    alpha = refined((share >= 0.5) | bar, rgb, 3)
    assert alpha[75:115, 63:66].min() > 240
    assert max(alpha[75:115, 60:62].max(), alpha[75:115, 67:69].max()) < 15
