"""What segmenters by networks share: a photo and a network go in, a Segmentation comes out.

A network gives each pixel its probability of being on the object; where a person gave a box, it looks there,
for what stands out there. It looks twice, at the photo and at its mirror image: the mean is a better outline,
and where the two differ the network does not know.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from ..pieces import reduced, whole_box
from . import Hints, NoObjectError, Segmentation

Look = Callable[[np.ndarray], np.ndarray]
"""(h, w, 3) uint8 to (h, w) float32 probabilities, 0 to 1."""

BOX_MARGIN = 0.1
"""Of a box's sides, seen around it: networks look for what stands out from something."""

MOST_CONFIDENCE = 0.99
"""However well both looks agree; 1 is for what somebody says."""

HAZE = 0.2
"""Probabilities below this are nothing and those above 1 - this certain: a faint haze over the ground would
be a grey veil over white. Of 0 to 0.4 the one with the least error of alpha for U-2-Net and its small
version, on a dozen of the photos that ``tools/evaluate_segmenters.py`` makes of the split "validation"."""


def segmented(rgb: np.ndarray, hints: Hints, method: str, look: Look) -> Segmentation:
    """The object of ``rgb`` (H, W, 3) uint8, as ``look`` sees it on a small copy; ``method`` is its name.

    Raises:
        NoObjectError: it sees nothing.
    """
    left, top, right, bottom = _window(hints, rgb.shape[1], rgb.shape[0])
    small = reduced(rgb[top:bottom, left:right], Image.Resampling.BOX)
    looks = look(small), look(np.ascontiguousarray(small[:, ::-1]))[:, ::-1]
    probabilities = np.mean(looks, axis=0)
    if not np.isfinite(probabilities).all() or probabilities.max() < 0.5:
        raise NoObjectError(
            f"{method} finds no object; give a photo with one object in its middle, or another segmenter"
        )
    ramp = np.clip((probabilities - HAZE) / (1 - 2 * HAZE), 0, 1)
    found = Image.fromarray(np.rint(ramp * 255).astype(np.uint8))
    found = found.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    alpha[top:bottom, left:right] = np.asarray(found)
    return Segmentation(alpha, method, min(MOST_CONFIDENCE, agreement(*looks)))


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two (h, w) maps of shares, 0 to 1; 0 where both are empty."""
    either = float(np.maximum(first, second).sum())
    return float(np.minimum(first, second).sum()) / either if either else 0.0


def brief(error: Exception) -> str:
    """On one line what a library says; of much its beginning and its end, as some say last what matters."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= 200 else f"{said[:100]} ... {said[-95:]}"


def _window(hints: Hints, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is looked at: everything, or a box with some room around it."""
    if hints.box is None:
        return 0, 0, width, height
    left, top, right, bottom = hints.box
    across, down = BOX_MARGIN * (right - left), BOX_MARGIN * (bottom - top)
    left, top, right, bottom = whole_box((left - across, top - down, right + across, bottom + down))
    return left, top, min(width, right), min(height, bottom)
