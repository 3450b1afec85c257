"""Masks from white: a picture over a near-white background goes in, what of it is the object comes out.

Generated views are not quite white around the object: they carry faint specks and a soft veil. So the
background is measured in the frame of the picture; what is as light and reaches the frame is background, and
pieces that are small or faint are dropped. At the edges a pixel counts for the part of it that is darker than
the background, compared with the object beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfusion.errors import ViewFusionError

from .view_checks import refuse_views

DARKEST_BACKGROUND = 0.8
"""Of any channel. What is darker is a picture of something else, and not white that was made a little off."""

WHITE = 1.5 / 255
"""Nearer to the background than this is the background itself."""

FAINTEST = 6 / 255
"""Under a veil: what an autoencoder or a JPEG does to white."""

VEILED = 0.01
"""Share of the frame's pixels that are neither the background's colour nor those of an object."""

WISP_SHARE, FAINT_SHARE = 0.06, 0.2
"""Under a veil, of how dark the object is: pixels less dark are background, wisps that hang on the object
among them; pieces that are nowhere so dark are specks if they are small."""

SMALLEST_PIECE, SMALLEST_FAINT, SMALLEST_AT_FRAME = 0.005, 0.05, 0.25
"""Shares of the largest piece. Smaller ones are specks; under a veil larger ones too if they are faint, or
lie at the frame, whose corners autoencoders mark."""

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


def cut_out(
    images: Sequence[np.ndarray], alphas: Sequence[np.ndarray | None] | None, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are white around the object, and masks: from alpha where there is one, else from white.

    Args:
        images: (H, W, 3) float in [0, 1] each, over white or, where there is no alpha, nearly so.
        alphas: (H, W) in [0, 1] each; None, or opaque everywhere: it says nothing.
        names: of the views, for errors.

    Returns:
        (V, 3, H, W) and (V, H, W) float32.

    Raises:
        ViewFusionError: views without alpha are not over white.
    """
    height, width = images[0].shape[:2]
    pictures = np.empty((len(images), 3, height, width), np.float32)
    masks = np.empty((len(images), height, width), np.float32)
    coloured = []
    for place, image in enumerate(images):
        alpha, clipped = None if alphas is None else alphas[place], np.clip(image, 0, 1)
        if alpha is None or (alpha >= 1).all():
            found = mask_from_white(clipped)
            if found is None:
                coloured.append(place)
                continue
            alpha = found.mask
            clipped = np.clip(clipped + (1 - alpha[..., None]) * (1 - found.background), 0, 1)
        masks[place] = np.clip(alpha, 0, 1)
        pictures[place] = np.where(alpha[..., None] > 0, clipped, 1).transpose(2, 0, 1)
    if coloured:
        raise refuse_views(
            coloured, names, "not over white", "give pictures with alpha (`viewfusion preprocess` cuts out)"
        )
    return pictures, masks


def mask_from_white(image: np.ndarray) -> Silhouette | None:
    """The object of a picture over white; None where what surrounds it is not white.

    A region that the object encloses is a hole through it (the handle of a mug) if it is exactly as white as
    the background, and a white part of it otherwise.

    Args:
        image: (H, W, 3) float in [0, 1].
    """
    frame = _frame(image)
    background = np.median(frame, axis=0)
    if background.min() < DARKEST_BACKGROUND:
        return None
    below = np.clip((background - image).max(axis=2), 0, 1)
    around = _frame(below)
    veiled = float(np.mean((around > WHITE) & (around < 0.5))) > VEILED
    noise = 1.4826 * float(np.median(around))
    weakest = max(FAINTEST, 4 * noise) if veiled else WHITE
    solid = ~_background(below <= weakest, below, max(WHITE, noise))
    if not solid.any():
        return Silhouette(np.zeros(solid.shape, np.float32), background.astype(np.float32))
    faint = 0.0
    if veiled:
        darkness = float(np.median(below[solid]))
        faint, weakest = FAINT_SHARE * darkness, max(weakest, WISP_SHARE * darkness)
        solid = ~_background(below <= weakest, below, max(WHITE, noise))
    solid = _without_specks(solid, below, faint, veiled)
    return Silhouette(_softened(solid, below, faint), background.astype(np.float32))


def _frame(values: np.ndarray) -> np.ndarray:
    """The outermost two rows and columns, as a list."""
    outer = np.ones(values.shape[:2], bool)
    outer[2:-2, 2:-2] = False
    return values[outer]


def _background(light: np.ndarray, below: np.ndarray, white: float) -> np.ndarray:
    """(H, W) bool: what of ``light`` reaches the frame, or is on average no more than ``white`` below."""
    ndimage = _ndimage()
    labels, count = ndimage.label(light)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    means = np.bincount(labels.ravel(), below.ravel(), minlength=count + 1) / np.maximum(sizes, 1)
    found = (sizes >= max(4, SMALLEST_HOLE * light.size)) & (means <= white)
    found[np.unique(_frame(labels))] = True
    found[0] = False
    return np.asarray(found[labels])


def _without_specks(solid: np.ndarray, below: np.ndarray, faint: float, veiled: bool) -> np.ndarray:
    """``solid`` less the pieces that are no part of the object."""
    ndimage = _ndimage()
    labels, count = ndimage.label(solid, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    shares = sizes / sizes.max()
    darkest = ndimage.maximum(below, labels, np.arange(count + 1))
    kept = shares >= SMALLEST_PIECE
    if veiled:
        at_frame = np.isin(np.arange(count + 1), _frame(labels))
        kept &= (shares >= SMALLEST_FAINT) | (darkest >= faint)
        kept &= (shares >= SMALLEST_AT_FRAME) | ~at_frame
    kept[0] = False
    return np.asarray(kept[labels])


def _softened(solid: np.ndarray, below: np.ndarray, faint: float) -> np.ndarray:
    """(H, W) float32: 1 inside of ``solid``; along its edge how dark a pixel is beside the object there."""
    ndimage = _ndimage()
    reach = max(2, round(EDGE * max(solid.shape)))
    beside = ndimage.grey_dilation(np.where(solid, below, 0), size=2 * reach + 1)
    rim = solid & ~ndimage.binary_erosion(solid, iterations=reach, border_value=1)
    covered = np.clip(below / np.maximum(beside, max(faint, 1e-6)), 0, 1)
    return np.where(rim, covered, solid).astype(np.float32)


def _ndimage():
    try:
        from scipy import ndimage
    except ImportError:
        raise ViewFusionError(
            "masks are found by scipy, which is missing; `pip install 'viewfusion[reconstruction]'`"
        ) from None
    return ndimage
