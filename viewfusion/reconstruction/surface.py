"""The surface of a field: a signed distance goes in, the triangles of its zero level come out, closed.

The field is asked at a coarse lattice first and at the fine one only where the surface may be near, which at
512 points a side is a tenth of them. What leaves the cube is cut off at its faces, so the surface has no
border. Memory is one float32 for each point of the box around the surface: 0.5 GB at most at 512 a side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from viewfusion.errors import ViewFusionError

from .scene import HALF_SIDE
from .triangles import Triangles

RESOLUTION = 256
"""Lattice points along each side of the cube."""

MAX_RESOLUTION = 1024

BLOCK = 4
"""Cells a side of the blocks that are looked into or not."""

REACH = 0.75
"""A block is looked into where the distance at a corner is below this share of its diagonal. Half of it is as
far as a corner can be from the inside; the rest allows fields that are steeper than a distance."""

CHUNK = 2**17
"""Points asked at once."""

_LEAST = 1e-3
"""Distances below this share of a cell count as it: on a lattice point, triangles would have no area."""

Distance = Callable[[torch.Tensor], torch.Tensor]


def extract_surface(
    sdf: Distance,
    resolution: int = RESOLUTION,
    *,
    device: str | torch.device = "cpu",
    chunk: int = CHUNK,
    half_side: float = HALF_SIDE,
) -> Triangles:
    """Triangles of where ``sdf`` is zero within the cube, in scene units.

    Args:
        sdf: from (P, 3) float32 points to (P, 1) or (P,) distances, negative inside.
        resolution: lattice points along each side of the cube.
        device: where ``sdf`` wants its points.
        chunk: points asked at once.

    Raises:
        ViewFusionError: nothing is at the zero level, or a distance is no finite number.
    """
    if not 8 <= resolution <= MAX_RESOLUTION:
        raise ViewFusionError(f"the resolution must be 8 to {MAX_RESOLUTION} points a side, got {resolution}")
    places = np.linspace(-half_side, half_side, resolution)
    lattice = _Lattice(sdf, device, chunk)
    knots = np.append(np.arange(0, resolution - 1, BLOCK), resolution - 1)
    coarse = np.stack([lattice.plane(x, places[knots], places[knots]) for x in places[knots]])
    active = _near_surface(coarse, places[1] - places[0])
    found = np.argwhere(active | (_over_corners(coarse, np.minimum) < 0))  # what is solid ends at the cube
    if not len(found):
        raise _nothing(coarse.min(), coarse.max())
    start = knots[found.min(axis=0)]
    stop = knots[found.max(axis=0) + 1] + 1
    volume, low, high = _volume(lattice, places, coarse, active, start, stop)
    low, high = min(low, coarse.min()), max(high, coarse.max())
    if low >= 0 or high <= 0:
        raise _nothing(low, high)
    if volume.min() >= 0:
        raise _nothing(float(volume.min()), high, "but at the faces of the cube, where all is cut off")
    return _marched(volume, places, start)


class _Lattice:
    """Asks the field at planes of a lattice, so many points at once."""

    def __init__(self, sdf: Distance, device: str | torch.device, chunk: int) -> None:
        self.sdf, self.device, self.chunk = sdf, device, chunk

    def plane(self, x: float, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """(Y, Z) distances at ``x`` and all of ``y`` (Y,) and ``z`` (Z,)."""
        grid = np.stack(np.broadcast_arrays(x, y[:, None], z[None, :]), axis=-1)
        return self.ask(grid.reshape(-1, 3)).reshape(len(y), len(z))

    @torch.no_grad()
    def ask(self, points: np.ndarray) -> np.ndarray:
        """(P,) float32 distances at ``points`` (P, 3)."""
        distances = np.empty(len(points), np.float32)
        for start in range(0, len(points), self.chunk):
            some = torch.from_numpy(points[start : start + self.chunk].astype(np.float32)).to(self.device)
            distances[start : start + self.chunk] = self.sdf(some).reshape(-1).float().cpu().numpy()
        wrong = int((~np.isfinite(distances)).sum())
        if wrong:
            raise ViewFusionError(
                f"no surface can be extracted: the field is no finite number at {wrong:,} of {len(points):,} "
                "points; continue from an earlier checkpoint, or start anew with a lower learning rate"
            )
        return distances


def _near_surface(coarse: np.ndarray, cell: float) -> np.ndarray:
    """(B, B, B): the blocks between the points of ``coarse`` (B + 1, ...) that the surface may pass."""
    lowest = _over_corners(np.abs(coarse), np.minimum)
    crossed = (_over_corners(coarse, np.minimum) < 0) & (_over_corners(coarse, np.maximum) >= 0)
    return crossed | (lowest < REACH * BLOCK * cell * np.sqrt(3))


def _over_corners(values: np.ndarray, of_two: np.ufunc) -> np.ndarray:
    """The least or greatest of the eight corners of each block."""
    values = of_two(values[:-1], values[1:])
    values = of_two(values[:, :-1], values[:, 1:])
    return of_two(values[:, :, :-1], values[:, :, 1:])


def _volume(
    lattice: _Lattice,
    places: np.ndarray,
    coarse: np.ndarray,
    active: np.ndarray,
    start: np.ndarray,
    stop: np.ndarray,
) -> tuple[np.ndarray, float, float]:
    """The box from ``start`` to ``stop`` (points of the fine lattice), and the extremes asked for.

    In blocks left out there is the distance at one of their corners, which all have one sign. The cube is cut
    out of the field a twentieth of a cell inside its faces.
    """
    cell, last = places[1] - places[0], len(places) - 1
    volume = np.empty(stop - start, np.float32)
    below, above = _blocks_around(np.arange(last + 1))
    (y, z), low, high = (np.arange(start[axis], stop[axis]) for axis in (1, 2)), np.inf, -np.inf
    outside = np.abs(places) - (places[-1] - cell / 20)
    for row, x in enumerate(range(start[0], stop[0])):
        wanted = active[below[x]] | active[above[x]]
        wanted = wanted[below[y]] | wanted[above[y]]
        wanted = wanted[:, below[z]] | wanted[:, above[z]]
        plane = coarse[above[x]][np.ix_(above[y], above[z])]
        rows, columns = np.nonzero(wanted)
        if len(rows):
            points = np.stack([np.full(len(rows), places[x]), places[y[rows]], places[z[columns]]], axis=1)
            asked = lattice.ask(points)
            plane[rows, columns] = asked
            low, high = min(low, asked.min()), max(high, asked.max())
        plane = np.maximum(
            plane, np.maximum(outside[x], np.maximum(outside[y][:, None], outside[z][None, :]))
        )
        least = _LEAST * cell
        volume[row] = np.where(np.abs(plane) < least, np.where(plane < 0, -least, least), plane)
    return volume, float(low), float(high)


def _blocks_around(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The block below and the one above each lattice point along an axis; the same within a block."""
    last = len(points) - 1
    return np.maximum(points - 1, 0) // BLOCK, np.minimum(points, last - 1) // BLOCK


def _marched(volume: np.ndarray, places: np.ndarray, start: np.ndarray) -> Triangles:
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(volume, 0.0, gradient_direction="descent")
    vertices = places[0] + (vertices.astype(np.float64) + start) * (places[1] - places[0])
    return Triangles(vertices, faces.astype(np.int64))


def _nothing(low: float, high: float, but: str = "") -> ViewFusionError:
    if low >= 0:
        state, extreme = f"positive (nothing) everywhere{but and f' {but}'}: its smallest value is", low
    else:
        state, extreme = "negative (solid) everywhere: its largest value is", high
    return ViewFusionError(
        f"no surface can be extracted: the field is {state} {extreme:.3g}, never 0; look at the previews and "
        "masks, and train longer or from another seed"
    )
