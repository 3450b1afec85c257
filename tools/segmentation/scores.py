"""Scores of a cut-out: its alpha and the true one go in, three numbers come out."""

from __future__ import annotations

import numpy as np

METRICS = ("overlap", "outline", "alpha")


def scores(alpha: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Of (H, W) uint8 alphas:

    - overlap: intersection over union of what is at least half covered; 0 to 1, higher is better;
    - outline: mean distance from each outline to the other, both ways, as a share of the diagonal. Where
      nothing is covered: 1;
    - alpha: mean absolute difference, 0 to 1.
    """
    mask, true = alpha >= 128, truth >= 128
    either = int((mask | true).sum())
    return {
        "overlap": int((mask & true).sum()) / either if either else 1.0,
        "outline": outline_distance(mask, true) / float(np.hypot(*alpha.shape)),
        "alpha": float(np.abs(alpha.astype(np.int16) - truth).mean() / 255),
    }


def outline_distance(mask: np.ndarray, true: np.ndarray) -> float:
    """In pixels, between the outlines of two (H, W) booleans; the diagonal where one has none."""
    import cv2

    lines = [_outline(each) for each in (mask, true)]
    if not all(line.any() for line in lines):
        return float(np.hypot(*mask.shape))
    fields = [
        cv2.distanceTransform((~line).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for line in lines
    ]
    return float(fields[1][lines[0]].mean() + fields[0][lines[1]].mean()) / 2


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of ``mask`` that have a neighbour outside of it, or none at the picture's edge."""
    around = np.pad(mask, 1)
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.asarray(mask & ~inner, bool)
