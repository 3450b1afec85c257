"""Pictures with alpha: a picture over white and its alpha go in, straight-alpha RGBA comes out."""

from __future__ import annotations

import numpy as np


def with_alpha(rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """(H, W, 4) uint8 that gives ``rgb`` when it is laid over white again, as far as 256 levels can.

    Args:
        rgb: (H, W, 3) uint8, over white.
        alpha: (H, W) float in [0, 1]; None: opaque.
    """
    if alpha is None:
        return np.concatenate([rgb, np.full((*rgb.shape[:2], 1), 255, np.uint8)], axis=2)
    levels = alpha_levels(alpha)[..., None]
    covered = np.maximum(levels, 1) / 255
    colours = np.where(levels > 0, 255 - (255 - rgb.astype(np.float32)) / covered, 255)
    return np.concatenate([np.round(np.clip(colours, 0, 255)).astype(np.uint8), levels], axis=2)


def alpha_levels(alpha: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of (H, W) in [0, 1]."""
    return np.round(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
