"""The record of a mesh: what went in and what came out, as ``reconstruction.json`` has it.

No time of day and no absolute path enters: two calls for the same mesh differ in seconds only.
"""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .meshes import TexturedMesh
    from .scene import Scene

PACKAGES = ("viewfusion", "torch", "numpy", "scikit-image", "trimesh", "xatlas", "fast-simplification", "embreex")
"""Those that decide the mesh or the pictures of it."""


def scene_hash(scene: Scene) -> str:
    """SHA-256 of everything in a scene."""
    digest = hashlib.sha256()
    for values in (scene.images, scene.masks, scene.cameras, scene.intrinsics, scene.weights):
        digest.update(repr((tuple(values.shape), str(values.dtype))).encode())
        digest.update(np.ascontiguousarray(values.numpy()).tobytes())
    digest.update(repr((scene.held_out, scene.scale, scene.input_index)).encode())
    return digest.hexdigest()


def scene_json(scene: Scene) -> dict[str, Any]:
    """What a scene consists of, in numbers."""
    height, width = scene.size
    return {
        "views": len(scene.images),
        "width": width,
        "height": height,
        "held_out": list(scene.held_out),
        "input": scene.input_index,
        "weights": [round(float(weight), 6) for weight in scene.weights],
        "world_units_per_scene_unit": round(scene.scale, 9),
    }


def mesh_json(mesh: TexturedMesh) -> dict[str, Any]:
    """Figures of a mesh; vertices that a seam of the texture has doubled count once.

    Genus and volume are those of a closed surface, None for one that is not.
    """
    import trimesh

    places, same = np.unique(mesh.vertices, axis=0, return_inverse=True)
    whole = trimesh.Trimesh(places, same.reshape(-1)[mesh.faces], process=False)
    closed = bool(whole.is_watertight)
    pieces = int(whole.body_count)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    return {
        "faces": len(mesh.faces),
        "vertices": len(places),
        "watertight": closed,
        "pieces": pieces,
        # Of several closed surfaces, the handles of all.
        "genus": pieces - int(whole.euler_number) // 2 if closed else None,
        "volume": round(float(whole.volume), 6) if closed else None,
        "area": round(float(whole.area), 6),
        "bounds": [[round(float(value), 6) for value in corner] for corner in (low, high)],
        "texture": None if mesh.texture is None else list(mesh.texture.shape[:2]),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages at work."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # used from a checkout
            found[package] = "not installed"
    return found
