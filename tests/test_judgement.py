from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import Hints
from viewfusion.preprocessing.judgement import remarks_on, specks_remarks


def alpha_of(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (200, 300)) -> np.ndarray:
    """(H, W) uint8, opaque in each box of left, top, right, bottom."""
    alpha = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        alpha[top:bottom, left:right] = 255
    return alpha


def the_one(remarks: tuple[str, ...]) -> str:
    (remark,) = remarks
    return remark


def test_what_is_just_less_than_half_opaque_is_ground() -> None:
    """As where it is decided that a file has transparency: 127 of 255 is ground, 128 is not."""
    alpha = alpha_of((50, 50, 150, 150))
    assert remarks_on(np.maximum(alpha, 126)) == remarks_on(np.maximum(alpha, 127))
    with pytest.raises(ViewFusionError, match="no background was found"):
        remarks_on(np.maximum(alpha, 128))


def test_a_good_object_gives_no_remark() -> None:
    assert remarks_on(alpha_of((50, 50, 150, 150))) == ()
    assert remarks_on(alpha_of((50, 50, 150, 150)), 0.8) == ()


@pytest.mark.parametrize(
    ("box", "sides"),
    [
        ((0, 50, 150, 150), "left"),
        ((50, 0, 150, 150), "top"),
        ((200, 100, 300, 200), "bottom and right"),
        ((0, 0, 290, 200), "top, bottom and left"),
    ],
)
def test_sides_that_are_touched_are_named(box: tuple[int, int, int, int], sides: str) -> None:
    remark = the_one(remarks_on(alpha_of(box)))
    assert f"touches the {sides} border" in remark
    assert "use a photo that shows all of it" in remark


def test_a_corner_of_it_may_touch_the_border() -> None:
    # 4 of 100 rows are fewer than a twentieth.
    alpha = alpha_of((10, 30, 90, 90), size=(100, 100))
    alpha[50:54, :10] = 255
    assert remarks_on(alpha) == ()
    alpha[50:55, :10] = 255
    assert "left border" in the_one(remarks_on(alpha))


def test_pieces_are_counted_from_a_twentieth_on() -> None:
    # 100 * 100 = 10000: 20 * 25 = 500 is a twentieth, 20 * 24 is less.
    main = (50, 50, 150, 150)
    assert remarks_on(alpha_of(main, (200, 50, 220, 74))) == ()
    assert "2 separate pieces" in the_one(remarks_on(alpha_of(main, (200, 50, 220, 75))))
    assert "3 separate pieces" in the_one(remarks_on(alpha_of(main, (200, 50, 220, 75), (250, 50, 270, 75))))


def test_small_objects_are_soft() -> None:
    assert "only 63 pixels long" in the_one(remarks_on(alpha_of((50, 50, 113, 90))))
    assert remarks_on(alpha_of((50, 50, 114, 90))) == ()


def test_doubtful_finds_are_said_to_be_and_drawn_ones_are_not() -> None:
    good, most = alpha_of((50, 50, 150, 150)), alpha_of((5, 5, 295, 180))
    assert "a guess (confidence 0.31)" in the_one(remarks_on(good, 0.31))
    # 290 * 175 of 300 * 200 = 0.8458.
    assert "fills 85% of the photo" in the_one(remarks_on(most, 0.8))
    assert remarks_on(most) == ()
    # 64 * 4 of 300 * 200 = 0.0043.
    line = alpha_of((50, 50, 114, 54))
    assert "only 0.4% of the photo" in the_one(remarks_on(line, 0.8))
    assert remarks_on(line) == ()
    for remarks in (remarks_on(good, 0.31), remarks_on(most, 0.8), remarks_on(line, 0.8)):
        assert "--box" in remarks[0]


def test_nothing_and_everything_are_errors() -> None:
    with pytest.raises(ViewFusionError, match="all of it is background"):
        remarks_on(alpha_of())
    with pytest.raises(ViewFusionError, match=r"no background was found.*supply an RGBA image"):
        remarks_on(alpha_of((0, 0, 300, 200)))
    with pytest.raises(ViewFusionError, match="no background was found"):
        remarks_on(alpha_of((0, 0, 300, 200)) // 2)


def test_glass_is_said_to_be() -> None:
    alpha = alpha_of((50, 50, 150, 150))
    alpha[60:100, 60:140] = 128
    # Of the inside, 3 pixels from the outline, 40 * 80 of 94 * 94 = 0.362.
    assert "36% of the object is half transparent" in the_one(remarks_on(alpha))
    alpha[60:100, 60:140] = 255
    alpha[60:70, 60:140] = 128  # 10 * 80 of 94 * 94 = 0.09
    assert remarks_on(alpha) == ()


def test_soft_edges_are_not_glass() -> None:
    distance = np.hypot(*(np.mgrid[:200, :300] - np.array([100, 150])[:, None, None]))
    assert remarks_on(np.uint8(np.clip(60 - distance, -2, 2) * 63 + 127)) == ()


def test_a_faint_object_is_said_to_be() -> None:
    # 102 of 255 are 40 %; evenly so is not glass.
    assert "at most 40% opaque" in the_one(remarks_on(alpha_of((50, 50, 150, 150)) // 255 * np.uint8(102)))
    assert remarks_on(alpha_of((50, 50, 150, 150)) // 255 * np.uint8(200)) == ()


def test_who_gave_a_mask_is_told_what_to_do_about_it() -> None:
    hints = Hints(mask=Path("mask.png"))
    glassy, faint = alpha_of((50, 50, 150, 150)), alpha_of((50, 50, 150, 150)) // 255 * np.uint8(102)
    glassy[60:100, 60:140] = 128
    assert "if it is solid, make the mask white there" in the_one(remarks_on(glassy, hints=hints))
    assert "make the mask white on it" in the_one(remarks_on(faint, hints=hints))
    with pytest.raises(ViewFusionError, match=r"the mask leaves no background.*make it black") as error:
        remarks_on(alpha_of((0, 0, 300, 199)), hints=hints)
    assert "--mask" not in str(error.value)
    # A piece of a mask can be chosen by a point all the same.
    pieces = alpha_of((50, 50, 150, 150), (200, 50, 250, 100))
    assert remarks_on(pieces, hints=hints) == remarks_on(pieces)
    assert "if it is solid, supply a mask (--mask)" in the_one(remarks_on(glassy))


def test_who_drew_a_box_is_told_to_draw_another() -> None:
    hints, good, most = Hints(box=(0, 0, 300, 200)), alpha_of((50, 50, 150, 150)), alpha_of((5, 5, 295, 180))
    for alpha, confidence in ((good, 0.31), (most, 0.8), (alpha_of((50, 50, 114, 54)), 0.8)):
        assert "draw another box (--box)" in the_one(remarks_on(alpha, confidence, hints))
        assert "draw a box (--box)" in the_one(remarks_on(alpha, confidence))


def test_specks_are_worth_a_word_when_they_add_up() -> None:
    assert specks_remarks(3, 0.009) == ()
    assert specks_remarks(0, 0.0) == ()
    assert "3 small pieces were removed" in specks_remarks(3, 0.011)[0]
    assert "a small piece was removed" in specks_remarks(1, 0.011)[0]
