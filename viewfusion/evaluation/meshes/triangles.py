"""Triangles at the door: arrays of anybody's mesh go in, a surface that can be measured comes out.

Refused is what has no meaning, in one line; left out, with a note, is what counts for nothing. Holes stay
holes: nothing is repaired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from viewfusion.errors import ViewFusionError

MAX_FACES = 4_000_000
"""Most triangles of a mesh that is measured; so many take 1.5 GB of memory."""

MAX_COORDINATE = 1e9
"""Largest coordinate, so that no square and no sum of them leaves the range of numbers."""


@dataclass(frozen=True, eq=False)
class Triangles:
    """A surface of V vertices and F triangles, z up; lengths in any unit.

    Args:
        vertices: (V, 3) numbers; kept as float64.
        faces: (F, 3) whole numbers, places in ``vertices``; kept as int64.

    Raises:
        ViewFusionError: there are no faces or too many, one names a vertex that is not there, or a corner of
            one is no finite number of at most :data:`MAX_COORDINATE`.
    """

    vertices: np.ndarray
    faces: np.ndarray

    def __post_init__(self) -> None:
        vertices = _columns(self.vertices, "vertices", "fiu").astype(np.float64, copy=False)
        faces = _columns(self.faces, "faces", "iu")
        if not len(faces):
            raise ViewFusionError("a mesh without faces cannot be measured; export it with its surface")
        if max(len(faces), len(vertices) // 3) > MAX_FACES:
            raise ViewFusionError(
                f"a mesh of {len(faces):,} faces and {len(vertices):,} vertices is too large to measure; "
                f"reduce it to {MAX_FACES:,} faces"
            )
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ViewFusionError(
                f"a face names vertex {faces.min() if faces.min() < 0 else faces.max()} where there are "
                f"0 to {len(vertices) - 1}; export the mesh again"
            )
        usable: np.ndarray = np.all(np.abs(vertices) <= MAX_COORDINATE, axis=1)  # False for NaN too
        broken = int((~usable[faces]).any(axis=1).sum())
        if broken:
            raise ViewFusionError(
                f"{broken:,} of {len(faces):,} faces have a corner that is no finite number of at most "
                f"{MAX_COORDINATE:g}; export the mesh again"
            )
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces.astype(np.int64, copy=False))

    @property
    def corners(self) -> np.ndarray:
        """(F, 3, 3) the three points of every face."""
        return self.vertices[self.faces]

    @property
    def crosses(self) -> np.ndarray:
        """(F, 3) normals of the faces, twice as long as their areas; counter-clockwise is outside."""
        a, b, c = self.corners.swapaxes(0, 1)
        return np.cross(b - a, c - a)


def _columns(values: np.ndarray, name: str, kinds: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in kinds:
        wanted = "numbers" if "f" in kinds else "whole numbers"
        raise ViewFusionError(
            f"{name} of a mesh are {wanted} of shape (N, 3), got {array.dtype} of shape {array.shape}"
        )
    return array


def cleaned(mesh: Triangles) -> tuple[Triangles, list[str]]:
    """The same surface in one order, whatever order the file had, and notes on what was left out.

    Vertices at the same place become one (files repeat them where textures meet) and those of no face are
    dropped; so are faces with two corners at one place, and those given twice. Vertices come out sorted by
    place, faces by vertices. Faces without area whose corners differ stay, as they may close a gap.

    Raises:
        ViewFusionError: nothing has an area.
    """
    used = np.zeros(len(mesh.vertices), dtype=bool)
    used[mesh.faces] = True
    vertices = mesh.vertices[used] + 0.0  # -0.0 and 0.0 are one place
    ids, firsts = grouped(vertices)
    faces = ids[(np.cumsum(used) - 1)[mesh.faces]]
    start = faces.argmin(axis=1)
    faces = np.take_along_axis(faces, (start[:, None] + np.arange(3)) % 3, axis=1)  # still turned as before
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    _, chosen = grouped(faces)
    if not len(chosen) or not (clean := Triangles(vertices[firsts], faces[chosen])).crosses.any():
        raise ViewFusionError("a mesh none of whose faces has an area cannot be measured; export it again")
    total, again = len(mesh.faces), len(faces) - len(chosen)
    flat = total - len(faces) + int((~clean.crosses.any(axis=1)).sum())
    notes = []
    if flat:
        notes.append(f"{flat:,} of {total:,} faces have no area and count for nothing")
    if again:
        notes.append(f"{again:,} of {total:,} faces are given more than once and count once")
    return clean, notes


def grouped(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal rows of (N, C) as one: the rank (N,) of each row among the G different ones, sorted by their
    columns, and the place (G,) where each of these stands first."""
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    ids = np.empty(len(rows), np.int64)
    ids[order] = np.cumsum(new) - 1
    return ids, order[new]
