from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import Hints, cut_out, over_white

SIMPLE_RULE = "background removed by a simple rule; check preview.png"


def photo(
    height: int = 120, width: int = 160, background: tuple[int, int, int] = (250, 250, 250)
) -> np.ndarray:
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = background
    return rgba


def with_box(rgba: np.ndarray, colour: tuple[int, int, int] = (40, 90, 160)) -> np.ndarray:
    """A box of rows 30 to 89 and columns 48 to 111."""
    rgba[30:90, 48:112, :3] = colour
    return rgba


def disc(size: int, radius: float, supersample: int = 8) -> np.ndarray:
    """(size, size) float share of each pixel inside a centred disc."""
    steps = (np.arange(size * supersample) + 0.5) / supersample - size / 2
    inside = steps[:, None] ** 2 + steps**2 < radius**2
    return inside.reshape(size, supersample, size, supersample).mean(axis=(1, 3))


def test_alpha_is_trusted() -> None:
    rgba = np.zeros((80, 100, 4), np.uint8)
    rgba[10:70, 10:90] = (9, 8, 7, 200)
    cutout = cut_out(rgba)
    assert cutout.rgba is rgba
    assert cutout.method == "alpha"
    assert cutout.warnings == ()


def test_rounded_corners_are_no_cutout() -> None:
    rgba = with_box(photo())
    rgba[:5, :5, 3] = rgba[-5:, -5:, 3] = 0
    assert cut_out(rgba).method == "plain-background"


def test_box_on_white_is_exact() -> None:
    cutout = cut_out(with_box(photo()))
    assert cutout.method == "plain-background"
    assert cutout.warnings == (SIMPLE_RULE,)
    expected = np.zeros((120, 160, 4), np.uint8)
    expected[30:90, 48:112] = (40, 90, 160, 255)
    assert np.array_equal(cutout.rgba, expected)


def test_mixed_edges_get_their_share_and_the_objects_colour() -> None:
    share = disc(100, 30)[..., None]
    colour, background = np.array([200.0, 40.0, 60.0]), np.array([245.0, 240.0, 235.0])
    rgba = photo(100, 100)
    rgba[..., :3] = np.rint(colour * share + background * (1 - share))
    result = cut_out(rgba).rgba
    assert np.abs(result[..., 3] / 255 - share[..., 0]).max() < 0.02
    seen = result[..., 3] > 64
    assert np.abs(result[seen][:, :3] - colour).max() <= 4


def test_enclosed_white_stays() -> None:
    rgba = with_box(photo())
    rgba[50:70, 70:90, :3] = 250
    result = cut_out(rgba).rgba
    assert (result[30:90, 48:112, 3] == 255).all()
    assert (result[50:70, 70:90, :3] == 250).all()


def test_composite_over_a_white_background_is_the_photo() -> None:
    rng = np.random.default_rng(0)
    rgba = photo(background=(255, 255, 255))
    rgba[30:90, 50:110, :3] = rng.integers(0, 200, (60, 60, 3))
    assert np.abs(over_white(cut_out(rgba).rgba).astype(int) - rgba[..., :3]).max() <= 1


def test_noise_and_vignetting_are_background() -> None:
    rng = np.random.default_rng(0)
    rgba = photo(300, 300, (235, 235, 235))
    radius = np.hypot(*np.mgrid[-1:1:300j, -1:1:300j])
    shade = 235 - 10 * radius[..., None] + rng.normal(0, 2, (300, 300, 3))
    rgba[..., :3] = np.clip(shade, 0, 255)
    rgba[100:200, 100:200, :3] = (30, 60, 30)
    alpha = cut_out(rgba).rgba[..., 3]
    assert (alpha[101:199, 101:199] == 255).all()
    outside = alpha.copy()
    outside[99:201, 99:201] = 0
    assert not outside.any()


def test_specks_go_and_pieces_are_counted() -> None:
    rgba = with_box(photo())
    rgba[10:13, 10:13, :3] = 0
    cutout = cut_out(rgba)
    assert not cutout.rgba[:20, :20, 3].any()
    assert cutout.warnings == (SIMPLE_RULE,)
    rgba[40:80, 5:25, :3] = 0
    (_, pieces) = cut_out(rgba).warnings
    assert "2 separate pieces: the model expects one object" in pieces


