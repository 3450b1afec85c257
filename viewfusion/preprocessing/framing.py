"""Framing: a cut-out object of any size goes in, a square picture of it at the model's scale comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ..errors import ViewFusionError

FRAME_FRACTION = 0.72
"""The object's longest side as a share of the frame's side.

An object of unit longest side, as Zero123 and the shipped model were trained on, spans
1 / (2 * 1.5 * tan(49.134 deg / 2)) = 0.73 of the frame in their field of view from radius 1.5, which is what
an unknown camera is taken to have. Much larger, and a turned object (its diagonal is longer) leaves the
frame; much smaller, and pixels are wasted.
"""


def frame(rgba: np.ndarray, size: int, fraction: float = FRAME_FRACTION) -> np.ndarray:
    """(size, size, 4) uint8: the object of ``rgba`` (H, W, 4) uint8 centred, ``fraction * size`` pixels long.

    The object's box is that of the pixels at least half as opaque as the most opaque one; what lies beyond it
    (soft shadows, hair) is kept as far as the frame reaches. Resampling happens on premultiplied colours in
    floating point and with non-negative weights where it reduces, so that edges neither ring nor pick up the
    colour hidden under transparent pixels. Alpha in and out is straight; where it is 0 the colour is 0.

    Raises:
        ViewFusionError: ``rgba`` is fully transparent, its object a line or too faint to show, ``size`` is
            below 8 or ``fraction`` outside (0, 1].
    """
    if size < 8 or not 0 < fraction <= 1:
        raise ViewFusionError(f"expected size >= 8 and 0 < fraction <= 1, got {size} and {fraction}")
    left, top, right, bottom = _object_box(rgba[..., 3])
    shortest, longest = sorted((right - left, bottom - top))
    if longest > size * shortest:
        raise ViewFusionError(
            f"the object is a line of {longest} x {shortest} pixels; crop or cut out the image"
        )
    side = longest * size / max(1, round(fraction * size))
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    # Blocks are averaged first where the source is much finer than the frame: fast, no large float copies.
    factor = max(1, int(side // (4 * size)))
    x0, y0 = max(0, math.floor(x) - 2), max(0, math.floor(y) - 2)
    crop = rgba[y0 : math.ceil(y + side) + 2, x0 : math.ceil(x + side) + 2]
    corner, side = ((x - x0) / factor, (y - y0) / factor), side / factor
    bands = [_resized(band, *corner, side, size) for band in _premultiplied(crop, factor)]
    framed = _straight(np.stack(bands, axis=-1))
    if not framed[..., 3].any():
        raise ViewFusionError(f"the object is so faint that nothing of it is left at {size} pixels")
    return framed


def _object_box(alpha: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels (right and bottom exclusive)."""
    peak = int(alpha.max(initial=0))
    if peak == 0:
        raise ViewFusionError("the image is fully transparent: there is no object to frame")
    solid = alpha.astype(np.uint16) * 2 >= peak
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _premultiplied(rgba: np.ndarray, factor: int) -> Iterator[np.ndarray]:
    """Red, green, blue times alpha / 255, then alpha: float32, averaged over factor x factor blocks."""
    alpha = rgba[..., 3].astype(np.float32)
    for band in range(3):
        yield _block_means(rgba[..., band] * (alpha / 255), factor)
    yield _block_means(alpha, factor)


def _block_means(band: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return band
    padded = np.pad(band, [(0, -length % factor) for length in band.shape])
    height, width = padded.shape
    blocks: np.ndarray = padded.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _resized(band: np.ndarray, x: float, y: float, side: float, size: int) -> np.ndarray:
    """(size, size) float32: the square of ``side`` at (x, y) of ``band`` (h, w), 0 beyond its edges."""
    # Two pixels more than the square on every side: what a bicubic kernel looks at beyond its box.
    before = [max(0, 2 - math.floor(start)) for start in (y, x)]
    ends = math.ceil(y + side) + 2, math.ceil(x + side) + 2
    after = [max(0, end - length) for end, length in zip(ends, band.shape, strict=True)]
    padded = np.pad(band, list(zip(before, after, strict=True))).astype(np.float32, copy=False)
    box = (x + before[1], y + before[0], x + before[1] + side, y + before[0] + side)
    # Hamming is sharper than an area average and, unlike Lanczos, has no negative lobes to ring with.
    kernel = Image.Resampling.HAMMING if side >= size else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(padded).resize((size, size), kernel, box=box))


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 straight-alpha RGBA of (H, W, 4) float32 premultiplied values, 0 ... 255."""
    alpha = premultiplied[..., 3:]
    visible = alpha >= 0.5
    out: np.ndarray = np.where(visible, premultiplied, 0)
    np.divide(premultiplied[..., :3] * 255, alpha, out=out[..., :3], where=visible)
    return np.asarray(np.rint(np.clip(out, 0, 255)), np.uint8)
