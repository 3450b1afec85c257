"""Judgement: an alpha goes in, what makes its object a doubtful input comes out, in words."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ViewFusionError
from .pieces import components, reduced, shrunk
from .segmenters import NO_HINTS, Hints

LARGE_PIECE_SHARE = 0.05
"""From this share of the largest piece on a second piece is taken for another object."""

TOUCH_SHARE = 0.05
"""From this share of a side on, an object at the border may have been cut off there."""

SMALL_SIDE = 64
"""Objects of fewer pixels than this along their longest side come out visibly soft."""

EVERYWHERE = 0.98
"""Share of the photo from which on an object leaves no ground: nothing was told apart."""

MOST_OF_IT = 0.8
"""Share of the photo from which on a found object may be the ground as well."""

HARDLY_ANY = 0.005
"""Share of the photo below which a found object may be the wrong one."""

LOW_CONFIDENCE = 0.5
"""Below it an outline is more often wrong than right."""

GLASSY_SHARE = 0.15
"""Share of the inside that must be half transparent for it to be glass, smoke or a fault."""

FAINT = 0.75
"""An object whose most opaque pixel is below this is pale all over."""

SPECKS_SHARE = 0.01
"""Specks that together are this share of the object may have been parts of it."""


def remarks_on(alpha: np.ndarray, confidence: float = 1.0, hints: Hints = NO_HINTS) -> tuple[str, ...]:
    """What makes the object with this alpha (H, W) uint8 a doubtful input.

    Args:
        alpha: of the object in its photo.
        confidence: of whoever found it; 1 where somebody drew it, which is not doubted.
        hints: what was said about where it is, for nobody is told to do what is done already.

    Raises:
        ViewFusionError: there is no object, or nothing but object.
    """
    peak = int(alpha.max(initial=0))
    if peak == 0:
        raise ViewFusionError(
            "there is no object in it: all of it is background; supply another mask or photo"
        )
    solid = alpha >= (peak + 1) // 2
    share = float(solid.mean())
    if share > EVERYWHERE:
        raise ViewFusionError(_no_ground(hints))
    copy = reduced(alpha, Image.Resampling.BOX)
    remarks = [
        *_found_remarks(share, confidence, hints),
        *_border_remarks(solid),
        *_piece_remarks(copy >= (peak + 1) // 2),
        *_glass_remarks(copy, peak, hints),
    ]
    longest = max(int(np.ptp(np.flatnonzero(solid.any(axis=axis)))) + 1 for axis in (0, 1))
    if longest < SMALL_SIDE:
        remarks.append(
            f"the object is only {longest} pixels long, the result will be soft; use a larger photo"
        )
    return tuple(remarks)


def _no_ground(hints: Hints) -> str:
    if hints.mask is not None:
        return (
            "the mask leaves no background: the object fills all of it; make it black (or transparent) "
            "beside the object"
        )
    return (
        "no background was found: the object fills all of it; supply an RGBA image with the background "
        "removed, a mask (--mask), or a photo with some background on every side"
    )


def specks_remarks(count: int, share: float) -> tuple[str, ...]:
    """What to say of ``count`` specks removed that together were ``share`` of the object."""
    if share < SPECKS_SHARE:
        return ()
    what = "a small piece was" if count == 1 else f"{count} small pieces were"
    return (f"{what} removed beside the object; if it lacks something, supply a mask (--mask)",)


def _found_remarks(share: float, confidence: float, hints: Hints) -> list[str]:
    if confidence == 1:
        return []
    draw = "draw another box (--box)" if hints.box is not None else "draw a box (--box)"
    remarks = []
    if confidence < LOW_CONFIDENCE:
        remarks.append(
            f"the outline is a guess (confidence {confidence:.2f}); check preview.png, and if wrong, {draw}, "
            "supply a mask (--mask) or an RGBA image, or use another --segmenter"
        )
    if share > MOST_OF_IT:
        remarks.append(f"the object found fills {share:.0%} of the photo; if that is background too, {draw}")
    if share < HARDLY_ANY:
        remarks.append(f"the object found is only {share:.1%} of the photo; if it is not the one, {draw}")
    return remarks


def _border_remarks(solid: np.ndarray) -> list[str]:
    edges = {"top": solid[0], "bottom": solid[-1], "left": solid[:, 0], "right": solid[:, -1]}
    touched = [side for side, pixels in edges.items() if pixels.mean() >= TOUCH_SHARE]
    if not touched:
        return []
    sides = touched[0] if len(touched) == 1 else f"{', '.join(touched[:-1])} and {touched[-1]}"
    return [
        f"the object touches the {sides} border; if it is cut off there, use a photo that shows all of it"
    ]


def _piece_remarks(solid: np.ndarray) -> list[str]:
    areas = np.bincount(components(solid).ravel())[1:]
    large = int((areas >= max(1, LARGE_PIECE_SHARE * areas.max(initial=0))).sum())
    if large < 2:
        return []
    return [f"{large} separate pieces: the model expects one object; choose one by a point on it (--point)"]


def _glass_remarks(alpha: np.ndarray, peak: int, hints: Hints) -> list[str]:
    masked, remarks = hints.mask is not None, []
    if peak < 255 * FAINT:
        remedy = "make the mask white on it" if masked else "supply an opaque one"
        remarks.append(
            f"the object is at most {peak / 255:.0%} opaque: the model sees it pale over white; {remedy} if "
            "it should not be"
        )
    inside = alpha[shrunk(alpha >= max(1, peak // 10), 3)]
    share = float(np.mean(inside < 0.9 * peak)) if inside.size else 0.0
    if share >= GLASSY_SHARE:
        remedy = "make the mask white there" if masked else "supply a mask (--mask)"
        remarks.append(
            f"{share:.0%} of the object is half transparent, and the model sees white through it; if it "
            f"is solid, {remedy}"
        )
    return remarks
