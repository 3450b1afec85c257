"""Objects to turn: a split goes in, procedural objects and real meshes with their true pictures come out."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from make_mesh_dataset import random_light, upright_mesh
from mesh_catalogue import Entry, first_names, split_of
from objects import SPLITS, random_object, render

from viewfusion.datasets import Renderer
from viewfusion.geometry import Pose

KINDS = {"procedural": "procedural objects", "mesh": "real meshes"}


@dataclass(frozen=True)
class Procedural:
    """An object of ``tools/objects``."""

    number: int
    kind = "procedural"

    @property
    def name(self) -> str:
        return str(self.number)

    @property
    def folder(self) -> str:
        return self.name

    @property
    def credit(self) -> str:
        return f"{random_object(self.number).family} {self.number}"

    def pictures(self, poses: Sequence[Pose], size: int) -> np.ndarray:
        """(V, size, size, 4) uint8 RGBA; it was turned at random when it was made."""
        made = random_object(self.number)
        return np.stack([render(made, pose, size).numpy() for pose in poses])


@dataclass(frozen=True)
class RealMesh:
    """A mesh of a library."""

    entry: Entry
    kind = "mesh"

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def folder(self) -> str:
        """Of letters any file system has."""
        stem = re.sub(r"[^A-Za-z0-9]+", "-", self.name.rpartition("/")[2])[:40]
        return f"{stem}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def credit(self) -> str:
        entry = self.entry
        author = f" by {entry.author}" if entry.author else ""
        licence = f", {entry.licence}" if entry.licence else ""
        return " ".join(f"{entry.title or self.name}{author}{licence}".split())

    def pictures(self, poses: Sequence[Pose], size: int) -> np.ndarray:
        """(V, size, size, 4) uint8 RGBA, turned and lit as its name decides.

        Libraries have their models face one way: from azimuth 0 every sofa would be seen from one side.

        Raises:
            ViewFusionError: the mesh cannot be read.
        """
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big"))
        turn = rng.uniform(-math.pi, math.pi)
        light, renderer = random_light(rng), Renderer(upright_mesh(self.entry))
        turned = [replace(pose, azimuth=pose.azimuth + turn) for pose in poses]
        return np.stack([renderer.render(pose, size, light) for pose in turned])


Subject = Procedural | RealMesh


def seed_of(subject: Subject) -> int:
    """What its noise is drawn from: the same for every system, another for every object."""
    return int.from_bytes(hashlib.sha256(subject.name.encode()).digest()[:4], "big")


def procedural_objects(split: str, count: int) -> list[Procedural]:
    """The first ``count`` of a split."""
    return [Procedural(SPLITS[split] + number) for number in range(count)]


def real_meshes(found: Sequence[Entry], split: str, count: int) -> list[RealMesh]:
    """At most ``count`` of a split, one of each shape, in an order that says nothing of what they are.

    Args:
        found: all meshes of all libraries trained on; the split of a shape goes by its first name in them.
    """
    names = first_names(list(found))
    firsts = {names[entry.group]: entry for entry in found if names[entry.group] == entry.name}
    chosen = [entry for entry in firsts.values() if split_of(entry, names) == split]
    chosen.sort(key=lambda entry: hashlib.sha256(f"order {entry.name}".encode()).digest())
    return [RealMesh(entry) for entry in chosen[:count]]
