"""Refined edges: a rough outline and the photo go in, a soft alpha of the photo's size comes out.

Near the outline the colours decide: a pixel whose colour lies a third of the way from the ground's around it
to the object's is covered by a third. Where the two hardly differ, or are busy, that says little, and the
rough outline, softened, stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .colours import local_mean
from .pieces import edge_strips, enlarged, grown, reduced, shrunk

NOISE = 10.0
"""Levels of 255 by which colours differ for no reason; a difference not much larger is not believed."""

SPREAD = 2.0
"""By how many standard deviations of their colours object and ground must differ to be believed by half."""


def refined(rough: np.ndarray, rgb: np.ndarray, reach: int) -> np.ndarray:
    """(H, W) uint8 alpha: that of ``rough``, decided by colours near its outline.

    Args:
        rough: (h, w) bool, the object in a copy of the photo, which may be smaller.
        rgb: (H, W, 3) uint8.
        reach: by how many pixels of ``rough`` its outline may be wrong.
    """
    import cv2

    small = reduced(rgb, Image.Resampling.BOX)
    size = small.shape[1::-1]
    reach = max(1, round(reach * size[0] / rough.shape[1]))
    image = Image.fromarray(rough.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    mask = np.asarray(image) >= 128
    near = Nearby.of(small, mask, reach)
    softened = cv2.blur(np.float32(mask), (2 * reach + 1, 2 * reach + 1))
    inside, outside = shrunk(mask, reach), shrunk(~mask, reach)
    shares = np.where(inside, 1, np.where(outside, 0, near.shares(small, softened)))
    alpha = np.asarray(np.rint(255 * shares), np.uint8)
    return alpha if small.shape == rgb.shape else _enlarged_along(near, alpha, rgb)


@dataclass(frozen=True, eq=False)
class Nearby:
    """What colours around each pixel say of its share of the object.

    Attributes:
        own, ground: (h, w, 3) float32 mean colours of object and ground around each pixel.
        trust: (h, w) float32, 0 to 1: how well the two tell pixels apart.
    """

    own: np.ndarray
    ground: np.ndarray
    trust: np.ndarray

    @classmethod
    def of(cls, rgb: np.ndarray, mask: np.ndarray, reach: int) -> Nearby:
        """From ``rgb`` (h, w, 3) and ``mask`` (h, w) bool, whose outline may be wrong by ``reach`` pixels."""
        colours = rgb.astype(np.float32)
        values = np.dstack([colours, (colours**2).sum(axis=2)])
        means = [local_mean(values, _sure(side, reach)) for side in (mask, ~mask)]
        own, ground = (mean[..., :3] for mean in means)
        variance = sum(np.maximum(mean[..., 3] - (mean[..., :3] ** 2).sum(axis=2), 0) for mean in means)
        apart = ((own - ground) ** 2).sum(axis=2)
        return cls(own, ground, apart / (apart + SPREAD**2 * variance + NOISE**2))

    def part(self, shape: tuple[int, int], rows: slice, columns: slice) -> Nearby:
        """The same for a part of a picture of ``shape``."""
        return Nearby(*(enlarged(each, shape, rows, columns) for each in (self.own, self.ground, self.trust)))

    def shares(self, rgb: np.ndarray, expected: np.ndarray) -> np.ndarray:
        """(h, w) float32: the object's share of each pixel of ``rgb`` (h, w, 3), given the expected."""
        line = self.own - self.ground
        along = ((rgb - self.ground) * line).sum(axis=2) / np.maximum((line**2).sum(axis=2), 1)
        shares: np.ndarray = expected + self.trust * (np.clip(along, 0, 1) - expected)
        return shares


def _sure(mask: np.ndarray, reach: int) -> np.ndarray:
    """(h, w) float32 weights of ``mask``: 1 well inside, half that in parts too thin to have an inside."""
    inside = shrunk(mask, reach)
    thin = mask & ~grown(inside, reach)
    return inside + np.float32(0.5) * thin


def _enlarged_along(near: Nearby, small: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """(H, W) uint8: the alpha ``small`` enlarged, the photo's own pixels deciding where it is in between."""
    shape = rgb.shape[:2]
    alpha = np.array(Image.fromarray(small).resize(shape[::-1], Image.Resampling.BILINEAR))
    for rows, columns in edge_strips(alpha):
        part = alpha[rows, columns]
        edge = (part > 0) & (part < 255)
        shares = near.part(shape, rows, columns).shares(rgb[rows, columns], part / np.float32(255))
        part[edge] = np.rint(255 * shares[edge])
    return alpha
