"""Segmenter "plain-background": what is not connected to a plain light border is the object.

One simple rule, honest about its limits: a ground that is not plain and light is refused.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from ...errors import ViewFusionError
from ..pieces import SPECK_SHARE, components, from_border, reduced
from . import Hints, Segmentation

BACKGROUND_DISTANCE = 24
"""How far (levels of 255, largest channel) the background may stray from its colour: vignetting and JPEG
noise of studio shots stay below it, and an object closer to it could not be told from its own shadow."""

PLAIN_BORDER_SHARE = 0.8
"""Share of the border band within that distance. Less than 1 so that an object may reach the border."""

LIGHT_BACKGROUND = 170
"""Least level of the background's darkest channel. The model sees objects on white: what remains of a light
background along the outline hardly shows there, of a dark one it would be a dark line."""


def segment(rgb: np.ndarray, hints: Hints) -> Segmentation:
    """The object on a plain light ground: all that the ground connected to the border does not reach.

    Pale parts inside the object so stay; edges get the alpha that explains their mix of colours.

    Args:
        rgb: (H, W, 3) uint8.
        hints: not looked at.

    Raises:
        ViewFusionError: the border is not plain and light, or nothing stands out from it.
    """
    small = reduced(rgb, Image.Resampling.BOX)
    background = background_colour(small)
    distance = np.abs(small.astype(np.int16) - background).max(axis=2).astype(np.uint8)
    alpha = _soft_alpha(distance, _object_mask(distance))
    if small.shape != rgb.shape:
        alpha = np.asarray(Image.fromarray(alpha).resize(rgb.shape[1::-1], Image.Resampling.BILINEAR))
    remark = "background removed by a simple rule; check preview.png"
    return Segmentation(alpha, "plain-background", 0.9, (remark,), background)


def background_colour(rgb: np.ndarray) -> np.ndarray:
    """(3,) int16 median colour of a plain light border band."""
    height, width = rgb.shape[:2]
    band = max(2, min(height, width) // 50)
    outside = np.ones((height, width), bool)
    outside[band:-band, band:-band] = False
    border = rgb[outside].astype(np.int16)
    colour: np.ndarray = np.median(border, axis=0).astype(np.int16)
    plain = np.mean(np.abs(border - colour).max(axis=1) <= BACKGROUND_DISTANCE) >= PLAIN_BORDER_SHARE
    if not plain or colour.min() < LIGHT_BACKGROUND:
        raise ViewFusionError(
            f"the background is not {'light' if plain else 'plain'}; supply an RGBA image with the "
            "background removed (for example made with `rembg`), or a photo on plain white"
        )
    return colour


def _object_mask(distance: np.ndarray) -> np.ndarray:
    """(h, w) bool: all that background connected to the border does not reach, without specks."""
    mask = ~from_border(distance <= BACKGROUND_DISTANCE)
    labels = components(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if areas.max() < 1e-4 * mask.size:
        raise ViewFusionError("nothing stands out from the background; supply an RGBA image with it removed")
    kept: np.ndarray = areas >= max(1, SPECK_SHARE * areas.max())
    return np.take(kept, labels)


def _soft_alpha(distance: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w) uint8 alpha: full inside, near the outline the object's share in each pixel's colour.

    A pixel that mixes alpha of the object's colour with the background's is alpha times as far from the
    background as the object is there; the farthest pixel around stands for the object.
    """
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    near = np.asarray(image.filter(ImageFilter.MaxFilter(3))) > 0
    core = np.asarray(image.filter(ImageFilter.MinFilter(5))) > 0
    inside = Image.fromarray(np.where(mask, distance, 0).astype(np.uint8))
    farthest = np.asarray(inside.filter(ImageFilter.MaxFilter(5))).astype(np.float32)
    share = np.minimum(distance / np.maximum(farthest, 1), 1)
    alpha = np.rint(np.where(core, 1, np.where(near, share, 0)) * 255)
    return np.asarray(alpha, np.uint8)
