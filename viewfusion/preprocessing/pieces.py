"""Masks: their connected pieces, and copies small enough to look for them in."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from ..errors import ViewFusionError

MASK_SIDE = 1024
"""Outlines are found on a copy of at most this many pixels a side: four frames of the full-size model."""

SPECK_SHARE = 0.01
"""Pieces smaller than this share of the largest one are dust or noise, and removed."""

STRIP_ROWS = 64
"""Full-size pixels are worked on in strips of so many rows, so that a large photo needs little memory."""


def reduced(pixels: np.ndarray, kernel: Image.Resampling, side: int = MASK_SIDE) -> np.ndarray:
    """A copy (h, w[, 3]) uint8 of at most ``side`` pixels a side; the input where it is no larger."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if kernel == Image.Resampling.BOX:
        import cv2

        # The same, but Pillow would copy all of a large photo first, at 4 bytes a pixel.
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(Image.fromarray(pixels).resize(size, kernel))


def enlarged(copy: np.ndarray, shape: tuple[int, int], rows: slice, columns: slice) -> np.ndarray:
    """The part ``rows``, ``columns`` of ``copy`` (h, w[, up to 4]) enlarged to ``shape``, interpolated."""
    import cv2

    step_y, step_x = copy.shape[0] / shape[0], copy.shape[1] / shape[1]
    # Of a pixel's centre in the part to its place in the copy.
    x, y = (columns.start + 0.5) * step_x - 0.5, (rows.start + 0.5) * step_y - 0.5
    part = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(
        copy,
        np.array([[step_x, 0, x], [0, step_y, y]], np.float64),
        part,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def edge_strips(alpha: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of strips that hold all half-covered pixels of ``alpha`` (H, W) uint8."""
    for top in range(0, alpha.shape[0], STRIP_ROWS):
        strip = alpha[top : top + STRIP_ROWS]
        columns = np.flatnonzero(((strip > 0) & (strip < 255)).any(axis=0))
        if columns.size:
            yield slice(top, top + len(strip)), slice(int(columns[0]), int(columns[-1]) + 1)


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


def from_border(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pieces of ``mask`` (h, w) bool that reach the border."""
    labels = components(mask)
    border = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
    return np.isin(labels, border[border > 0])


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """(h, w) bool: ``mask`` and what is within ``pixels`` of it, along rows and columns."""
    import cv2

    square = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), square), bool)


def shrunk(mask: np.ndarray, pixels: int) -> np.ndarray:
    """(h, w) bool: what of ``mask`` is farther than ``pixels`` from its outline; the border is none."""
    return ~grown(~mask, pixels)


def solid_copy(alpha: np.ndarray) -> np.ndarray:
    """(h, w) bool: where a small copy of ``alpha`` (H, W) uint8 is at least half as opaque as it gets."""
    return reduced(alpha, Image.Resampling.BOX) >= max(1, (int(alpha.max(initial=0)) + 1) // 2)


def piece_at(mask: np.ndarray, x: float, y: float) -> np.ndarray:
    """(h, w) bool: the piece of ``mask`` at (x, y), or the nearest within a fiftieth of the longest side.

    Raises:
        ViewFusionError: there is none.
    """
    rows, columns = np.nonzero(mask)
    far = np.hypot(rows + 0.5 - y, columns + 0.5 - x)
    if far.min(initial=np.inf) > max(1.5, max(mask.shape) / 50):
        raise ViewFusionError(
            "no object was found at the point; give one (--point) well inside the object, a box around it "
            "(--box) or a mask (--mask)"
        )
    nearest = int(far.argmin())
    labels = components(mask)
    return np.asarray(labels == labels[rows[nearest], columns[nearest]])


def only_piece_at(alpha: np.ndarray, x: float, y: float) -> np.ndarray:
    """``alpha`` (H, W) uint8 of the piece at pixel (x, y) alone; see :func:`piece_at`."""
    solid = solid_copy(alpha)
    down, across = solid.shape[0] / alpha.shape[0], solid.shape[1] / alpha.shape[1]
    return without(alpha, solid, solid & ~piece_at(solid, x * across, y * down))


def without_specks(alpha: np.ndarray) -> tuple[np.ndarray, int, float]:
    """``alpha`` (H, W) uint8 less its specks, how many they were, and their area as a share of the rest."""
    solid = solid_copy(alpha)
    labels = components(solid)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    specks = (areas > 0) & (areas < SPECK_SHARE * areas.max())
    if not specks.any():
        return alpha, 0, 0.0
    share = float(areas[specks].sum() / areas[~specks].sum())
    return without(alpha, solid, np.take(specks, labels)), int(specks.sum()), share


def without(alpha: np.ndarray, solid: np.ndarray, unwanted: np.ndarray) -> np.ndarray:
    """``alpha`` (H, W) uint8 without some pieces of its small copy, their soft rims included.

    Args:
        alpha: to be cleared there.
        solid: (h, w) bool, all pieces of the copy.
        unwanted: (h, w) bool, those to clear.
    """
    if not unwanted.any():
        return alpha
    cleared = unwanted | (grown(unwanted, 3) & ~grown(solid & ~unwanted, 1))
    keep = Image.fromarray(np.where(cleared, 0, 255).astype(np.uint8))
    return np.minimum(alpha, np.asarray(keep.resize(alpha.shape[1::-1], Image.Resampling.NEAREST)))


def inside_box(alpha: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """``alpha`` (H, W) uint8 cleared outside left, top, right, bottom."""
    left, top, right, bottom = whole_box(box)
    cut = np.zeros_like(alpha)
    cut[top:bottom, left:right] = alpha[top:bottom, left:right]
    return cut


def whole_box(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """The pixels that a box reaches into: left, top, and right, bottom exclusive; none before the first."""
    left, top, right, bottom = box
    return max(0, math.floor(left)), max(0, math.floor(top)), math.ceil(right), math.ceil(bottom)
