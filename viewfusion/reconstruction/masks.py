"""Masks from white: a picture over a near-white background goes in, what of it is the object comes out.

Generated views are not quite white around the object: they carry faint specks and a soft veil. So the
background is measured in the frame of the picture; what is as light and reaches the frame is background, and
pieces that are small or faint are dropped. At the edges a pixel counts for the part of it that is darker than
the background, compared with the object beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DARKEST_BACKGROUND = 0.8
"""Of any channel. What is darker is a picture of something else, and not white that was made a little off."""

FAINTEST = 6 / 255
"""A pixel less than this below the background is background: what a JPEG or an autoencoder does to white."""

STRONG = 3.0
"""A piece of the object has a pixel so many times farther from the background than that."""

SMALLEST_PIECE = 0.01
"""Pieces smaller than this share of the largest one are specks."""

SMALLEST_HOLE = 0.0005
"""Share of the picture. A smaller hole is a highlight."""

EDGE = 0.012
"""Share of the longer side: how wide an edge may be smeared, at least two pixels."""


@dataclass(frozen=True)
class Silhouette:
    """What of a picture is the object.

    Args:
        mask: (H, W) float32 in [0, 1].
        background: (3,) float32, the colour around it.
    """

    mask: np.ndarray
    background: np.ndarray


def mask_from_white(image: np.ndarray) -> Silhouette | None:
    """The object of a picture over white; None where what surrounds it is not white.

    A region as light as the background that the object encloses is a hole through it if it is exactly as
    white (the handle of a mug), and a white part of it otherwise.

    Args:
        image: (H, W, 3) float in [0, 1].
    """
    from scipy import ndimage

    frame = _frame(image)
    background = np.median(frame, axis=0)
    if background.min() < DARKEST_BACKGROUND:
        return None
    below = np.clip((background - image).max(axis=2), 0, 1)
    noise = 1.4826 * float(np.median(np.abs(_frame(below))))
    weak = max(FAINTEST, 4 * noise)
    light = below <= weak
    solid = ~_outside(light, below, max(1.5 / 255, noise))
    solid = _without_specks(solid, below, STRONG * weak)
    reach = max(2, round(EDGE * max(solid.shape)))
    beside = ndimage.grey_dilation(np.where(solid, below, 0), size=2 * reach + 1)
    rim = solid & ~ndimage.binary_erosion(solid, iterations=reach, border_value=1)
    mask = np.where(rim, np.clip(below / np.maximum(beside, 1e-6), 0, 1), solid)
    return Silhouette(mask.astype(np.float32), background.astype(np.float32))


def _frame(values: np.ndarray) -> np.ndarray:
    """The outermost two rows and columns, as a list."""
    inner = np.zeros(values.shape[:2], bool)
    inner[2:-2, 2:-2] = True
    return values[~inner]


def _outside(light: np.ndarray, below: np.ndarray, white: float) -> np.ndarray:
    """(H, W) bool: what of ``light`` reaches the frame or is a hole."""
    from scipy import ndimage

    labels, count = ndimage.label(light)
    frame = np.unique(_frame(labels))
    open_ = np.zeros(count + 1, bool)
    open_[frame] = True
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    means = np.bincount(labels.ravel(), below.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    open_ |= (sizes >= max(4, SMALLEST_HOLE * light.size)) & (means <= white)
    open_[0] = False
    return open_[labels]


def _without_specks(solid: np.ndarray, below: np.ndarray, strong: float) -> np.ndarray:
    """``solid`` less its small and its faint pieces."""
    from scipy import ndimage

    labels, count = ndimage.label(solid, structure=np.ones((3, 3)))
    if not count:
        return solid
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    darkest = np.zeros(count + 1)
    np.maximum.at(darkest, labels.ravel(), below.ravel())
    kept = (sizes >= SMALLEST_PIECE * sizes.max()) & (darkest >= strong)
    kept[0] = False
    return kept[labels]
