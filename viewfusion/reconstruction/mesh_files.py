"""Mesh files: a textured mesh goes in; GLB, OBJ and PLY come out, each as programs that open it expect.

GLB and OBJ have y up and z towards whoever looks at the front: the camera at azimuth 0 stands at +z, as glTF
has it and as Blender, three.js and others take an OBJ. PLY, which is what tools that measure read, keeps the
world of the cameras: z up, the camera at azimuth 0 at +x.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from viewfusion.outputs.files import write_bytes

from .textured import TexturedMesh

if TYPE_CHECKING:
    import trimesh

WORLD_TO_Y_UP = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""(3, 3) from the world (z up, azimuth 0 at +x) to the axes of GLB and OBJ (y up, azimuth 0 at +z)."""


def write_glb(mesh: TexturedMesh, path: Path) -> None:
    """glTF 2.0, binary: one mesh, normals, one matt material, its texture in the file."""
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import PBRMaterial

    shape = _y_up(mesh)
    if mesh.texture is None:
        shape.visual.vertex_colors = mesh.colours
    else:
        material = PBRMaterial(
            name="surface", baseColorTexture=_picture(mesh.texture), metallicFactor=0.0, roughnessFactor=1.0
        )
        shape.visual = TextureVisuals(uv=mesh.uv, material=material)
    write_bytes(path, shape.export(file_type="glb", include_normals=True))


def write_obj(mesh: TexturedMesh, path: Path) -> tuple[str, ...]:
    """Wavefront OBJ, with an MTL and a PNG of the same name beside it; their names, the OBJ's first.

    The OBJ is written last, so where there is one the others are there.
    """
    from trimesh.exchange.obj import export_obj
    from trimesh.visual import TextureVisuals
    from trimesh.visual.material import SimpleMaterial

    shape, beside = _y_up(mesh), {}
    if mesh.texture is not None:
        white, black = [255, 255, 255, 255], [0, 0, 0, 255]
        material = SimpleMaterial(_picture(mesh.texture), white, white, black, name=path.stem)
        shape.visual = TextureVisuals(uv=mesh.uv, material=material)
        text, beside = export_obj(
            shape, include_normals=True, return_texture=True, mtl_name=f"{path.stem}.mtl", header=None
        )
    else:
        shape.visual.vertex_colors = mesh.colours
        text = export_obj(shape, include_normals=True, header=None)
    for name, content in sorted(beside.items()):
        write_bytes(path.with_name(name), content)
    write_bytes(path, text.encode("utf-8"))
    return (path.name, *sorted(beside))


def write_ply(mesh: TexturedMesh, path: Path) -> None:
    """Binary PLY with normals and colours of vertices, each once, in the world of the cameras."""
    welded = mesh.welded()
    shape = _shape(welded, np.eye(3))
    shape.visual.vertex_colors = welded.colours
    write_bytes(path, shape.export(file_type="ply", vertex_normal=True))


def _y_up(mesh: TexturedMesh) -> trimesh.Trimesh:
    return _shape(mesh, WORLD_TO_Y_UP)


def _shape(mesh: TexturedMesh, turn: np.ndarray) -> trimesh.Trimesh:
    import trimesh

    return trimesh.Trimesh(
        mesh.vertices @ turn.T, mesh.faces, vertex_normals=mesh.normals @ turn.T, process=False
    )


def _picture(texture: np.ndarray) -> object:
    """The texture as what trimesh stores as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(texture).save(buffer, format="PNG", optimize=True)
    return Image.open(buffer)
