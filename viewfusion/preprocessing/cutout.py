"""Cutting out: an RGBA photo goes in, the object alone comes out, with what a person should know about it.

Real transparency is trusted. Without it, one simple rule removes a plain light background; anything harder
needs a background remover and is refused in those words, because a wrong outline turns into a wrong object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ..errors import ViewFusionError
from .images import over_white

MIN_TRANSPARENT_SHARE = 0.02
"""Least share of see-through pixels that makes alpha a cut-out; round corners of screenshots stay below."""

BACKGROUND_DISTANCE = 24
"""How far (levels of 255, largest channel) the background may stray from its colour: vignetting and JPEG
noise of studio shots stay below it, and an object closer to it could not be told from its own shadow."""

PLAIN_BORDER_SHARE = 0.8
"""Share of the border band within that distance. Less than 1 so that an object may reach the border."""

LIGHT_BACKGROUND = 170
"""Least level of the background's darkest channel. The model sees objects on white: what remains of a light
background along the outline hardly shows there, of a dark one it would be a dark line."""

SPECK_SHARE = 0.01
"""Pieces smaller than this share of the largest one are dust or noise, and removed."""

LARGE_PIECE_SHARE = 0.05
"""From this share of the largest piece on a second piece is taken for another object."""

TOUCH_SHARE = 0.05
"""From this share of a side on, an object at the border may have been cut off there."""

SMALL_SIDE = 64
"""Objects of fewer pixels than this along their longest side come out visibly soft."""

_MASK_SIDE = 1024
"""Outlines are found on a copy of at most this many pixels a side: four frames of the full-size model."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its background.

    Attributes:
        rgba: (H, W, 4) uint8, straight alpha, the size of the photo.
        method: where the outline is from: "alpha" (the file's own) or "plain-background" (the simple rule).
        warnings: whole phrases a person should see.
    """

    rgba: np.ndarray
    method: str
    warnings: tuple[str, ...] = ()


def cut_out(rgba: np.ndarray) -> Cutout:
    """The object of ``rgba`` (H, W, 4) uint8: by its alpha where that is a cut-out, else off a plain ground.

    The rule for photos: the background is what is near the border's median colour and connected to the
    border, so that pale parts inside the object stay; edges get the alpha and colour that explain their mix.

    Raises:
        ViewFusionError: no transparency and the border is not plain and light, or nothing stands out from it.
    """
    if _is_cutout(rgba[..., 3]):
        return Cutout(rgba, "alpha", _remarks(rgba[..., 3]))
    result = _off_plain_background(over_white(rgba))
    remark = "background removed by a simple rule; check input.png"
    return Cutout(result, "plain-background", (remark, *_remarks(result[..., 3])))


def _is_cutout(alpha: np.ndarray) -> bool:
    return bool(np.mean(alpha < 128) >= MIN_TRANSPARENT_SHARE)


def _off_plain_background(rgb: np.ndarray) -> np.ndarray:
    small = _reduced(rgb, Image.Resampling.BOX)
    background = _background_colour(small)
    distance = np.abs(small.astype(np.int16) - background).max(axis=2).astype(np.uint8)
    alpha = _soft_alpha(distance, _object_mask(distance))
    if small.shape != rgb.shape:
        alpha = np.asarray(Image.fromarray(alpha).resize(rgb.shape[1::-1], Image.Resampling.BILINEAR))
    return _unmixed(rgb, alpha, background)


def _background_colour(rgb: np.ndarray) -> np.ndarray:
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
    like_background = _components(distance <= BACKGROUND_DISTANCE)
    border = np.concatenate([like_background[[0, -1]].ravel(), like_background[:, [0, -1]].ravel()])
    # Label 0 is what is unlike the background, and stays.
    mask = ~np.isin(like_background, border[border > 0])
    labels = _components(mask)
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


def _unmixed(rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8: ``rgb`` with ``alpha``, the background's share taken out of half-covered pixels."""
    out = np.dstack([rgb, alpha])
    edge = (alpha > 0) & (alpha < 255)
    share = np.maximum(alpha[edge][:, None] / 255.0, 0.1)
    out[edge, :3] = np.rint(np.clip(background + (rgb[edge] - background) / share, 0, 255))
    out[alpha == 0] = 0
    return out


def _remarks(alpha: np.ndarray) -> tuple[str, ...]:
    """What makes the object with this alpha (H, W) uint8 a doubtful input."""
    peak = int(alpha.max(initial=0))
    if peak == 0:
        raise ViewFusionError("the image is fully transparent: there is no object in it")
    solid = alpha >= max(1, peak // 2)
    remarks = []
    edges = {"top": solid[0], "bottom": solid[-1], "left": solid[:, 0], "right": solid[:, -1]}
    touched = [side for side, pixels in edges.items() if pixels.mean() >= TOUCH_SHARE]
    if touched:
        remarks.append(f"the object touches the {' and '.join(touched)} border: is it cut off?")
    pieces = _components(_reduced(solid.astype(np.uint8) * 255, Image.Resampling.BOX) >= 128)
    areas = np.bincount(pieces.ravel())[1:]
    large = int((areas >= max(1, LARGE_PIECE_SHARE * areas.max(initial=0))).sum())
    if large > 1:
        remarks.append(f"{large} separate pieces: the model expects one object")
    longest = max(int(np.ptp(np.flatnonzero(solid.any(axis=axis)))) + 1 for axis in (0, 1))
    if longest < SMALL_SIDE:
        remarks.append(f"the object is only {longest} pixels long: the result will be soft")
    return tuple(remarks)


def _reduced(pixels: np.ndarray, kernel: Image.Resampling) -> np.ndarray:
    """A copy (h, w[, 3]) uint8 of at most _MASK_SIDE pixels a side; the input where it is no larger."""
    height, width = pixels.shape[:2]
    scale = _MASK_SIDE / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, kernel))


def _components(mask: np.ndarray) -> np.ndarray:
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
