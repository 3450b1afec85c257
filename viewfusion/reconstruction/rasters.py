"""Rasters: flat triangles go in, which of them each pixel shows and where in it comes out.

One function serves the texture (triangles in the atlas) and what cameras see (triangles before them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from viewfusion.geometry import opengl_to_colmap

from .triangles import Triangles

_CANDIDATES = 2**19
"""Pairs of a pixel and a triangle looked at at once: about 100 MB of arrays."""


@dataclass(frozen=True, eq=False)
class Raster:
    """What pixels show.

    Args:
        faces: (H, W) int32: the nearest triangle at the middle of each pixel; -1 where there is none.
        shares: (H, W, 3) float32: how much of each of its corners; sums to 1, or 0 where there is none.
        depth: (H, W) float32: how far it is; infinite where there is none.
    """

    faces: np.ndarray
    shares: np.ndarray
    depth: np.ndarray

    def mixed(self, values: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """(P, C): ``values`` (V, C) of vertices, at every pixel that shows something, row by row.

        Args:
            corners: (F, 3), the vertices of the triangles.
        """
        there = self.faces >= 0
        return np.einsum("pk,pkc->pc", self.shares[there], values[corners[self.faces[there]]])


def rasterised(corners: np.ndarray, size: tuple[int, int]) -> Raster:
    """The raster of triangles in a picture of ``size`` (height, width).

    Args:
        corners: (F, 3, 3): x to the right and y down in pixels, the first pixel covering 0 to 1, and the
            distance from the camera, over 0, the same everywhere for what is flat.
    """
    height, width = size
    faces = np.full(height * width, -1, np.int32)
    shares = np.zeros((height * width, 3), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    planes = _planes(corners)
    for which, x, y in _candidates(corners, width, height):
        share = np.einsum("ckx,cx->ck", planes[which], np.stack([x + 0.5, y + 0.5, np.ones(len(x))], axis=1))
        inside = (share >= -1e-9).all(axis=1)  # a middle on the edge of two is of both
        which, pixel = which[inside], (y * width + x)[inside]
        share = share[inside] / corners[which, :, 2]
        distance = (1 / share.sum(axis=1)).astype(np.float32)
        np.minimum.at(depth, pixel, distance)
        nearest = distance <= depth[pixel]
        which, pixel, share = which[nearest], pixel[nearest], share[nearest]
        faces[pixel] = which
        shares[pixel] = share / share.sum(axis=1, keepdims=True)
    return Raster(faces.reshape(size), shares.reshape(*size, 3), depth.reshape(size))


def _planes(corners: np.ndarray) -> np.ndarray:
    """(F, 3, 3): what the shares of the corners are at (x, y, 1); never inside where there is no area."""
    x, y = corners[..., 0], corners[..., 1]
    ahead, back = np.roll(x, -1, axis=1), np.roll(x, -2, axis=1)
    up, down = np.roll(y, -1, axis=1), np.roll(y, -2, axis=1)
    planes = np.stack([up - down, back - ahead, ahead * down - back * up], axis=2)
    area = planes[..., 2].sum(axis=1)
    planes /= np.where(area == 0, 1, area)[:, None, None]
    planes[area == 0] = (0, 0, -1)
    return planes


def _candidates(
    corners: np.ndarray, width: int, height: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Triangles and the pixels in the boxes around them, (C,) each, so many at once."""
    flat = corners[..., :2]
    low = np.ceil(flat.min(axis=1) - 0.5).clip(0, [width, height]).astype(np.int64)
    high = np.floor(flat.max(axis=1) - 0.5).clip(-1, [width - 1, height - 1]).astype(np.int64)
    spans = (high - low + 1).clip(0)
    counts = spans.prod(axis=1)
    shown = np.flatnonzero(counts)
    batch = np.cumsum(counts[shown]) // _CANDIDATES
    for rows in np.split(shown, np.flatnonzero(np.diff(batch)) + 1):
        which = np.repeat(rows, counts[rows])
        place = np.arange(len(which)) - np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        yield which, low[which, 0] + place % spans[which, 0], low[which, 1] + place // spans[which, 0]


def seen(
    triangles: Triangles, camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], finer: int = 1
) -> Raster:
    """What a camera sees of a closed surface.

    Args:
        camera: (4, 4) OpenGL camera-to-world, in the units of ``triangles``.
        intrinsics: (3, 3) in pixels of a picture of ``size`` (height, width).
        finer: times as many pixels a side.
    """
    to_camera = opengl_to_colmap(camera)
    local = triangles.vertices @ to_camera[:3, :3].T + to_camera[:3, 3]
    pixels = local @ intrinsics.T
    before = np.where(pixels[:, 2:] > 0, pixels[:, 2:], 1)
    corners = np.concatenate([finer * pixels[:, :2] / before, local[:, 2:]], axis=1)[triangles.faces]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0  # y runs down
    shown = np.flatnonzero(facing & (corners[..., 2] > 1e-6).all(axis=1))
    raster = rasterised(corners[shown], (finer * size[0], finer * size[1]))
    faces = np.full(raster.faces.shape, -1, np.int32)
    there = raster.faces >= 0
    faces[there] = shown[raster.faces[there]]
    return Raster(faces, raster.shares, raster.depth)
