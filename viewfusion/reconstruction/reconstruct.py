"""Views to a mesh: a scene and settings go in, a folder with a textured mesh and what it is judged by comes out.

    training -> surface -> finishing -> texture -> files, pictures, record

Training is what takes long and keeps a checkpoint; the rest is made anew when a call goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import write_json
from viewfusion.outputs.ownership import read_json

from .field_views import FieldViews
from .mesh_folder import PREVIEW, MeshFolder
from .products import look_at, role, scores, view, write_comparison, write_preview, write_turntable
from .records import mesh_json, scene_hash, scene_json, versions
from .seen import psnr

if TYPE_CHECKING:
    from .meshes import TexturedMesh
    from .scene import Scene
    from .seen import Look
    from .settings import Settings

KEEP_SECONDS = 30.0
"""Between checkpoints, and so the most that is lost where a call is killed."""

SCORED = 12
"""So many of the views that were trained on are compared with renders, at most; held-out ones all are."""


@dataclass(frozen=True)
class Reconstruction:
    """A mesh that is made.

    Args:
        folder: where its files are.
        record: what ``reconstruction.json`` says.
        made: by this call; else it was there already.
    """

    folder: Path
    record: dict[str, Any]
    made: bool = True

    @property
    def mesh(self) -> Path:
        """The textured mesh, y up."""
        return self.folder / "mesh.glb"


def reconstruct(
    scene: Scene,
    settings: Settings,
    folder: str | Path,
    watcher: Watcher | None = None,
    *,
    device: torch.device | str = "cpu",
    source: dict[str, Any] | None = None,
    title: str = "",
    force: bool = False,
    keep_seconds: float = KEEP_SECONDS,
) -> Reconstruction:
    """Make the mesh of a scene in ``folder``, go on with one that was begun, or leave a finished one alone.

    Args:
        scene: see :func:`.scene.scene_from_views`.
        settings: see :func:`.settings.load_settings`.
        folder: made where it is missing; see :class:`.mesh_folder.MeshFolder`.
        watcher: is told how far it is.
        device: where the field is trained.
        source: where the views come from, for the record.
        title: of the pictures.
        force: start anew where the folder is another mesh's.
        keep_seconds: between checkpoints.

    Raises:
        ViewFusionError: packages are missing, the folder is another's or cannot be written to, training
            diverged, or there is no surface. The checkpoint and the preview stay.
    """
    require_packages()
    device = torch.device(device)
    fingerprint = {**settings.to_dict(), "views": scene_hash(scene), "device": device.type}
    fingerprint["viewfusion"] = versions()["viewfusion"]
    with MeshFolder(folder, fingerprint, force) as place:
        if place.complete:
            return Reconstruction(place.path, place.record(), made=False)
        work = _Work(scene, settings, place, watcher or Watcher(), device, title, keep_seconds)
        place.finish({"input": {**scene_json(scene), **(source or {})}, **work.record()})
        return Reconstruction(place.path, place.record())


def require_packages() -> None:
    """Raise ViewFusionError if what surfaces and textures need is not installed."""
    from importlib.util import find_spec

    needed = {
        "skimage": "scikit-image", "scipy": "scipy", "trimesh": "trimesh",
        "xatlas": "xatlas", "fast_simplification": "fast-simplification",
    }  # fmt: skip
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        raise ViewFusionError(
            f"meshes need {', '.join(missing)}; run `pip install 'viewfusion[reconstruction]'`"
        )


@dataclass
class _Work:
    """A mesh under way in its folder."""

    scene: Scene
    settings: Settings
    place: MeshFolder
    watcher: Watcher
    device: torch.device
    title: str
    keep_seconds: float
    seconds: dict[str, float] = field(default_factory=dict)
    losses: list[dict[str, float]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Make everything but the record, and return it."""
