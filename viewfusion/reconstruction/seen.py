"""What a camera sees of a reconstruction: colours, mask and normals; panels for people and PSNR come out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_DB = 100.0
"""PSNR of pictures that are the same."""


@dataclass(frozen=True, eq=False)
class Seen:
    """One rendered picture.

    Args:
        rgb: (H, W, 3) float32 in [0, 1], over white.
        mask: (H, W) float32 in [0, 1], how much of each pixel is object.
        normals: (H, W, 3) float32 in the world, of length 1 where the object is and 0 where it is not.
    """

    rgb: np.ndarray
    mask: np.ndarray
    normals: np.ndarray

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return levels(self.rgb)

    @property
    def normal_picture(self) -> np.ndarray:
        """(H, W, 3) uint8: x, y and z from -1 to 1 as red, green and blue from 0 to 1, over white."""
        share = self.mask[..., None]
        return levels((self.normals + 1) / 2 * share + (1 - share))


Look = Callable[[np.ndarray, np.ndarray, tuple[int, int]], Seen]
"""(camera (4, 4) OpenGL camera-to-world in scene units, intrinsics (3, 3) in pixels, (height, width)) -> what
it sees."""


def levels(values: np.ndarray) -> np.ndarray:
    """uint8 of floats in [0, 1]."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: white where two such pictures agree, the darker the more they differ."""
    return (255 - np.abs(one.astype(np.int16) - other)).astype(np.uint8)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB, of pictures in [0, 1], white around the object included; :data:`MOST_DB` at most."""
    error = float(np.mean((np.asarray(one, np.float64) - other) ** 2))
    return min(MOST_DB, -10 * math.log10(error)) if error else MOST_DB


def reduced(intrinsics: np.ndarray, size: tuple[int, int], longest: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Intrinsics and size of the same picture with ``longest`` pixels on its longer side, if that is fewer."""
    share = min(1.0, longest / max(size))
    smaller = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    factors = (smaller[1] / size[1], smaller[0] / size[0], 1.0)
    return np.diag(factors) @ intrinsics, smaller
