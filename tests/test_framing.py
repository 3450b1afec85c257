from __future__ import annotations

import math

import numpy as np
import pytest
from objects.generator import random_object
from objects.renderer import render
from PIL import Image, ImageFilter

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose
from viewfusion.preprocessing import FRAME_FRACTION, frame, images, over_white, prepare_image
from viewfusion.preprocessing.framing import framing_remarks, reduced_photo
from viewfusion.preprocessing.pieces import components

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


@pytest.mark.parametrize("size", [64, 300])
@pytest.mark.parametrize("framing", ["longest", "width"])
def test_large_frames_are_made_some_rows_at_a_time(monkeypatch, size: int, framing: str) -> None:
    """The whole at once and 3 to 12 rows at a time, of an object that leaves the frame by its width."""
    rgba = np.random.default_rng(0).integers(0, 256, (250, 170, 4)).astype(np.uint8)
    rgba[:40] = rgba[:, :60] = 0
    at_once = frame(rgba, size, 0.9, framing).astype(int)
    monkeypatch.setattr(images, "_BAND", 2500)
    in_strips = frame(rgba, size, 0.9, framing).astype(int)
    assert np.abs(at_once[..., 3] - in_strips[..., 3]).max() <= 1
    colours = [pixels[..., :3] * pixels[..., 3:] / 255 for pixels in (at_once, in_strips)]
    assert np.abs(colours[0] - colours[1]).max() <= 1


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


def test_by_its_width_the_height_does_not_count() -> None:
    # 40 wide become 72; 20 high become 36, and 80 high become 144, of which 100 are in the frame.
    flat, tall = box_image(200, 200, (80, 90, 120, 110)), box_image(200, 200, (80, 60, 120, 140))
    assert extent(frame(flat, 100, framing="width")) == (14, 32, 86, 68)
    assert extent(frame(tall, 100, framing="width")) == (14, 0, 86, 100)
    assert framing_remarks(flat[..., 3], FRAME_FRACTION, "width") == ()
    assert framing_remarks(tall[..., 3], FRAME_FRACTION, "longest") == ()
    (remark,) = framing_remarks(tall[..., 3], FRAME_FRACTION, "width")
    assert "cut off above and below" in remark
    with pytest.raises(ViewFusionError, match="framing must be one of longest, width, got 'height'"):
        frame(flat, 100, framing="height")


def rendering(seed: int, size: int) -> np.ndarray:
    """(size, size, 4): a training object, the field of view such that its longest side is the fraction."""
    thing, pose = random_object(seed), Pose.from_degrees(40 * seed, 20, 1.5)
    left, top, right, bottom = extent(render(thing, pose, size).numpy())
    zoom = max(right - left, bottom - top) / (FRAME_FRACTION * size)
    return render(thing, pose, size, fov=2 * math.atan(zoom * math.tan(FOV / 2))).numpy()


def grown(mask: np.ndarray) -> np.ndarray:
    """``mask`` and the pixels that touch it."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(3))) > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("opaque", [False, True], ids=["alpha", "over white"])
def test_a_rendering_framed_again_lands_within_a_pixel_of_itself(seed: int, opaque: bool) -> None:
    size = 96
    picture = rendering(seed, size)
    again = prepare_image(over_white(picture) if opaque else picture, size)
    assert again.method == ("plain-background" if opaque else "alpha")
    left, top, right, bottom = extent(picture)
    centred = np.roll(picture, ((size - top - bottom) // 2, (size - left - right) // 2), (0, 1))
    before, after = centred[..., 3] >= 128, again.rgba[..., 3] >= 128
    assert 0.05 < before.mean() < 0.6
    assert np.abs(np.subtract(extent(centred), extent(again.rgba))).max() <= 1
    # Without alpha, white that the object encloses counts as the object's.
    around = components(~grown(before))
    assert not (after & (around == around[0, 0] if opaque else around > 0)).any()
    assert not (before & ~grown(after)).any()


def test_reduced_photos_are_area_means() -> None:
    rgba = np.zeros((9, 14, 4), np.uint8)
    rgba[:4, :4] = (200, 100, 0, 255)
    rgba[:4, 4:8] = (200, 100, 0, 255)
    rgba[:4, 6:8, 3] = 0
    small = reduced_photo(rgba, 4)  # 14 to 4 is at least 4 to 1; what is left over goes
    assert small.shape == (2, 3, 4)
    assert small[0].tolist() == [[200, 100, 0, 255], [200, 100, 0, 128], [0, 0, 0, 0]]
    assert reduced_photo(rgba, 14) is rgba


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
