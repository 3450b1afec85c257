"""Starts: a small copy of a photo and hints go in, rough guesses of where the object is come out.

Three guesses made in different ways, for what is cut out from them to be compared, with what is surely object
and surely ground. None needs to be good: a third of the object and little else is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .saliency import barrier, border_band, saliency

SURE_RADIUS = 0.01
"""Around a click that much is the object, as a share of the longest side."""

GUESSED_RADII = (0.08, 0.12, 0.25)
"""Around a click that much is guessed to be the object: small, for what is clicked on often lies on or before
something larger, and cuts grow to the next clear outline but seldom shrink."""

GUESSED_OVALS = (1.0, 0.75)
"""Size of the ovals in a box that are guessed to be the object, as a share of the box."""

MIDDLE = 0.6
"""Size of the oval in the middle of a photo that is guessed to be the object where nobody said anything."""


@dataclass(frozen=True, eq=False)
class Starts:
    """Where to start from, in pixels of the copy, all (h, w) bool.

    Attributes:
        guesses: three of them.
        surely: of the object; nothing without a click.
        never: of the object.
    """

    guesses: tuple[np.ndarray, np.ndarray, np.ndarray]
    surely: np.ndarray
    never: np.ndarray


def starts(
    rgb: np.ndarray,
    point: tuple[float, float] | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Starts:
    """For ``rgb`` (h, w, 3) uint8, with a point (x, y) on the object or a box around it, if any."""
    height, width = rgb.shape[:2]
    y, x = (grid + 0.5 for grid in np.mgrid[:height, :width])
    away = None if point is None else np.hypot(x - point[0], y - point[1]) / max(height, width)
    if box is not None:
        return _in_box(x, y, box, away)
    lab = _lab(rgb)
    salient = saliency(lab)
    standing_out = salient > _threshold(salient)
    never = _rim(height, width, border_band(height, width)) & ~standing_out
    if away is not None:
        return _around_click(lab, away, never)
    middle = np.hypot(2 * x / width - 1, 2 * y / height - 1) < MIDDLE
    nearer = _nearer(lab, salient >= 0.9)
    nothing = np.zeros_like(never)
    return Starts((standing_out, nearer & ~never, middle & ~never), nothing, never)


def _in_box(
    x: np.ndarray, y: np.ndarray, box: tuple[float, float, float, float], away: np.ndarray | None
) -> Starts:
    left, top, right, bottom = box
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    size = np.hypot((2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top))
    large, small = (inside & (size < share) for share in GUESSED_OVALS)
    return Starts((inside, large, small), _sure(away, inside), ~inside)


def _around_click(lab: np.ndarray, away: np.ndarray, never: np.ndarray) -> Starts:
    surely = _sure(away, np.ones_like(never))
    small, middle, large = (away < radius for radius in GUESSED_RADII)
    never = never & ~surely
    return Starts((_nearer(lab, surely) & large & ~never, middle & ~never, small & ~never), surely, never)


def _sure(away: np.ndarray | None, where: np.ndarray) -> np.ndarray:
    """(h, w) bool: the click, a pixel at least if it is ``where`` it can be."""
    if away is None:
        return np.zeros_like(where)
    return (away <= max(SURE_RADIUS, float(away.min()))) & where


def _nearer(lab: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(h, w) bool: what fewer barriers part from ``start`` than from the border."""
    return barrier(lab, start) < barrier(lab, _rim(start.shape[0], start.shape[1], 1) & ~start)


def _rim(height: int, width: int, thickness: int) -> np.ndarray:
    rim = np.ones((height, width), bool)
    rim[thickness:-thickness, thickness:-thickness] = False
    return rim


def _lab(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 CIE L*a*b*, the finest grain smoothed."""
    import cv2

    smooth = cv2.GaussianBlur(rgb, (3, 3), 0)
    return np.asarray(cv2.cvtColor(np.float32(smooth) / 255, cv2.COLOR_RGB2LAB))


def _threshold(values: np.ndarray) -> float:
    """Otsu's: what parts ``values``, 0 to 1, into two groups that are each most alike."""
    import cv2

    levels = np.uint8(np.rint(values * 255))
    return float(cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]) / 255
