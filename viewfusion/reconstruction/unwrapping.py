"""Unwrapping: triangles go in, the same triangles with a place each in a square picture come out (xatlas)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .triangles import Triangles

PART = 15_000
"""Charts are found for so many faces at a time: four times as many at once would take ten times as long."""

GUTTER = 4
"""Texels between charts of a picture of 1024; in proportion in others."""


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A surface cut open along the borders of its charts.

    Args:
        faces: (F, 3) int64, indices into ``uv`` and ``origin``, in the order the faces had.
        uv: (U, 2) float64 in [0, 1], v upwards; no two faces share a point of the square.
        origin: (U,) int64: which vertex of the surface each is; one on a cut is there several times.
    """

    faces: np.ndarray
    uv: np.ndarray
    origin: np.ndarray


def unwrapped(triangles: Triangles, size: int) -> Unwrapped:
    """Charts of ``triangles`` in a picture of ``size`` texels a side.

    Raises:
        ViewFusionError: no charts could be found.
    """
    import xatlas

    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = size, max(1, GUTTER * size // 1024), True
    atlas = xatlas.Atlas()
    parts = _parts(triangles.corners.mean(axis=1))
    used = []
    for part in parts:
        vertices, places = np.unique(triangles.faces[part], return_inverse=True)
        used.append(vertices)
        atlas.add_mesh(
            triangles.vertices[vertices].astype(np.float32), places.reshape(-1, 3).astype(np.uint32)
        )
    atlas.generate(xatlas.ChartOptions(), packing)
    if atlas.atlas_count != 1:
        raise ViewFusionError(
            f"{len(triangles.faces):,} faces do not fit a texture of {size} x {size}; ask for fewer "
            "faces or a larger texture"
        )
    return _joined(atlas, parts, used)


def _parts(centres: np.ndarray) -> list[np.ndarray]:
    """Faces with ``centres`` (F, 3) in blocks of at most :data:`PART`, halved across their longest side."""
    parts, waiting = [], [np.arange(len(centres))]
    while waiting:
        part = waiting.pop()
        if len(part) <= PART:
            parts.append(np.sort(part))
            continue
        axis = np.ptp(centres[part], axis=0).argmax()
        order = part[np.argsort(centres[part, axis], kind="stable")]
        waiting += [order[: len(order) // 2], order[len(order) // 2 :]]
    return parts


def _joined(atlas: Any, parts: list[np.ndarray], used: list[np.ndarray]) -> Unwrapped:
    """The parts as one, faces in their first order; a picture that is not square fills one side of it."""
    faces = np.empty((sum(len(part) for part in parts), 3), np.int64)
    uvs, origins, offset = [], [], 0
    for place, (part, vertices) in enumerate(zip(parts, used, strict=True)):
        origin, corners, uv = atlas[place]
        faces[part] = corners.astype(np.int64) + offset
        uvs.append(uv.astype(np.float64))
        origins.append(vertices[origin])
        offset += len(origin)
    sides = np.array([atlas.width, atlas.height]) / max(atlas.width, atlas.height)
    return Unwrapped(faces, np.concatenate(uvs) * sides, np.concatenate(origins))
