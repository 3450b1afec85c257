"""Pictures of the finished mesh: what a camera sees of it, with normals; no light but its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rasters import seen
from .textured import TexturedMesh
from .triangles import Triangles, unit


@dataclass(frozen=True, eq=False)
class Picture:
    """What a camera sees.

    Args:
        image: (3, H, W) float32 in [0, 1], over white.
        mask: (H, W) float32 in [0, 1].
        normals: (3, H, W) float32, in the world; shorter than 1 on edges, 0 where nothing is.
    """

    image: np.ndarray
    mask: np.ndarray
    normals: np.ndarray


def picture_of(
    mesh: TexturedMesh, camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int], finer: int = 2
) -> Picture:
    """What a camera sees of ``mesh``.

    Args:
        camera: (4, 4) OpenGL camera-to-world, in the mesh's units; those of a scene want
            ``mesh.scaled(1 / scene.scale)``.
        intrinsics: (3, 3) in pixels of a picture of ``size`` (height, width).
        finer: times as many rays as pixels a side.
    """
    raster = seen(Triangles(mesh.vertices, mesh.faces), camera, intrinsics, size, finer)
    there = raster.faces >= 0
    shown = np.zeros((*there.shape, 7), np.float32)
    if mesh.texture is not None and mesh.uv is not None:
        shown[there, :3] = _texels(mesh.texture, raster.mixed(mesh.uv, mesh.faces))
    else:
        shown[there, :3] = raster.mixed(mesh.colours / 255, mesh.faces)
    shown[there, 3] = 1
    shown[there, 4:] = unit(raster.mixed(mesh.normals, mesh.faces))
    height, width = size
    shown = shown.reshape(height, finer, width, finer, 7).mean(axis=(1, 3)).transpose(2, 0, 1)
    return Picture(shown[:3] + 1 - shown[3], shown[3], shown[4:])


def _texels(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(P, 3) in [0, 1] of ``texture`` (T, T, 3) at ``uv`` (P, 2), between texels."""
    from scipy.ndimage import map_coordinates

    places = np.stack([(1 - uv[:, 1]) * texture.shape[0], uv[:, 0] * texture.shape[1]]) - 0.5
    planes = [
        map_coordinates(texture[..., each], places, np.float32, order=1, mode="nearest") for each in range(3)
    ]
    return np.stack(planes, axis=1) / 255
