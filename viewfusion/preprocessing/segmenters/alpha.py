"""Segmenter "alpha": the transparency that a file has itself is where its object is."""

from __future__ import annotations

import numpy as np

from ...errors import ViewFusionError
from . import Segmentation

MIN_TRANSPARENT_SHARE = 0.02
"""Least share of see-through pixels that makes alpha a cut-out; round corners of screenshots stay below."""


def segment(rgba: np.ndarray) -> Segmentation:
    """The alpha of ``rgba`` (H, W, 4) uint8 as it is: whoever made it saw the object.

    Raises:
        ViewFusionError: it has none, or hardly any.
    """
    alpha = rgba[..., 3]
    if not is_cutout(alpha):
        share = 100 * MIN_TRANSPARENT_SHARE
        raise ViewFusionError(
            f"less than {share:g} % of the image is transparent; supply one with the background removed, or "
            "use another --segmenter"
        )
    return Segmentation(alpha, "alpha", 1.0)


def is_cutout(alpha: np.ndarray) -> bool:
    """Whether ``alpha`` (H, W) uint8 parts something from something else, being faint all over does not."""
    return bool(np.mean(alpha < (int(alpha.max(initial=0)) + 1) // 2) >= MIN_TRANSPARENT_SHARE)
