"""Meshes of any system: two folders go in; work that compares the meshes of one object comes out."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from viewfusion.datasets import Light, Mesh, Renderer, read_triangles
from viewfusion.datasets.textures import Material
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.items import Item, Outcome, Work
from viewfusion.evaluation.meshes import MeshSettings, Triangles, aligned, cleaned, score_meshes
from viewfusion.evaluation.scoring import DECIMALS, unmeasured_entry
from viewfusion.geometry import DEFAULT_RADIUS, ring
from viewfusion.outputs.files import LONGEST_NAME
from viewfusion.preprocessing import over_white

from .works import Judging

SUFFIXES = (".obj", ".glb", ".gltf", ".ply", ".stl")
INSIDE = ("mesh", "model", "meshes/model", "meshes/mesh")
"""What a mesh is called in its object's folder, without the suffix."""

RECONSTRUCTED, IN_PLACE = "reconstruction.json", "mesh.ply"
"""What tells a folder of ``reconstruct``, and which of its meshes has the axes of the views' world: z up, the
input view at azimuth 0. Its GLB faces the input along +Z, and read as any glTF stands a quarter turn off."""

_SEEN_FROM, _SEEN_SIDE = 4, 160


@dataclass(frozen=True)
class Meshes:
    """The meshes of a folder.

    Args:
        files: by the name of their object.
        up: the axis that points up in them; see :func:`viewfusion.datasets.read_mesh`.
    """

    root: Path
    files: Mapping[str, Path]
    up: str = "auto"

    def triangles(self, name: str) -> Triangles:
        """Of one object.

        Raises:
            ViewFusionError: its file cannot be read or measured.
        """
        path = self.files[name]
        try:
            return Triangles(*read_triangles(path, self.up))
        except ViewFusionError as error:
            named = str(error) if str(path) in str(error) else f"{path}: {error}"
            raise ViewFusionError(named) from None


def find_meshes(root: Path, up: str = "auto") -> Meshes:
    """``root/NAME.glb`` and ``root/NAME/mesh.glb`` (or model, meshes/model), of any format.

    Of what ``reconstruct`` left in ``root/NAME`` or ``root/NAME/mesh``, the PLY.

    Raises:
        ViewFusionError: no such folder, none in it, two of one object, or a reconstruction without its PLY.
    """
    files: dict[str, Path] = {}
    try:
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ViewFusionError(f"{root}: cannot be read ({error.strerror}); check the path") from None
    for entry in entries:
        for path in _candidates(entry):
            name = entry.name if entry.is_dir() else entry.stem
            if len(os.fsencode(name)) > LONGEST_NAME:
                raise ViewFusionError(f"{path}: its name is over {LONGEST_NAME} bytes long; rename it")
            if name in files:
                raise ViewFusionError(f"{files[name]} and {path} are both meshes of {name}; keep one")
            files[name] = path
    if not files:
        raise ViewFusionError(
            f"{root}: no meshes; wanted NAME.glb or NAME/mesh.glb (obj, gltf, ply, stl too)"
        )
    return Meshes(root, files, up)


def _candidates(entry: Path) -> list[Path]:
    """The files that are meshes of the object of ``entry``, a file or a folder."""
    if not entry.is_dir():
        return [entry] if entry.suffix.lower() in SUFFIXES and entry.is_file() else []
    for folder in (entry, entry / "mesh"):
        if (folder / RECONSTRUCTED).is_file():
            if not (folder / IN_PLACE).is_file():
                raise ViewFusionError(f"{folder / IN_PLACE}: is not there; reconstruct it again")
            return [folder / IN_PLACE]
    named = (entry / f"{inside}{suffix}" for inside in INSIDE for suffix in SUFFIXES)
    return [path for path in named if path.is_file()]


def parts(mesh: Path) -> list[Path]:
    """The file of a mesh, and those beside it that may hold its triangles."""
    return [mesh, *(sorted(mesh.parent.glob("*.bin")) if mesh.suffix.lower() == ".gltf" else ())]


def comparing_meshes(
    judging: Judging, ours: Meshes, truth: Meshes, turns_deg: Mapping[str, float]
) -> Callable[[torch.device], Work]:
    """Compare the mesh of an object with the true one.

    Args:
        turns_deg: what the protocol rotates by, by object; 0 where it is silent.
    """
    settings, metrics = MeshSettings.from_data(judging.protocol.mesh), judging.scorer().metrics

    def work(item: Item) -> Outcome:
        mine, theirs = ours.triangles(item.name), truth.triangles(item.name)
        turn = math.radians(turns_deg.get(item.name, 0.0))
        scores, notes = score_meshes(mine, theirs, settings, turn)
        kept = {name: _rounded(scores.get(name)) for name in metrics}
        digest = hashlib.sha256(theirs.vertices.tobytes() + theirs.faces.tobytes()).hexdigest()
        entry = {**unmeasured_entry(item.name), "scores": kept, "notes": notes, "truth_sha256": digest}
        return Outcome(entry, {"comparison.png": _picture(mine, theirs, settings, turn)})

    return lambda device: work


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _picture(ours: Triangles, truth: Triangles, settings: MeshSettings, turn: float) -> np.ndarray:
    """Both from four sides, as they are compared: ours above, the truth below."""
    steps, longest = settings.alignment, settings.alignment.longest_side
    placed = [
        aligned(cleaned(ours)[0], steps.prediction, turn, longest),
        aligned(cleaned(truth)[0], steps.truth, turn, longest),
    ]
    rows = []
    for mesh in placed:
        renderer = Renderer(_grey(mesh, longest))
        views = ring(_SEEN_FROM, math.radians(30), DEFAULT_RADIUS).views
        pictures = [over_white(renderer.render(pose, _SEEN_SIDE, Light())) for pose in views]
        rows.append(np.concatenate(pictures, axis=1))
    return np.concatenate(rows)


def _grey(mesh: Triangles, longest: float) -> Mesh:
    """To be looked at: without colours, its frame's longest side 1."""
    count, faces = len(mesh.vertices), len(mesh.faces)
    return Mesh(
        (mesh.vertices / longest).astype(np.float32),
        mesh.faces.astype(np.int32),
        np.zeros((count, 3), np.float32),
        np.zeros((count, 2), np.float32),
        np.full((count, 4), 255, np.uint8),
        (Material(),),
        np.zeros(faces, np.int32),
        np.eye(4),
    )
