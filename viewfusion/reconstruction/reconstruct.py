"""Views to a mesh: a scene and settings go in, a folder with a textured mesh and pictures of it comes out.

    training -> surface -> finishing -> texture -> files, pictures, record

Training is what takes long and keeps a checkpoint; the rest is made anew when a call goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.errors import ViewFusionError

from .checkpoints import digest
from .finishing import finished
from .fitting import Fitting
from .looking import look_of_mesh
from .mesh_files import write_glb, write_obj, write_ply
from .mesh_folder import MeshFolder
from .products import scores, write_comparison, write_turntable
from .records import mesh_json, noted, scene_json, versions
from .scene import Scene, scene_from_views
from .settings import RECIPES, Settings, load_settings, make_recipe
from .surface import extract_surface
from .tailoring import tailored
from .texture import baked
from .watching import Watcher

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

    from .fields import Field
    from .textured import TexturedMesh

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
    views: Scene | ViewSet,
    settings: Settings | str | Path,
    folder: str | Path,
    watcher: Watcher | None = None,
    *,
    device: torch.device | str = "cpu",
    source: dict[str, Any] | None = None,
    title: str = "",
    force: bool = False,
    keep_seconds: float = KEEP_SECONDS,
) -> Reconstruction:
    """Make the mesh of posed views in ``folder``, or go on with it; one that is finished is left alone.

    Args:
        views: over white, around the object; or what :func:`.scene.scene_from_views` makes of them.
        settings: a preset's name or file, or what :func:`.settings.load_settings` makes of it.
        folder: made where it is missing; see :class:`.mesh_folder.MeshFolder`.
        watcher: is told how far it is.
        device: where the field is trained.
        source: where the views come from, for the record.
        title: of the pictures.
        force: start anew where the folder is another mesh's.
        keep_seconds: between checkpoints.

    Raises:
        ViewFusionError: packages are missing, no object can be reconstructed from such views, the folder is
            another's or cannot be written to, training diverged, or there is no surface. The checkpoint and
            the preview stay.
    """
    require_packages()
    settings = settings if isinstance(settings, Settings) else load_settings(settings)
    scene = views if isinstance(views, Scene) else scene_from_views(views, settings=settings.scene)
    settings, device = tailored(settings, scene), torch.device(device)
    fingerprint = {**settings_json(settings), "views": digest(scene), "device": device.type}
    fingerprint["viewfusion"] = versions()["viewfusion"]
    with MeshFolder(folder, fingerprint, force) as place:
        if place.complete:
            return Reconstruction(place.path, place.record(), made=False)
        work = _Work(scene, settings, place, watcher or Watcher(), device, title, keep_seconds)
        with noted() as warnings:
            record = work.record()
        place.finish({"input": {**scene_json(scene), **(source or {})}, **record, "warnings": warnings})
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

    def record(self) -> dict[str, Any]:
        """Make everything but the record, and return it."""
        fitting = Fitting(
            self.scene, self.settings, self.place, self.watcher, self.device, self.title, self.keep_seconds
        )
        trained = fitting.run()
        mesh = self._mesh(trained)
        with self._stage("writing the mesh"):
            write_glb(mesh, self.place.path / "mesh.glb")
            write_obj(mesh, self.place.path / "mesh.obj")
            write_ply(mesh, self.place.path / "mesh.ply")
        return {
            "settings": settings_json(self.settings),
            "training": fitting.record(),
            "mesh": mesh_json(mesh),
            "psnr": self._judged(mesh, fitting),
            "seconds": {"training": fitting.record()["seconds"], **self.seconds},
            "versions": versions(),
        }

    def _mesh(self, trained: Field) -> TexturedMesh:
        """The zero level of a field, finished and coloured."""
        with self._stage("surface"):
            surface = extract_surface(trained.sdf, self.settings.resolution, device=self.device)
        with self._stage("finishing"):
            surface = finished(surface, self.settings.finishing)
        with self._stage("texture"):
            return baked(surface, self.scene, self.settings.texture)

    def _judged(self, mesh: TexturedMesh, fitting: Fitting) -> dict[str, Any]:
        """The pictures of the mesh, and how alike it and the field are to the views."""
        look = look_of_mesh(mesh, self.scene)
        with self._stage("comparing"):
            judged = {"mesh": scores(self.scene, look, SCORED), "field": fitting.score()}
            write_comparison(self.place.path / "comparison.png", self.scene, look, self.title)
        with self._stage("turntable"):
            write_turntable(self.place.path / "turntable.mp4", self.scene, look)
        return judged

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Around a stage: says which it is, and times it."""
        self.watcher.on_stage(name)
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 3)


def settings_json(settings: Settings) -> dict[str, Any]:
    """Everything in settings that decides the mesh: of the recipes, only the one at work."""
    others = {"recipe", "stated", *RECIPES}
    shared = {name: value for name, value in asdict(settings).items() if name not in others}
    return {**make_recipe(settings).described(), **shared}
