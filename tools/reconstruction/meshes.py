"""What ``reconstruct`` left: its folder goes in, the mesh in the frame of the views comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfusion import ViewFusionError
from viewfusion.datasets import Mesh, read_mesh, read_triangles
from viewfusion.datasets.textures import Material
from viewfusion.evaluation.meshes import Triangles

SHAPE, TEXTURED = "mesh.ply", "mesh.glb"

# glTF's front, +Z, is where the input view is; read with y up, +Z becomes -y, and azimuth 0 is +x.
_FRONT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def shape_of(folder: Path) -> Triangles:
    """The surface, z up, in the units of the cameras.

    Raises:
        ViewFusionError: it is not there or cannot be read.
    """
    return Triangles(*read_triangles(folder / SHAPE, up="z"))


def textured_of(folder: Path) -> Mesh:
    """The mesh with its texture, to be rendered where it is.

    Raises:
        ViewFusionError: it is not there or cannot be read, or is not where the shape is.
    """
    mesh, shape = _in_place(read_mesh(folder / TEXTURED)), shape_of(folder)
    ours, others = (np.stack([each.vertices.min(0), each.vertices.max(0)]) for each in (mesh, shape))
    if np.abs(ours - others).max() > 1e-3:
        raise ViewFusionError(
            f"{folder}: {TEXTURED} is not where {SHAPE} is; one of the two is turned or scaled"
        )
    return mesh


def _in_place(mesh: Mesh) -> Mesh:
    """``mesh`` of a glTF file where the views have it, neither centred nor scaled."""
    scale, moved = np.linalg.norm(mesh.to_world[:3, 0]), mesh.to_world[:3, 3]
    vertices = (mesh.vertices - moved) / scale @ _FRONT.T
    normals = mesh.normals @ _FRONT.T
    to_world = np.eye(4)
    to_world[:3, :3] = _FRONT @ mesh.to_world[:3, :3] / scale
    return replace(
        mesh, vertices=vertices.astype(np.float32), normals=normals.astype(np.float32), to_world=to_world
    )


def plain(shape: Triangles) -> Mesh:
    """A shape to be looked at: grey, its faces flat."""
    count = len(shape.vertices)
    return Mesh(
        shape.vertices.astype(np.float32),
        shape.faces.astype(np.int32),
        np.zeros((count, 3), np.float32),
        np.zeros((count, 2), np.float32),
        np.full((count, 4), 255, np.uint8),
        (Material(),),
        np.zeros(len(shape.faces), np.int32),
        np.eye(4),
    )
