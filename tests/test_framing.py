from __future__ import annotations

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import FRAME_FRACTION, frame

COLOUR = (210, 120, 30)


def box_image(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Transparent black with an opaque box (left, top, right, bottom)."""
    rgba = np.zeros((height, width, 4), np.uint8)
    left, top, right, bottom = box
    rgba[top:bottom, left:right] = (*COLOUR, 255)
    return rgba


def extent(rgba: np.ndarray) -> tuple[int, int, int, int]:
    solid = rgba[..., 3] >= 128
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


BOXES = [
    (300, 400, (30, 40, 250, 120)),
    (300, 400, (350, 10, 390, 290)),
    (40, 40, (5, 5, 20, 25)),
    (1500, 2000, (100, 100, 1900, 1300)),
    (64, 64, (0, 0, 64, 64)),
    (101, 67, (3, 0, 60, 101)),
]


@pytest.mark.parametrize("size", [64, 128, 255, 256])
@pytest.mark.parametrize(("height", "width", "box"), BOXES)
def test_longest_side_and_centre(height: int, width: int, box: tuple[int, int, int, int], size: int) -> None:
    result = frame(box_image(height, width, box), size)
    assert result.shape == (size, size, 4)
    assert result.dtype == np.uint8
    left, top, right, bottom = extent(result)
    assert abs(max(right - left, bottom - top) - round(FRAME_FRACTION * size)) <= 1
    assert abs(left + right - size) <= 1
    assert abs(top + bottom - size) <= 1
    ratio = (box[2] - box[0]) / (box[3] - box[1])
    scale = round(FRAME_FRACTION * size) / max(box[2] - box[0], box[3] - box[1])
    assert abs((right - left) - (box[2] - box[0]) * scale) <= 1, ratio


@pytest.mark.parametrize("size", [64, 128, 256])
@pytest.mark.parametrize(("height", "width", "box"), BOXES)
def test_framing_again_changes_nothing_by_more_than_a_pixel(
    height: int, width: int, box: tuple[int, int, int, int], size: int
) -> None:
    once = frame(box_image(height, width, box), size)
    twice = frame(once, size)
    assert np.abs(np.subtract(extent(once), extent(twice))).max() <= 1


def test_frames_at_scale_one_are_copied_exactly() -> None:
    # 0.72 * 64 = 46.08, so an object of 46 x 20 pixels is neither enlarged nor reduced; (64 - 46) / 2 = 9.
    rng = np.random.default_rng(0)
    rgba = np.zeros((100, 90, 4), np.uint8)
    rgba[50:70, 20:66] = rng.integers(0, 256, (20, 46, 4))
    rgba[50:70, 20:66, 3] = 255
    expected = np.zeros((64, 64, 4), np.uint8)
    expected[22:42, 9:55] = rgba[50:70, 20:66]
    assert np.array_equal(frame(rgba, 64), expected)


@pytest.mark.parametrize(("height", "width", "box"), BOXES)
@pytest.mark.parametrize("hidden", [0, 255])
def test_edges_neither_ring_nor_take_hidden_colour(
    height: int, width: int, box: tuple[int, int, int, int], hidden: int
) -> None:
    rgba = box_image(height, width, box)
    rgba[rgba[..., 3] == 0, :3] = hidden
    for size in (37, 64, 128):
        result = frame(rgba, size)
        seen = result[..., 3] > 0
        assert np.abs(result[seen][:, :3].astype(int) - COLOUR).max() <= 1
        assert not result[~seen].any()


def test_reducing_keeps_alpha_monotone_at_an_edge() -> None:
    result = frame(box_image(1000, 1000, (200, 200, 807, 801)), 64)
    profile = result[32, :, 3].astype(int)
    middle = len(profile) // 2
    assert (np.diff(profile[:middle]) >= 0).all()
    assert (np.diff(profile[middle:]) <= 0).all()
    assert profile[middle] == 255


def test_coverage_is_kept_when_reducing_by_hand() -> None:
    # 460 pixels become 46: exactly 10 to 1, and a stripe pattern of period 2 averages to its mean.
    rgba = np.zeros((600, 600, 4), np.uint8)
    rgba[70:530, 70:530] = (100, 100, 100, 255)
    rgba[70:530, 70:530:2, :3] = 200
    result = frame(rgba, 64)
    assert (result[12:52, 12:52, 3] == 255).all()
    assert np.abs(result[12:52, 12:52, :3].astype(int) - 150).max() <= 3


def test_faint_surroundings_stay_but_do_not_count() -> None:
    rgba = box_image(200, 200, (60, 60, 140, 140))
    rgba[50:60, 60:140] = (0, 0, 0, 40)
    result = frame(rgba, 100)
    # 80 pixels become 72; the shadow of 10 becomes 9 above row 14.
    assert extent(result) == (14, 14, 86, 86)
    assert abs(int(result[9, 50, 3]) - 40) <= 1
    assert not result[3, :, 3].any()


def test_faint_objects_are_framed_by_their_own_strongest_alpha() -> None:
    rgba = box_image(200, 200, (60, 60, 140, 140))
    rgba[..., 3] //= 4
    result = frame(rgba, 100)
    assert np.flatnonzero(result[..., 3].any(axis=0)).tolist() == list(range(14, 86))
    assert result[50, 50].tolist() == [*COLOUR, 63]


def test_other_fractions() -> None:
    rgba = box_image(60, 60, (10, 10, 50, 50))
    assert extent(frame(rgba, 100, 0.5)) == (25, 25, 75, 75)
    assert extent(frame(rgba, 100, 1.0)) == (0, 0, 100, 100)


def test_refusals() -> None:
    rgba = box_image(60, 60, (10, 10, 50, 50))
    for size, fraction in ((7, 0.5), (64, 0.0), (64, 1.1)):
        with pytest.raises(ViewFusionError, match="expected size"):
            frame(rgba, size, fraction)
    with pytest.raises(ViewFusionError, match="fully transparent"):
        frame(np.zeros((30, 30, 4), np.uint8), 64)
    with pytest.raises(ViewFusionError, match="a line of 2000000 x 4 pixels"):
        frame(np.full((2_000_000, 4, 4), 255, np.uint8), 64)


def test_an_object_too_faint_to_frame_is_refused():
    """A few see-through pixels far apart: averaged over a frame's pixels nothing of them is left."""
    rgba = np.zeros((300, 300, 4), np.uint8)
    rgba[::30, ::30] = (9, 9, 9, 2)
    with pytest.raises(ViewFusionError, match="so faint that nothing of it is left at 16 pixels"):
        frame(rgba, 16)
