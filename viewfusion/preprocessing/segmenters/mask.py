"""Segmenter "mask": a picture of where the object is, made by hand or by another program."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ...errors import ViewFusionError
from ..images import read_image
from . import Hints, Segmentation


def segment(rgb: np.ndarray, hints: Hints) -> Segmentation:
    """The object by the file ``hints.mask``: opaque there if it has transparency, else light on black.

    Args:
        rgb: (H, W, 3) uint8; only its size matters.
        hints: with a mask of that size, or of that shape.

    Raises:
        ViewFusionError: no mask is given, it is no usable image, of another shape, or all object or none.
    """
    if hints.mask is None:
        raise ViewFusionError("no mask is given; name its file with --mask, or use another --segmenter")
    levels = _levels(read_image(hints.mask))
    if levels.min() == levels.max():
        raise ViewFusionError(
            f"{hints.mask}: the same everywhere; a mask is white (or opaque) on the object and black (or "
            "transparent) elsewhere"
        )
    return Segmentation(_fitted(levels, rgb.shape[:2], str(hints.mask)), "mask", 1.0)


def _levels(rgba: np.ndarray) -> np.ndarray:
    """(h, w) uint8: alpha where it says anything, else brightness."""
    if rgba[..., 3].min() < 255:
        return rgba[..., 3]
    levels = np.asarray(Image.fromarray(rgba[..., :3]).convert("L"))
    # Masks of 0 and 1 look black and are common.
    return levels * np.uint8(255) if levels.max() == 1 else levels


def _fitted(levels: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    """``levels`` at the photo's (H, W), to whose shape it must come within a pixel."""
    (height, width), (rows, columns) = shape, levels.shape
    if (rows, columns) == shape:
        return levels
    if abs(columns * height / rows - width) > max(1, height / rows) or abs(
        rows * width / columns - height
    ) > max(1, width / columns):
        raise ViewFusionError(
            f"{name}: the mask has {columns} x {rows} pixels and the upright photo {width} x {height}; give "
            "one of the photo's size, or of its shape"
        )
    return np.asarray(Image.fromarray(levels).resize((width, height), Image.Resampling.BILINEAR))
