"""The record of a mesh: what went in and what came out, as ``reconstruction.json`` has it.

No time of day and no absolute path enters: two calls for the same mesh differ in seconds only.
"""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionWarning

if TYPE_CHECKING:
    from .scene import Scene
    from .textured import TexturedMesh

PACKAGES = (
    "viewfusion",
    "torch",
    "numpy",
    "scipy",
    "scikit-image",
    "trimesh",
    "xatlas",
    "fast-simplification",
)
"""Those that decide the mesh or the pictures of it."""


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
    """Figures of a mesh, in world units; genus and volume are None where it is not watertight."""
    from .triangles import topology

    surface = mesh.surface()
    low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
    figures = asdict(topology(surface))
    return {
        **{name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()},
        "bounds": [[round(float(value), 6) + 0.0 for value in corner] for corner in (low, high)],
        "texture": None if mesh.texture is None else len(mesh.texture),
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


@contextmanager
def noted() -> Iterator[list[str]]:
    """The warnings for people that the block gives; they are shown as ever, too."""
    found: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def note(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
            if issubclass(category, ViewFusionWarning):
                found.append(str(message))
            show(message, category, *more, **named)

        warnings.simplefilter("always", ViewFusionWarning)
        warnings.showwarning = note
        yield found