def test_an_object_at_the_border_is_reported() -> None:
    rgba = with_box(photo())
    rgba[80:, 60:90, :3] = (40, 90, 160)
    (_, border) = cut_out(rgba).warnings
    assert "the object touches the bottom border" in border


def test_of_several_objects_hints_keep_one() -> None:
    rgba = with_box(photo())
    rgba[40:80, 5:25, :3] = 0
    assert "2 separate pieces" in cut_out(rgba, "plain").warnings[-1]
    expected = np.zeros((120, 160, 4), np.uint8)
    expected[40:80, 5:25] = (0, 0, 0, 255)
    for hints in (Hints(point=(15, 60)), Hints(box=(0, 30, 30, 90))):
        cutout = cut_out(rgba, "plain", hints)
        assert np.array_equal(cutout.rgba, expected)
        assert not any("pieces" in warning for warning in cutout.warnings)


def test_a_cut_out_file_too_is_cut_by_hints() -> None:
    rgba = np.zeros((100, 200, 4), np.uint8)
    rgba[10:90, 10:80] = (9, 8, 7, 100)
    rgba[20:90, 120:190] = (1, 2, 3, 100)
    cutout = cut_out(rgba, hints=Hints(point=(150, 50)))
    assert cutout.method == "alpha"
    expected = rgba.copy()
    expected[:, :100] = 0
    assert np.array_equal(cutout.rgba, expected)


def mixed(ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A photo (128, 128, 4) of a green disc on ``ground`` (128, 128, 3), and the disc's share of it."""
    share = disc(128, 40)
    rgba = np.full((128, 128, 4), 255, np.uint8)
    rgba[..., :3] = np.rint(share[..., None] * np.array([30, 160, 60]) + (1 - share[..., None]) * ground)
    return rgba, share


def test_edges_lose_the_colour_of_any_ground(tmp_path: Path) -> None:
    """By an exact mask, colours come out as they were mixed in, though the ground is not one colour."""
    columns = np.linspace(0, 1, 128)[None, :, None]
    ground = np.broadcast_to((1 - columns) * [200, 60, 60] + columns * [60, 60, 200], (128, 128, 3))
    rgba, share = mixed(ground)
    Image.fromarray(np.uint8(np.rint(share * 255))).save(tmp_path / "mask.png")
    result = cut_out(rgba, hints=Hints(mask=tmp_path / "mask.png")).rgba
    assert np.array_equal(result[..., 3], np.rint(share * 255))
    edge = (share > 0.1) & (share < 0.9)
    assert edge.sum() > 100
    assert np.abs(result[edge][:, :3] - np.array([30.0, 160, 60])).max() < 12
    # What the photo shows there is far from it.
    assert np.abs(rgba[edge][:, :3] - np.array([30.0, 160, 60])).max() > 60


def test_what_is_drawn_has_no_specks_and_what_is_found_loses_them(tmp_path: Path) -> None:
    mask = np.zeros((120, 160), np.uint8)
    mask[30:90, 48:112] = 255
    mask[5:8, 5:8] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    rgba = with_box(photo())
    rgba[5:8, 5:8, :3] = 0
    assert cut_out(rgba, hints=Hints(mask=tmp_path / "mask.png")).rgba[6, 6, 3] == 255
    assert cut_out(rgba).rgba[6, 6, 3] == 0


def test_a_blank_photo_has_no_object() -> None:
    with pytest.raises(ViewFusionError, match=r"no object stands out.*supply an RGBA image") as caught:
        cut_out(photo())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("segmenter", ["auto", "grabcut"])
def test_noise_has_no_object(segmenter: str) -> None:
    rgba = photo()
    rgba[..., :3] = np.random.default_rng(0).integers(0, 256, (120, 160, 3))
    with pytest.raises(ViewFusionError, match="no object stands out"):
        cut_out(rgba, segmenter)


def test_twelve_megapixels_keep_their_size() -> None:
    rgba = np.full((3000, 4000, 4), 255, np.uint8)
    rgba[..., :3] = 244
    rgba[1000:2000, 1500:3000, :3] = (120, 60, 20)
    result = cut_out(rgba).rgba
    assert result.shape == (3000, 4000, 4)
    solid = result[..., 3] > 127
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    # A pixel of the outline's copy is 4 pixels of the photo.
    assert (
        np.abs(
            np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1]) - [1000, 2000, 1500, 3000]
        ).max()
        <= 4
    )
