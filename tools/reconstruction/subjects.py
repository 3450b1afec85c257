"""Objects whose shape is known: names and libraries go in; pictures and true surfaces come out.

All are seen in one frame: z up, view 0 at azimuth 0, the middle at the origin, lengths as of the cameras.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import make_benchmark_data as benchmark
import numpy as np
from evidence.subjects import RealMesh
from make_mesh_dataset import random_light, upright_mesh
from mesh_catalogue import Entry, first_names, split_of
from objects import random_object, render
from objects.scene import ProceduralObject

from viewfusion import ViewFusionError
from viewfusion.datasets import Mesh, Renderer
from viewfusion.evaluation.meshes import Triangles, Volume, aligned, cleaned, occupied, topology
from viewfusion.geometry import Pose

from .scenes import SCENES, scene
from .solids import surface

KINDS = {
    "analytic": "scenes in closed form",
    "procedural": "procedural objects of the embedded benchmark",
    "furniture": "real meshes of the embedded benchmark",
    "solid": "real meshes that are closed",
}
FINER = 3
"""Rays a side of each pixel, of objects in closed form."""

CELLS = Volume(64, 1.28)
"""Of cells of 0.02, in which it is told how closed a mesh is."""
CLOSED, LEAST_VOLUME, TEXTURED, MOST_FACES = 0.95, 0.01, 0.1, 150_000


@dataclass(frozen=True)
class Solids:
    """An object in closed form.

    Args:
        turn: radians; where it is seen from at azimuth 0.
        seed: of a procedural object; None for a scene of :mod:`.scenes`.
    """

    kind: str
    short: str
    turn: float = 0.0
    seed: int | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.short}"

    @property
    def credit(self) -> str:
        return self.short

    @cached_property
    def object(self) -> ProceduralObject:
        return scene(self.short) if self.seed is None else random_object(self.seed)

    def pictures(self, poses: Sequence[Pose], size: int) -> Iterator[np.ndarray]:
        """(size, size, 4) uint8 RGBA from each pose, by sphere tracing."""
        for pose in _turned(poses, self.turn):
            yield render(self.object, pose, size, supersample=FINER).numpy()

    def truth(self) -> Triangles:
        return aligned(surface(self.object), ["rotate"], -self.turn, 1.0)


@dataclass(frozen=True)
class Furniture:
    """A mesh of a library, lit as its name decides."""

    kind: str
    short: str
    entry: Entry
    turn: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.short}"

    @property
    def credit(self) -> str:
        return RealMesh(self.entry).credit

    @cached_property
    def mesh(self) -> Mesh:
        return upright_mesh(self.entry)

    def pictures(self, poses: Sequence[Pose], size: int) -> Iterator[np.ndarray]:
        """(size, size, 4) uint8 RGBA from each pose.

        Raises:
            ViewFusionError: the mesh cannot be read.
        """
        digest = hashlib.sha256(self.entry.name.encode()).digest()
        light = random_light(np.random.default_rng(int.from_bytes(digest[:8], "big")))
        renderer = Renderer(self.mesh)
        yield from (renderer.render(pose, size, light) for pose in _turned(poses, self.turn))

    def truth(self) -> Triangles:
        """As the file has it, holes and all.

        Raises:
            ViewFusionError: the mesh cannot be read.
        """
        return aligned(Triangles(self.mesh.vertices, self.mesh.faces), ["rotate"], -self.turn, 1.0)


Subject = Solids | Furniture


def _turned(poses: Sequence[Pose], turn: float) -> Iterator[Pose]:
    return (replace(pose, azimuth=pose.azimuth + turn) for pose in poses)


def subjects(kinds: Sequence[str], found: Sequence[Entry], solid: int) -> list[Subject]:
    """All of ``kinds``, of :data:`KINDS`.

    Args:
        found: the meshes of all libraries that zero123-nano was trained on, by which its split goes.
        solid: how many of that kind.

    Raises:
        ViewFusionError: the meshes of one kind are not among them.
    """
    entries = {entry.name: entry for entry in found}
    chosen: list[Subject] = [Solids("analytic", name) for name in SCENES if "analytic" in kinds]
    for each in benchmark.SUBJECTS:
        kind, turn = "procedural" if each.kind == benchmark.PROCEDURAL else "furniture", each.turn_deg
        if kind not in kinds:
            continue
        if kind == "procedural":
            chosen.append(Solids(kind, each.name, math.radians(turn), int(each.origin)))
        elif each.origin in entries:
            chosen.append(Furniture(kind, each.name, entries[str(each.origin)], math.radians(turn)))
        else:
            raise ViewFusionError(f"{each.origin}: not among --meshes; give all libraries, or other --kinds")
    if "solid" in kinds:
        chosen += solid_meshes(found, solid)
    return chosen


def solid_meshes(found: Sequence[Entry], count: int) -> list[Furniture]:
    """The first ``count`` held-out meshes that are closed and textured, in an order that says nothing.

    Whether a surface is closed decides whether there is a true volume at all.

    Raises:
        ViewFusionError: there are not so many.
    """
    names, ours = first_names(list(found)), {str(each.origin) for each in benchmark.SUBJECTS}
    held_out = [
        entry
        for entry in found
        if names[entry.group] == entry.name
        and split_of(entry, names) == "held-out"
        and entry.name not in ours
    ]
    chosen: list[Furniture] = []
    for entry in sorted(held_out, key=lambda each: hashlib.sha256(f"order {each.name}".encode()).digest()):
        subject = Furniture("solid", RealMesh(entry).folder.rpartition("-")[0], entry)
        if len(chosen) < count and subject.short not in [each.short for each in chosen] and is_solid(subject):
            chosen.append(subject)
    if len(chosen) < count:
        raise ViewFusionError(f"{len(chosen)} closed held-out meshes in --meshes, {count} wanted; give more")
    return chosen


def is_solid(subject: Furniture) -> bool:
    """Whether a mesh has a texture, and a volume of some size on which nearly all directions agree."""
    try:
        mesh = subject.mesh
    except ViewFusionError:
        return False
    if len(mesh.faces) > MOST_FACES or textured_share(mesh) < TEXTURED:
        return False
    surely, perhaps = (cells.sum() * (CELLS.side / CELLS.cells) ** 3 for cells in _told(subject.truth()))
    return bool(surely >= max(CLOSED * perhaps, LEAST_VOLUME))


def closedness(truth: Triangles) -> float:
    """From 0 to 1: of the cells that any of six directions takes for inside, those that all do."""
    surely, perhaps = _told(truth)
    return float(surely.sum() / max(1, perhaps.sum()))


def _told(truth: Triangles) -> tuple[np.ndarray, np.ndarray]:
    """Cells that all six directions take for inside, and those that any does."""
    clean, _ = cleaned(truth)
    joins = topology(clean)
    return occupied(clean, CELLS, joins, votes=6), occupied(clean, CELLS, joins, votes=1)


def textured_share(mesh: Mesh) -> float:
    """Of the surface, by area."""
    corners = mesh.vertices[mesh.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    shown = np.array([material.texture is not None for material in mesh.materials])
    return float(areas[shown[mesh.face_materials]].sum() / areas.sum())


def write_truth(path: Path, truth: Triangles) -> None:
    """A PLY, for whoever wants to score or see it; colours it has none."""
    import trimesh

    from viewfusion.outputs.files import atomic_path

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        trimesh.Trimesh(truth.vertices, truth.faces, process=False).export(temporary)
