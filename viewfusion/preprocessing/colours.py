"""Colours at the edge: a photo and its alpha go in, the object's own colours, without the ground's, come out.

A half-covered pixel shows alpha of the object's colour and the rest of the ground's. Left as it is, the
object carries a rim of its old background onto the white that the model sees it on.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from .pieces import edge_strips, enlarged, reduced

WINDOWS = (64, 16, 4)
"""Colours around a pixel are means over windows of these radii; the smallest that holds enough decides."""

ENOUGH = 0.05
"""Share of a window that must be of the object (or the ground) for its mean to count in full."""


def own_colours(rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 4) uint8: ``rgb`` (H, W, 3) with ``alpha`` (H, W) uint8, its edge in the object's own colours.

    Args:
        rgb: the photo.
        alpha: of the object in it.
        background: (3,) colour of the ground where it is one; else it is estimated around each pixel.
    """
    out = np.empty((*alpha.shape, 4), np.uint8)
    out[..., :3], out[..., 3] = rgb, alpha
    if background is None:
        _unmix_locally(out, reduced(rgb, Image.Resampling.BOX))
    else:
        for rows, columns in edge_strips(alpha):
            part = out[rows, columns]
            edge = (part[..., 3] > 0) & (part[..., 3] < 255)
            share = np.maximum(part[edge][:, 3:] / 255.0, 0.1)
            own = background + (part[edge][:, :3] - background) / share
            part[edge, :3] = np.rint(np.clip(own, 0, 255))
    # Not out[alpha == 0] = 0, which lists the places of all those pixels, at 16 bytes each.
    out *= (alpha > 0)[..., None]
    return out


def _unmix_locally(out: np.ndarray, copy: np.ndarray) -> None:
    """Replace the colours of half-covered pixels of ``out`` (H, W, 4) uint8, in place; ``copy`` is small.

    With F and B the means of object and ground around a pixel, its own colour is F plus what of the pixel F
    and B do not explain; the less of the object it shows, the less of that is believed.
    """
    alpha = np.ascontiguousarray(out[..., 3])
    object_near, ground_near = nearby_colours(copy, reduced(alpha, Image.Resampling.BOX))
    for rows, columns in edge_strips(alpha):
        part = out[rows, columns]
        edge = (part[..., 3] > 0) & (part[..., 3] < 255)
        share = part[edge][:, 3:].astype(np.float32) / 255
        own = enlarged(object_near, alpha.shape, rows, columns)[edge]
        ground = enlarged(ground_near, alpha.shape, rows, columns)[edge]
        unexplained = part[edge][:, :3] - share * own - (1 - share) * ground
        own += share * unexplained / (share**2 + 0.1 * (1 - share))
        part[edge, :3] = np.rint(np.clip(own, 0, 255))


def nearby_colours(rgb: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twice (h, w, 3) float32: the mean colours of object and ground around each pixel of a small copy.

    Fully covered and fully bare pixels count; half-covered ones hardly, where there is nothing better.
    """
    solid, bare = alpha == 255, alpha == 0
    covered = np.float32(alpha) / 255
    # Squared twice, so that of an object too thin to cover a pixel its best covered ones speak.
    return (
        local_mean(rgb, np.where(solid, np.float32(1), 0.2 * covered**4)),
        local_mean(rgb, np.where(bare, np.float32(1), 0.2 * (1 - covered) ** 4)),
    )


def local_mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(h, w, c) float32: means of ``values`` (h, w, c) around each pixel, weighted by ``weight`` (h, w).

    Where a window holds little weight the next larger one fills in, and in the end the mean of all.
    """
    import cv2

    weighted = values * weight[..., None]
    everywhere = weighted.sum(axis=(0, 1)) / max(float(weight.sum()), 1e-6)
    mean = np.broadcast_to(everywhere.astype(np.float32), values.shape).copy()
    for radius in WINDOWS:
        size = (2 * radius + 1, 2 * radius + 1)
        here = cv2.blur(weight, size, borderType=cv2.BORDER_CONSTANT)
        sums = cv2.blur(weighted, size, borderType=cv2.BORDER_CONSTANT).reshape(values.shape)
        trust = np.clip(here / ENOUGH, 0, 1)[..., None]
        mean += trust * (sums / np.maximum(here, 1e-6)[..., None] - mean)
    return mean
