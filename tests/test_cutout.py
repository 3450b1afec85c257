from __future__ import annotations

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import cut_out, over_white
from viewfusion.preprocessing.pieces import components

SIMPLE_RULE = "background removed by a simple rule; check input.png"


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
    assert cut_out(rgba).warnings == (SIMPLE_RULE, "2 separate pieces: the model expects one object")


def test_objects_at_the_border_are_reported() -> None:
    rgba = with_box(photo())
    rgba[80:, 60:90, :3] = (40, 90, 160)
    assert cut_out(rgba).warnings[1:] == ("the object touches the bottom border: is it cut off?",)
    rgba = np.zeros((80, 100, 4), np.uint8)
    rgba[:70, :50] = 255
    assert cut_out(rgba).warnings == ("the object touches the top and left border: is it cut off?",)


def test_tiny_objects_are_reported() -> None:
    rgba = np.zeros((300, 300, 4), np.uint8)
    rgba[100:163, 100:140] = 255
    assert cut_out(rgba).warnings == ("the object is only 63 pixels long: the result will be soft",)
    rgba[100:164, 100:140] = 255
    assert cut_out(rgba).warnings == ()


def busy() -> np.ndarray:
    rgba = photo()
    rgba[..., :3] = np.random.default_rng(0).integers(0, 256, (120, 160, 3))
    return rgba


@pytest.mark.parametrize(
    ("rgba", "reason"),
    [
        (busy(), "not plain"),
        (with_box(photo(background=(20, 20, 20)), (200, 200, 200)), "not light"),
        (with_box(photo(background=(60, 160, 250))), "not light"),
        (photo(), "nothing stands out"),
    ],
)
def test_refusals_say_what_to_do(rgba: np.ndarray, reason: str) -> None:
    with pytest.raises(ViewFusionError, match=f"{reason}.*supply an RGBA image") as caught:
        cut_out(rgba)
    assert "\n" not in str(caught.value)


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


def test_components_by_hand() -> None:
    # A U is one piece although its arms start as two; diagonal neighbours are not connected.
    mask = np.array([[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]], bool)
    labels = components(mask)
    assert labels.tolist() == [[1, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 0, 2]]
    assert not components(np.zeros((3, 3), bool)).any()
    assert (components(np.ones((3, 3), bool)) == 1).all()


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
