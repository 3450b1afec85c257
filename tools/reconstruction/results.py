"""What was measured: a study's folder goes in, numbers of objects and intervals over them come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from evidence.folder import study_of

from viewfusion.evaluation.metrics import Interval, bootstrap_interval, paired_interval

from .subjects import CLOSED

Content = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A number of a mesh.

    Args:
        of: what it is read from, the content of a system's file; None where it has none.
    """

    title: str
    digits: int
    of: Callable[[Content], float | None]


def _score(protocol: str, name: str) -> Callable[[Content], float | None]:
    return lambda content: content["scores"][protocol].get(name)


def _volume(protocol: str) -> Callable[[Content], float | None]:
    """Of objects that have a true volume."""
    score = _score(protocol, "volume_iou")
    return lambda content: score(content) if content["closed"] >= CLOSED else None


def _decibels(where: str) -> Callable[[Content], float | None]:
    return lambda content: float(np.mean(content["psnr"][where]))


METRICS = {
    "iou": Metric("volume IoU", 3, _volume("mesh-in-place")),
    "outside": Metric("IoU from around", 3, _score("mesh-in-place", "hidden_iou")),
    "chamfer": Metric("Chamfer, mean d", 4, _score("mesh-in-place", "chamfer")),
    "f_score": Metric("F at 0.01", 3, _score("mesh-in-place", "f_score")),
    "normals": Metric("normals", 3, _score("mesh-in-place", "normal_consistency")),
    "iou_viewfusion": Metric("IoU, mesh-viewfusion", 3, _volume("mesh-viewfusion")),
    "chamfer_viewfusion": Metric("Chamfer, mesh-viewfusion", 5, _score("mesh-viewfusion", "chamfer")),
    "f_viewfusion": Metric("F, mesh-viewfusion", 3, _score("mesh-viewfusion", "f_score")),
    "iou_syncdreamer": Metric("IoU, mesh-syncdreamer", 3, _volume("mesh-syncdreamer")),
    "chamfer_syncdreamer": Metric("Chamfer, mesh-syncdreamer", 4, _score("mesh-syncdreamer", "chamfer")),
    "psnr": Metric("PSNR between views, dB", 2, _decibels("unseen")),
    "psnr_elsewhere": Metric("PSNR elsewhere, dB", 2, _decibels("elsewhere")),
    "seconds": Metric("seconds", 0, lambda content: content["cost"]["seconds"]),
    "cpu_seconds": Metric("CPU seconds", 0, lambda content: content["cost"]["cpu_seconds"]),
    "training": Metric("seconds of training", 0, lambda content: content["told"]["training"]["seconds"]),
    "steps": Metric("steps", 0, lambda content: content["told"]["training"]["steps"]),
    "gigabytes": Metric("most memory, GB", 2, lambda content: content["cost"]["peak_bytes"] / 1e9),
    "faces": Metric("faces", 0, lambda content: content["form"]["faces"]),
}
"""How they are called and told. Volumes are told of objects whose truth has one."""


KEPT = ("closed", "credit", "scores", "psnr", "form", "cost", "options", "trial", "told", "failed")
"""Of a system's file, what numbers and tables are made of."""


@dataclass(frozen=True)
class Measured:
    """One object with a result of every system.

    Args:
        systems: what their files hold.
    """

    name: str
    systems: dict[str, Content]

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]

    @property
    def failed(self) -> dict[str, str]:
        """Why there is no mesh, of systems that have none."""
        return {name: each["failed"] for name, each in self.systems.items() if "failed" in each}

    def value(self, system: str, metric: str) -> float | None:
        content = self.systems[system]
        return None if "failed" in content else METRICS[metric].of(content)


@dataclass(frozen=True)
class Results:
    """A study.

    Args:
        about: what was measured, with what.
        objects: in the order of the study, those that are done.
    """

    about: dict[str, Any]
    objects: list[Measured]

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Of a study's folder.

        Raises:
            ViewFusionError: nothing was measured there.
        """
        about, found = study_of(folder), []
        for name in about["objects"]:
            files = {system: folder / name / f"{system}.json" for system in about["names"]}
            if all(file.exists() for file in files.values()):
                held = {key: json.loads(file.read_text(encoding="utf-8")) for key, file in files.items()}
                found.append(Measured(name, held))
        return cls(about, found)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Results:
        """Of what :meth:`to_data` gave."""
        return cls(data["about"], [Measured(each["name"], each["systems"]) for each in data["objects"]])

    def to_data(self) -> dict[str, Any]:
        """For JSON: all that is told."""
        objects = [
            {
                "name": each.name,
                "systems": {
                    system: {key: content[key] for key in KEPT if key in content}
                    for system, content in each.systems.items()
                },
            }
            for each in self.objects
        ]
        return {"about": self.about, "objects": objects}

    @property
    def systems(self) -> list[str]:
        return list(self.about["names"])

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(each.kind for each in self.objects))

    def of_kind(self, kinds: Sequence[str]) -> list[Measured]:
        return [each for each in self.objects if each.kind in kinds]

    def mean(self, system: str, metric: str, kinds: Sequence[str]) -> Interval | None:
        """Over the objects of some kinds that have the number."""
        values = [each.value(system, metric) for each in self.of_kind(kinds)]
        there = [value for value in values if value is not None]
        return bootstrap_interval(there) if there else None

    def difference(self, ours: str, other: str, metric: str, kinds: Sequence[str]) -> Interval | None:
        """``ours`` minus ``other``, over the objects that have the number of both."""
        pairs = [(each.value(ours, metric), each.value(other, metric)) for each in self.of_kind(kinds)]
        there = [pair for pair in pairs if None not in pair]
        return paired_interval(*zip(*there, strict=True)) if there else None

    def count(self, metric: str, systems: Sequence[str], kinds: Sequence[str]) -> int:
        """Objects of some kinds that have the number of all ``systems``."""
        return sum(
            all(each.value(system, metric) is not None for system in systems) for each in self.of_kind(kinds)
        )
