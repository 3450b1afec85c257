"""Points that cameras see: a mesh goes in, what depth maps from a ring of cameras show of it comes out.

Surfaces that no camera sees, inside or in deep hollows, have no points: that is the protocol's intent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world

from .samples import Samples
from .settings import DepthMaps
from .triangles import Triangles, grouped


def depth_samples(mesh: Triangles, cameras: DepthMaps) -> Samples:
    """One point for each voxel in which a camera sees the surface; none where no camera sees any.

    One ray through the middle of each pixel, to the first surface, whichever side of it. A point is the mean
    of those that fall into its voxel, its normal that of the first of them; voxels have corners at multiples
    of their side.
    """
    scene, normals = _embree_scene(mesh), mesh.crosses
    points, seen = [np.empty((0, 3))], [np.empty(0, np.int64)]
    for place in range(cameras.views):
        pose = Pose(2 * math.pi * place / cameras.views, cameras.elevation, cameras.radius)
        matrix = camera_to_world(pose)
        towards = _pixel_rays(cameras) @ matrix[:3, :3].T
        origins = np.broadcast_to(matrix[:3, 3].astype(np.float32), towards.shape)
        hits = scene.run(np.ascontiguousarray(origins), towards.astype(np.float32), output=True)
        met = hits["primID"] >= 0
        points.append(matrix[:3, 3] + hits["tfar"][met, None].astype(np.float64) * towards[met])
        seen.append(hits["primID"][met].astype(np.int64))
    facing = normals[np.concatenate(seen)]
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), np.finfo(float).tiny)
    return _thinned(Samples(np.concatenate(points), facing), cameras.voxel)


def _pixel_rays(cameras: DepthMaps) -> np.ndarray:
    """(S * S, 3) from a camera through its pixels, in its OpenGL axes; depth 1 along the view."""
    steps = (np.arange(cameras.size) + 0.5 - cameras.size / 2) / cameras.focal
    across, down = np.meshgrid(steps, steps)
    return np.stack([across, -down, -np.ones_like(across)], axis=-1).reshape(-1, 3)


def _thinned(samples: Samples, voxel: float) -> Samples:
    """One of the samples for each cube of side ``voxel``."""
    if not len(samples.points):
        return samples
    cells, firsts = grouped(np.floor(samples.points / voxel))
    counts = np.bincount(cells)
    sums = [np.bincount(cells, weights=column) for column in samples.points.T]
    return Samples(np.stack(sums, axis=1) / counts[:, None], samples.normals[firsts])


def _embree_scene(mesh: Triangles) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise ViewFusionError(
            f"depth maps of meshes need embreex ({error}); run `pip install 'viewfusion[render]'`"
        ) from None
    scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
    TriangleMesh(scene, mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32))
    return scene
