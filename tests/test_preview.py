"""The preview: its three pictures show what went in, its lines of text are whole and inside."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFont

from viewfusion.outputs import preview
from viewfusion.outputs.contact_sheet import LABEL, MARGIN, TITLE
from viewfusion.outputs.preview import LINE, PANEL, _wrapped

BLUE = (20, 60, 200)
LABELS = ("photo, 60 x 40", "outline", "what the model sees, 64 x 64")


def drawn(photo: np.ndarray, framed: np.ndarray, facts=("cut out by hand",), warnings=()) -> np.ndarray:
    sheet = preview(
        photo,
        photo[..., 3],
        framed,
        title="a.png",
        labels=LABELS,
        facts=facts,
        warnings=warnings,
    )
    return np.asarray(sheet)


def box_photo() -> np.ndarray:
    """60 x 40 with a blue box of columns 15 to 44 and rows 10 to 29; transparent around it."""
    rgba = np.zeros((40, 60, 4), np.uint8)
    rgba[10:30, 15:45] = (*BLUE, 255)
    return rgba


def panel(sheet: np.ndarray, place: int) -> np.ndarray:
    left = MARGIN + place * (PANEL + MARGIN)
    return sheet[MARGIN + TITLE : MARGIN + TITLE + PANEL, left : left + PANEL]


def test_the_photo_is_as_large_as_its_panel_and_centred() -> None:
    shown = panel(drawn(box_photo(), np.zeros((64, 64, 4), np.uint8)), 0)
    blue = (np.abs(shown.astype(int) - BLUE) < 3).all(axis=2)
    rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    # 60 pixels are 384: 6.4 each; the photo is 256 high, so it begins 64 below the panel's edge.
    expected = 15 * 6.4, 45 * 6.4, 64 + 10 * 6.4, 64 + 30 * 6.4
    assert np.abs(np.subtract((columns[0], columns[-1] + 1, rows[0], rows[-1] + 1), expected)).max() < 6.4
    around = {tuple(pixel) for pixel in shown[70:100].reshape(-1, 3).tolist()}
    assert {(255, 255, 255), (226, 226, 226)} <= around, "a checkerboard where nothing is"


def test_the_outline_runs_around_the_object() -> None:
    sheet = drawn(box_photo(), np.zeros((64, 64, 4), np.uint8))
    shown = panel(sheet, 1).astype(int)
    line = (shown[..., 0] > 220) & (shown[..., 1] < 40)
    rows, columns = np.nonzero(line)
    nearest = np.minimum.reduce([abs(columns - 96), abs(columns - 288), abs(rows - 128), abs(rows - 256)])
    assert nearest.max() <= 3
    assert columns.min() == pytest.approx(96, abs=3)
    assert columns.max() == pytest.approx(288, abs=3)
    assert line[:, 96 - 3 : 96 + 3].any(axis=1)[132:252].all(), "without a gap"
    assert tuple(shown[192, 192]) == BLUE, "what is inside keeps its colour"
    opaque = box_photo()
    opaque[..., 3] = 255
    sheet = preview(
        opaque, box_photo()[..., 3], opaque, title="", labels=LABELS, facts=(), warnings=()
    )  # what is outside is paled
    assert np.asarray(sheet)[MARGIN + TITLE + 80, MARGIN + PANEL + MARGIN + 20].min() > 120


def test_small_frames_show_their_pixels() -> None:
    framed = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    framed[..., 3] = 255
    shown = panel(drawn(box_photo(), framed), 2)
    assert np.array_equal(shown[3::6, 3::6], framed[..., :3])
    framed[..., 3] = 0
    assert (panel(drawn(box_photo(), framed), 2) == 255).all(), "over white"


def test_warnings_take_as_many_lines_as_they_need() -> None:
    framed = np.zeros((64, 64, 4), np.uint8)
    quiet = drawn(box_photo(), framed)
    assert quiet.shape == (
        MARGIN + TITLE + PANEL + LABEL + MARGIN + 2 * LINE + MARGIN,
        3 * PANEL + 4 * MARGIN,
        3,
    )
    long = "the object touches the border: " + "is it cut off? " * 30
    loud = drawn(box_photo(), framed, warnings=(long, "short"))
    assert loud.shape[0] > quiet.shape[0] + LINE
    assert (loud[:, [0, -1]] == 255).all()
    orange = (loud[..., 0] > 150) & (loud[..., 2] < 60)
    rows = np.flatnonzero(orange.any(axis=1))
    assert rows[0] > MARGIN + TITLE + PANEL
    assert not (quiet[rows[0] :, :, 0].astype(int) - quiet[rows[0] :, :, 2] > 90).any(), (
        "no warning, no orange"
    )


def test_lines_break_between_words_and_nothing_is_lost() -> None:
    font = ImageFont.load_default(15)
    text = "a few words and /a/path/" + "x" * 300 + " end"
    lines = _wrapped(text, 200, font)
    assert all(font.getlength(line) <= 200 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert lines[0] == "a few words and"
    assert _wrapped("", 200, font) == [""]


def test_names_of_any_kind_are_shown_on_one_line() -> None:
    photo = box_photo()
    name = "two\nlines \udcff \u6905 \x1b[2J.png"
    sheet = preview(photo, photo[..., 3], photo, title=name, labels=LABELS, facts=(), warnings=(name,))
    assert sheet.height == MARGIN + TITLE + PANEL + LABEL + MARGIN + LINE + MARGIN


@pytest.mark.parametrize(("height", "width"), [(1, 900), (900, 1), (17, 16)])
def test_photos_of_any_shape(height: int, width: int) -> None:
    photo = np.full((height, width, 4), 255, np.uint8)
    assert isinstance(
        preview(photo, photo[..., 3], photo[:1, :1], title="", labels=LABELS, facts=(), warnings=()),
        Image.Image,
    )
