"""Occupancy: a mesh goes in, which cells of a grid lie inside it comes out.

From one point of every cell a ray goes in each of the six directions of the axes, and the faces it crosses
tell whether the point is inside. Of a watertight mesh all six tell the same, exactly; of another one the
majority decides, after Nooruddin and Turk, Simplification and Repair of Polygonal Models Using Volumetric
Techniques, 2003.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from viewfusion.errors import ViewFusionError

from .settings import Volume
from .topology import Topology, topology
from .triangles import Triangles, grouped

_MAJORITY = 4  # of six: three walls that meet, as in a corner of a room, enclose nothing
_DIGITS = 4  # of coordinates in cells
_LINES = 2**20  # that faces cross, at once: 100 MB of arrays at most
_MOST_ROWS = 2**25
"""Most rows of cells that all faces together reach: four million faces eight rows each."""


def occupied(
    mesh: Triangles, grid: Volume, joins: Topology | None = None, votes: int = _MAJORITY
) -> np.ndarray:
    """(N, N, N) bool by x, y, z: the cells that are inside ``mesh``, told at one point each; N = grid.cells.

    The grid fills a cube around the origin; what lies outside it is not seen. A point is inside where
    the surface winds around it (overlapping parts count once, cavities stay empty), told by the sum of the
    faces that a ray leaves through less those it enters by. Where faces are turned both ways these signs mean
    nothing, and an odd number of crossings is inside. If every face has a twin that faces the other way (a
    file that shows both sides), one of the two counts.

    Args:
        mesh: as :func:`.triangles.cleaned` leaves it.
        joins: :func:`.topology.topology` of ``mesh``, where it is at hand.
        votes: so many of the six directions must tell that a cell is inside.

    Raises:
        ViewFusionError: so many faces are so large that they would take many minutes.
    """
    faces, signed = mesh.faces, (joins or topology(mesh)).signed
    _, single = grouped(np.sort(faces, axis=1))
    if 2 * len(single) == len(faces):
        faces, signed = faces[single], False
    cells = grid.cells
    # Cells are told at whole numbers. A side meant to lie there does, whatever a file's numbers round to.
    lattice = np.round((mesh.vertices / grid.side + 0.5) * cells - grid.sampled_at, _DIGITS)
    told = np.zeros((cells, cells, cells), np.uint8)
    for axis in range(3):
        order = ((axis + 1) % 3, (axis + 2) % 3, axis)
        below, all_of_them = _crossings(lattice[:, order][faces], cells, signed)
        for crossed in (below, all_of_them - below):
            inside = crossed != 0 if signed else crossed % 2 != 0
            told += np.moveaxis(inside, (0, 1, 2), order)
    return told >= votes


def volume_iou(prediction: np.ndarray, truth: np.ndarray) -> float | None:
    """Intersection over union of two occupancies: 0 to 1, higher is better.

    None where the truth encloses nothing: no number would say anything of the prediction then. A prediction
    that encloses nothing of a truth that does gets 0.
    """
    if not truth.any():
        return None
    return float((prediction & truth).sum() / (prediction | truth).sum())


def _crossings(corners: np.ndarray, cells: int, signed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where the lines along the last axis through all cells cross faces.

    Args:
        corners: (F, 3, 3) in units of cells, the last axis being that of the lines.
        signed: whether a face counts +1 where it faces up the line and -1 where down it; else 1.

    Returns:
        (N, N, N) int, what lies below each cell's point or at it; and (N, N, 1), on the whole line.
    """
    counts = np.zeros(cells * cells * (cells + 1))
    for rows in _rows(corners, cells):
        columns, heights, signs = _on_columns(*rows, cells)
        # The first cell at or above the crossing; place `cells` for those above all.
        levels = np.clip(np.ceil(heights), 0, cells).astype(np.int64)
        places = columns * (cells + 1) + levels
        counts += np.bincount(places, weights=signs if signed else None, minlength=len(counts))
    sums = np.cumsum(np.rint(counts).astype(np.int64).reshape(cells, cells, cells + 1), axis=2)
    return sums[..., :cells], sums[..., cells:]


def _rows(corners: np.ndarray, cells: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Faces (R, 3, 3) and the rows (R,) of cells that they reach, some of them at a time."""
    heights = corners[:, :, 1]
    first = np.clip(np.ceil(heights.min(axis=1)), 0, cells).astype(np.int64)
    last = np.clip(np.ceil(heights.max(axis=1)), 0, cells).astype(np.int64)
    reached = np.flatnonzero(last > first)
    ends = np.cumsum((last - first)[reached])
    if len(ends) and ends[-1] > _MOST_ROWS:
        raise ViewFusionError(
            f"faces that reach {ends[-1]:,} rows of {cells} cells, over {_MOST_ROWS:,}, are too many and too "
            "large for a volume; reduce the mesh"
        )
    begin = 0
    while begin < len(reached):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + _LINES // cells)))
        chosen = reached[begin:end]
        faces, places = _spread(first[chosen], last[chosen])
        yield corners[chosen[faces]], places
        begin = end


def _on_columns(
    corners: np.ndarray, rows: np.ndarray, cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines that faces (R, 3, 3) cross in their rows (R,): places x * N + y, heights and signs, (K,) each.

    In a row a face lies between the one edge that goes up through it and the one that goes down. An edge's
    point there is worked out from its lower end, so it is the same number for both faces at the edge: of
    neighbours exactly one is on each line, and no line slips through or meets an edge twice.
    """
    up, up_height = _edge_at(corners, np.roll(corners, -1, axis=1), rows)
    down, down_height = _edge_at(np.roll(corners, -1, axis=1), corners, rows)
    left, right = np.minimum(up, down), np.maximum(up, down)
    first = np.clip(np.ceil(left), 0, cells).astype(np.int64)
    last = np.clip(np.ceil(right), 0, cells).astype(np.int64)
    faces, columns = _spread(first, last)
    share = (columns - down[faces]) / (up - down)[faces]
    heights = down_height[faces] + share * (up_height - down_height)[faces]
    return columns * cells + rows[faces], heights, np.where(up > down, 1, -1)[faces]


def _edge_at(lower: np.ndarray, upper: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the edge of each face that runs from ``lower`` up to ``upper`` through a row crosses it.

    Args:
        lower, upper: (R, 3, 3), the ends of each face's three edges, of which one reaches the row.

    Returns:
        (R,) and (R,): the first and the last coordinate.
    """
    through = (lower[:, :, 1] <= rows[:, None]) & (rows[:, None] < upper[:, :, 1])
    edges = through.argmax(axis=1)
    each = np.arange(len(rows))
    low, high = lower[each, edges], upper[each, edges]
    share = (rows - low[:, 1]) / (high[:, 1] - low[:, 1])
    return low[:, 0] + share * (high[:, 0] - low[:, 0]), low[:, 2] + share * (high[:, 2] - low[:, 2])


def _spread(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers from ``first`` to before ``last`` (M,), range after range, and the range each is of."""
    counts = np.maximum(last - first, 0)
    owners = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return owners, first[owners] + within
