"""Surfaces of objects in closed form: solids go in, the triangles around them come out.

Distances are worked out in blocks of cells, and only in those that the surface can pass through.
"""

from __future__ import annotations

import numpy as np
import torch
from objects.primitives import distance
from objects.scene import ProceduralObject

from viewfusion.evaluation.meshes import Triangles

REACH = 0.64
"""Half the side of the cube in which surfaces lie: scaled to fit, no corner is farther than 0.625."""

BLOCK = 8
"""Cells a side of a block."""

_POINTS = 2**20  # of all solids, at once: 100 MB of arrays at most


@torch.no_grad()
def distances(obj: ProceduralObject, points: np.ndarray) -> np.ndarray:
    """(P,) signed distances of points (P, 3) in the world, negative inside, never more than the way there.

    Groups meet with hard edges; the solids of one flow together as the renderer has it.
    """
    least = torch.full((len(points),), torch.inf)
    at = torch.from_numpy(np.asarray(points, np.float32))
    for group in np.unique(obj.groups):
        rows = np.flatnonzero(obj.groups == group)
        each = torch.stack([_to_solid(obj, row, at) for row in rows])
        smoothness = float(obj.smoothness[group])
        if len(rows) > 1 and smoothness > 0:
            flowing = -smoothness * torch.logsumexp(-each / smoothness, 0)
        else:
            flowing = each.amin(0)
        least = torch.minimum(least, flowing)
    return least.numpy()


def _to_solid(obj: ProceduralObject, row: int, points: torch.Tensor) -> torch.Tensor:
    local = (points - torch.from_numpy(obj.centres[row])) @ torch.from_numpy(obj.rotations[row])
    return distance(torch.from_numpy(obj.solids[row])[:, None].expand(-1, len(points)), local.T)


def surface(obj: ProceduralObject, cells: int = 256) -> Triangles:
    """By marching cubes on ``cells`` a side, a multiple of :data:`BLOCK`; outside is counter-clockwise."""
    from skimage.measure import marching_cubes

    step, blocks = 2 * REACH / cells, cells // BLOCK
    steps = np.arange(blocks) * BLOCK * step - REACH
    corners = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    middles = _in_parts(obj, corners + BLOCK * step / 2)
    # Past half a block's diagonal there is no surface in it: distances are never more than the way.
    near = np.flatnonzero(np.abs(middles) <= BLOCK * step * 0.5001 * 3**0.5)
    inside = np.stack(np.meshgrid(*[np.arange(BLOCK) * step] * 3, indexing="ij"), -1).reshape(-1, 3)
    values = np.repeat(middles, BLOCK**3).reshape(-1, BLOCK**3)
    values[near] = _in_parts(obj, (corners[near, None] + inside).reshape(-1, 3)).reshape(len(near), -1)
    grid = values.reshape(*[blocks] * 3, *[BLOCK] * 3).transpose(0, 3, 1, 4, 2, 5).reshape(*[cells] * 3)
    vertices, faces, _, _ = marching_cubes(grid, 0.0, spacing=(step,) * 3)
    return Triangles(vertices - REACH, faces)


def _in_parts(obj: ProceduralObject, points: np.ndarray) -> np.ndarray:
    parts = np.array_split(points, 1 + len(points) * len(obj.solids) // _POINTS)
    return np.concatenate([distances(obj, part) for part in parts])
