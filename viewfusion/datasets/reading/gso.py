"""The layout ``gso``: Google's Scanned Objects as they are published, meshes that wait to be rendered.

An object is ``meshes/model.obj`` with its ``materials/textures/texture.png``. It has no pictures;
``viewfusion dataset prepare gso`` makes them.
"""

from __future__ import annotations

from viewfusion.errors import ViewFusionError

from .folders import Folder, check_file
from .records import DatasetObject, Faults, Reader

MESH = "meshes/model.obj"
TEXTURE = "materials/textures/texture.png"


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    # Some archives keep the texture beside the mesh.
    textures = (TEXTURE, "meshes/texture.png")
    check_file(folder.path / MESH, folder.path, folder.path / MESH)
    texture = next((file for file in textures if (folder.path / file).exists()), TEXTURE)
    try:
        check_file(folder.path / texture, folder.path, folder.path / texture)
    except ViewFusionError as error:
        faults.add(str(error))
    return DatasetObject(name, ())


READER = Reader(
    f"{MESH} and {TEXTURE}",
    lambda folder: "meshes" in folder.folders and (folder.path / MESH).exists(),
    _read,
)
