"""What segmenters by networks share: a photo and a network go in, a Segmentation comes out.

A network gives each pixel its probability of being on the object; where a person said what the object is,
it looks there only. It looks twice, at the photo and at its mirror image: the mean is a better outline, and
where the two differ the network does not know.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from ...errors import ViewFusionError
from ..pieces import components, reduced
from . import Hints, Segmentation

Look = Callable[[np.ndarray], np.ndarray]
"""(h, w, 3) uint8 to (h, w) float32 probabilities, 0 to 1."""

BOX_MARGIN = 0.1
"""Of a box's sides, seen around it: networks look for what stands out from something."""

HAZE = 0.2
"""Probabilities below this are nothing and those above 1 - this certain: a faint haze over the ground would
be a grey veil over white. Of 0 to 0.4 the one with the least error of alpha for U-2-Net and its small
version, on a dozen of the photos that ``tools/evaluate_segmenters.py`` makes of the split "validation"."""


def segmented(rgb: np.ndarray, hints: Hints, method: str, look: Look) -> Segmentation:
    """The object of ``rgb`` (H, W, 3) uint8, as ``look`` sees it on a small copy; ``method`` is its name.

    Raises:
        ViewFusionError: it sees nothing, or nothing at the point of ``hints``.
    """
    left, top, right, bottom = _window(hints, rgb.shape[1], rgb.shape[0])
    small = reduced(rgb[top:bottom, left:right], Image.Resampling.BOX)
    looks = look(small), look(np.ascontiguousarray(small[:, ::-1]))[:, ::-1]
    probabilities = np.mean(looks, axis=0)
    if hints.point is not None:
        scale = small.shape[1] / (right - left)
        at = (hints.point[0] - left) * scale, (hints.point[1] - top) * scale
        probabilities = _piece_at(probabilities, at, method)
    if not np.isfinite(probabilities).all() or probabilities.max() < 0.5:
        raise ViewFusionError(
            f"{method} finds no object; give a photo with one object in its middle, or another segmenter"
        )
    ramp = np.clip((probabilities - HAZE) / (1 - 2 * HAZE), 0, 1)
    found = Image.fromarray(np.rint(ramp * 255).astype(np.uint8))
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    alpha[top:bottom, left:right] = found.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    if hints.box is not None:
        alpha = _inside(alpha, hints.box)
    return Segmentation(alpha, method, agreement(*looks))


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two (h, w) maps of shares, 0 to 1; 0 where both are empty."""
    either = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / either if either else 0.0


def _window(hints: Hints, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is looked at: everything, or a box with some room around it."""
    if hints.box is None:
        return 0, 0, width, height
    left, top, right, bottom = hints.box
    across, down = BOX_MARGIN * (right - left), BOX_MARGIN * (bottom - top)
    x0, y0 = max(0, int(left - across)), max(0, int(top - down))
    return (
        x0,
        y0,
        min(width, max(x0 + 1, round(right + across))),
        min(height, max(y0 + 1, round(bottom + down))),
    )


def _inside(alpha: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = (max(0, round(edge)) for edge in box)
    out = np.zeros_like(alpha)
    out[top:bottom, left:right] = alpha[top:bottom, left:right]
    return out


def _piece_at(probabilities: np.ndarray, point: tuple[float, float], method: str) -> np.ndarray:
    """``probabilities`` of the connected piece under ``point`` alone."""
    height, width = probabilities.shape
    x, y = (min(max(int(at), 0), most - 1) for at, most in zip(point, (width, height), strict=True))
    pieces = components(probabilities >= HAZE)
    if pieces[y, x] == 0:
        raise ViewFusionError(f"{method} sees no object at that point; choose another one, or give a box")
    kept: np.ndarray = np.where(pieces == pieces[y, x], probabilities, 0)
    return kept
