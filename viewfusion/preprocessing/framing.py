"""Framing: a cut-out object of any size goes in, a square picture of it at the model's scale comes out."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from ..errors import ViewFusionError
from .images import bands

FRAME_FRACTION = 0.72
"""The object's longest side as a share of the frame's side.

Measured on zero123-nano's training renderings, at cameras 1.45 to 1.55 away (an unknown camera is taken to
stand at 1.5): the median is 0.67 of 2907 renderings of procedural objects and 0.75 of 3763 of furniture,
the mean 0.66 and 0.73. A unit length seen face on spans 1 / (2 * 1.5 * tan(49.134 deg / 2)) = 0.73. Much
larger, and a turned object (its diagonal is longer) leaves the frame; much smaller, and pixels are wasted.
"""

FRAMINGS = ("longest", "width")
"""What the fraction is of: the box's longest side, as the renderings are framed, or its width alone.

"width" is for comparing with pictures prepared by a rule of that kind, as the real photographs of
ViewFusion's own scripts are said to be. It is written from that description and not from their code, so
neither their share nor their rounding is claimed. How high the object is does not count: one much higher than
wide is cut off.
"""


def frame(
    rgba: np.ndarray, size: int, fraction: float = FRAME_FRACTION, framing: str = "longest"
) -> np.ndarray:
    """(size, size, 4) uint8: the object of ``rgba`` (H, W, 4) uint8 centred, ``fraction * size`` pixels long.

    The object's box is that of the pixels at least half as opaque as the most opaque one; what lies beyond it
    (soft shadows, hair) is kept as far as the frame reaches. Resampling happens on premultiplied colours in
    floating point and with non-negative weights where it reduces, so that edges neither ring nor pick up the
    colour hidden under transparent pixels. Alpha in and out is straight; where it is 0 the colour is 0.

    Args:
        framing: one of :data:`FRAMINGS`; with "width" the object is ``fraction * size`` pixels wide.

    Raises:
        ViewFusionError: ``rgba`` is fully transparent, its object a line or too faint to show, ``size`` is
            below 8, ``fraction`` outside (0, 1] or ``framing`` unknown.
    """
    if size < 8 or not 0 < fraction <= 1:
        raise ViewFusionError(f"expected size >= 8 and 0 < fraction <= 1, got {size} and {fraction}")
    left, top, right, bottom = object_box(rgba[..., 3])
    shortest, longest = sorted((right - left, bottom - top))
    if longest > size * shortest:
        raise ViewFusionError(
            f"the object is a line of {longest} x {shortest} pixels; crop or cut out the image"
        )
    if framing not in FRAMINGS:
        raise ViewFusionError(f"framing must be one of {', '.join(FRAMINGS)}, got {framing!r}")
    measured = longest if framing == "longest" else right - left
    side = measured * size / max(1, round(fraction * size))
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    # Blocks are averaged first where the source is much finer than the frame: fast, no large float copies.
    factor = max(1, int(side // (4 * size)))
    x0, y0 = max(0, math.floor(x) - 2), max(0, math.floor(y) - 2)
    crop = rgba[y0 : math.ceil(y + side) + 2, x0 : math.ceil(x + side) + 2]
    corner, side = ((x - x0) / factor, (y - y0) / factor), side / factor
    result = _straight(_resized(crop, factor, *corner, side, size))
    if not result[..., 3].any():
        raise ViewFusionError(f"the object is so faint that nothing of it is left at {size} pixels")
    return result


def framing_remarks(alpha: np.ndarray, fraction: float, framing: str) -> tuple[str, ...]:
    """What a person should know of how an object with this ``alpha`` (H, W) uint8 is framed."""
    left, top, right, bottom = object_box(alpha)
    if framing == "width" and (bottom - top) * fraction > right - left:
        return ("framed by its width the object is cut off above and below; try the framing longest",)
    return ()


def reduced_photo(rgba: np.ndarray, side: int) -> np.ndarray:
    """A copy (h, w, 4) uint8 of ``rgba`` of at most ``side`` pixels a side, itself where it is no larger."""
    factor = math.ceil(max(rgba.shape[:2]) / side)
    if factor == 1:
        return rgba
    height, width = (max(factor, length // factor * factor) for length in rgba.shape[:2])
    return _straight(_premultiplied(rgba[:height, :width], factor))


def object_box(alpha: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels (right and bottom exclusive)."""
    peak = int(alpha.max(initial=0))
    if peak == 0:
        raise ViewFusionError("the image is fully transparent: there is no object to frame")
    solid = alpha >= (peak + 1) // 2
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _premultiplied(rgba: np.ndarray, factor: int) -> np.ndarray:
    """(h, w, 4) float32: colours times alpha / 255, and alpha, averaged over factor x factor blocks.

    The last blocks are filled up with nothing.
    """
    height, width = rgba.shape[:2]
    out = np.empty((-(-height // factor), -(-width // factor), 4), np.float32)
    for rows in bands(height, width, factor):
        part = rgba[rows].astype(np.float32)
        part[..., :3] *= part[..., 3:] / 255
        out[rows.start // factor : -(-rows.stop // factor)] = _block_means(part, factor)
    return out


def _block_means(pixels: np.ndarray, factor: int) -> np.ndarray:
    """(h, w, 4) means of (H, W, 4)."""
    if factor == 1:
        return pixels
    padded = np.pad(pixels, [*((0, -length % factor) for length in pixels.shape[:2]), (0, 0)])
    height, width = padded.shape[:2]
    blocks: np.ndarray = padded.reshape(height // factor, factor, width // factor, factor, 4)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _resized(rgba: np.ndarray, factor: int, x: float, y: float, side: float, size: int) -> np.ndarray:
    """(size, size, 4) float32, premultiplied: a square of ``rgba`` (H, W, 4) uint8, empty beyond its edges.

    Some rows at a time: the square around a large photo takes gigabytes in floating point.

    Args:
        factor: means over so many pixels each way are taken first.
        x, y, side: the square's corner and length, in such means.
    """
    step = side / size
    # Hamming is sharper than an area average and, unlike Lanczos, has no negative lobes to ring with.
    kernel, reach = (Image.Resampling.HAMMING, step) if step >= 1 else (Image.Resampling.BICUBIC, 2.0)
    # Two pixels more than the square on every side: what a bicubic kernel looks at beyond its box.
    left, top = math.floor(x) - 2, math.floor(y) - 2
    right, bottom = math.ceil(x + side) + 2, math.ceil(y + side) + 2
    out = np.empty((size, size, 4), np.float32)
    for rows in bands(size, math.ceil(side * step)):
        start, stop = y + rows.start * step, y + rows.stop * step
        first = max(top, math.floor(start - reach) - 1)
        last = min(bottom, math.ceil(stop + reach) + 1)
        part = _part(rgba, factor, (left, first, right, last))
        box = (x - left, start - first, x - left + side, stop - first)
        shape = (size, rows.stop - rows.start)
        for band in range(4):
            resized = Image.fromarray(part[..., band]).resize(shape, kernel, box=box)
            out[rows, :, band] = np.asarray(resized)
    return out


def _part(rgba: np.ndarray, factor: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """(h, w, 4) float32: ``box`` of what :func:`_premultiplied` gives, 0 where that ends."""
    left, top, right, bottom = box
    down, across = max(0, -top), max(0, -left)
    rows = slice((top + down) * factor, max(0, bottom) * factor)
    columns = slice((left + across) * factor, max(0, right) * factor)
    inside = _premultiplied(rgba[rows, columns], factor)
    out = np.zeros((bottom - top, right - left, 4), np.float32)
    out[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    return out


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 straight-alpha RGBA of (H, W, 4) float32 premultiplied values, 0 ... 255."""
    alpha = premultiplied[..., 3:]
    visible = alpha >= 0.5
    out: np.ndarray = np.where(visible, premultiplied, 0)
    np.divide(premultiplied[..., :3] * 255, alpha, out=out[..., :3], where=visible)
    return np.asarray(np.rint(np.clip(out, 0, 255)), np.uint8)
