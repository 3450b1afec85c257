"""Pictures of a finished mesh: a textured mesh and a camera go in, what it sees, by rays, comes out.

Colours are shown as they are in the texture, unlit: that is what the views are compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .seen import Seen

if TYPE_CHECKING:
    from .meshes import TexturedMesh

RAYS = 3
"""A side of each pixel: 9 a pixel."""

_AT_ONCE = 2**18


class MeshViews:
    """Looks at one mesh from any number of cameras; see :data:`.seen.Look`.

    Args:
        scale: world units in one scene unit: cameras are in the latter.

    Raises:
        ImportError: there is no embreex.
    """

    def __init__(self, mesh: TexturedMesh, scale: float) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._mesh, self._scale = mesh, scale
        self._scene: Any = EmbreeScene(robust=True)  # no ray slips through between two triangles
        TriangleMesh(self._scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))

    def __call__(self, camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> Seen:
        height, width = size
        across, count = width * RAYS, width * height * RAYS**2
        values = np.zeros((count, 7), np.float32)
        for start in range(0, count, _AT_ONCE):
            rays = np.arange(start, min(start + _AT_ONCE, count))
            steps = np.stack([rays % across, rays // across], axis=1)
            pixels = (steps + 0.5) / RAYS - intrinsics[:2, 2]
            local = np.column_stack([pixels / np.diag(intrinsics)[:2] * (1, -1), -np.ones(len(rays))])
            values[rays] = self._trace(camera[:3, 3] * self._scale, local @ camera[:3, :3].T)
        means = values.reshape(height, RAYS, width, RAYS, 7).mean(axis=(1, 3))
        mask = means[..., 6]
        length = np.linalg.norm(means[..., 3:6], axis=-1, keepdims=True)
        normals = np.where(length > 0, means[..., 3:6] / np.maximum(length, 1e-12), 0)
        return Seen(means[..., :3] + (1 - mask[..., None]), mask, normals.astype(np.float32))

    def _trace(self, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """(R, 7): colour, normal and 1 of the nearest surface along ``directions`` (R, 3); else zeros."""
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.tile(origin.astype(np.float32), (len(directions), 1))
        hits = self._scene.run(origins, directions, output=True)
        met = np.flatnonzero(hits["primID"] >= 0)
        corners = self._mesh.faces[hits["primID"][met]]
        u, v = hits["u"][met, None], hits["v"][met, None]
        shares = np.stack([1 - u - v, u, v], axis=1)
        seen = np.zeros((len(directions), 7), np.float32)
        seen[met, :3] = self._colours(corners, shares)
        normals = (self._mesh.normals[corners] * shares).sum(axis=1)
        seen[met, 3:6] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        seen[met, 6] = 1
        return seen

    def _colours(self, corners: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(R, 3) in [0, 1]: of the texture where there is one, else of the vertices."""
        mesh = self._mesh
        if mesh.uv is None or mesh.texture is None:
            return (mesh.colours[corners] * shares).sum(axis=1) / 255
        uv = (mesh.uv[corners] * shares).sum(axis=1)
        height, width = mesh.texture.shape[:2]
        # v goes up, rows go down; texel (0, 0) has its centre at half a texel.
        return bilinear(mesh.texture, uv[:, 0] * width - 0.5, (1 - uv[:, 1]) * height - 0.5) / 255


def bilinear(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(R, 3) float of (H, W, 3) at fractional columns and rows, the border repeated."""
    height, width = texture.shape[:2]
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    across, down = (x - left)[:, None], (y - top)[:, None]
    columns = [np.clip(left + step, 0, width - 1) for step in (0, 1)]
    rows = [np.clip(top + step, 0, height - 1) for step in (0, 1)]
    above = texture[rows[0], columns[0]] * (1 - across) + texture[rows[0], columns[1]] * across
    below = texture[rows[1], columns[0]] * (1 - across) + texture[rows[1], columns[1]] * across
    return above * (1 - down) + below * down
