"""Masks: their connected pieces, and copies small enough to look for them in."""

from __future__ import annotations

import numpy as np
from PIL import Image

MASK_SIDE = 1024
"""Outlines are found on a copy of at most this many pixels a side: four frames of the full-size model."""


def reduced(pixels: np.ndarray, kernel: Image.Resampling) -> np.ndarray:
    """A copy (h, w[, 3]) uint8 of at most MASK_SIDE pixels a side; the input where it is no larger."""
    height, width = pixels.shape[:2]
    scale = MASK_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, kernel))


def components(mask: np.ndarray) -> np.ndarray:
    """(h, w) int labels of the 4-connected pieces of ``mask`` (h, w) bool: 0 outside, 1 ... n inside.

    Runs of pixels along the rows are joined by hooking each one to the smallest it touches and shortening the
    chains, which takes a handful of array operations whatever the pieces look like.
    """
    starts = mask.copy()
    starts[:, 1:] &= ~mask[:, :-1]
    runs = np.where(mask, np.cumsum(starts.ravel()).reshape(mask.shape), 0)
    touching = mask[1:] & mask[:-1]
    above, below = runs[:-1][touching], runs[1:][touching]
    parent = np.arange(int(runs.max(initial=0)) + 1)
    while above.size:
        np.minimum.at(parent, np.maximum(above, below), np.minimum(above, below))
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
        above, below = parent[above], parent[below]
        different = above != below
        above, below = above[different], below[different]
    return np.unique(parent, return_inverse=True)[1][runs]
