"""What a shape encloses for who stands around it: a mesh goes in, the cells that nobody can see come out.

The volume of a crate is that of its planks, of a cupboard that of its boards, and both may lack a floor. No
picture from around tells so, so it is not held against a mesh here: what cannot be seen into from the horizon
or above counts as full, of the truth as of the mesh. A mug stays hollow.
"""

from __future__ import annotations

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from viewfusion.evaluation.meshes import Triangles, Volume

DIRECTIONS = 96
"""From so many, spread evenly over the upper half of the sphere, a cell is looked at."""

_AT_ONCE = 2**18


def hidden(mesh: Triangles, grid: Volume, directions: int = DIRECTIONS) -> np.ndarray:
    """(N, N, N) bool by x, y, z: cells whose point no straight line reaches from afar; N = ``grid.cells``."""
    scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
    TriangleMesh(scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))
    axis = ((np.arange(grid.cells) + grid.sampled_at) / grid.cells - 0.5) * grid.side
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)
    left = np.arange(len(points))
    for direction in on_half_sphere(directions):
        met = [
            scene.run(some, np.broadcast_to(direction, some.shape).copy()) >= 0
            for some in np.array_split(points[left], len(left) // _AT_ONCE + 1)
        ]
        left = left[np.concatenate(met)]
    full = np.zeros(len(points), dtype=bool)
    full[left] = True
    return full.reshape((grid.cells,) * 3)


def on_half_sphere(count: int) -> np.ndarray:
    """(count, 3) float32 unit vectors, spread evenly over z >= 0 (a Fibonacci lattice)."""
    place = np.arange(count) + 0.5
    z, turn = 1 - place / count, place * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], -1).astype(np.float32)


def hidden_iou(ours: Triangles, truth: Triangles, grid: Volume) -> float | None:
    """Cells hidden by both over cells hidden by either; None where the truth hides none."""
    mine, true = hidden(ours, grid), hidden(truth, grid)
    return float((mine & true).sum() / (mine | true).sum()) if true.any() else None
