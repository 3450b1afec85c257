"""What was measured: a study's folder goes in, numbers of objects and intervals over them come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    "gigabytes": Metric("most memory, GB", 2, lambda content: content["cost"]["peak_bytes"] / 1e9),
    "faces": Metric("faces", 0, lambda content: content["form"]["faces"]),
}
"""How they are called and told. Volumes are told of objects whose truth has one."""


@dataclass(frozen=True)
class Measured:
    """One object with a file of every system.

    Args:
        place: where its files lie.
        systems: what they hold.
    """

    place: Path
    systems: dict[str, Content]

    @property
    def name(self) -> str:
        return f"{self.place.parent.name}/{self.place.name}"

    @property
    def failed(self) -> dict[str, str]:
        """Why there is no mesh, of systems that have none."""
        return {name: each["failed"] for name, each in self.systems.items() if "failed" in each}

    def value(self, system: str, metric: str) -> float | None:
        content = self.systems[system]
        return None if "failed" in content else METRICS[metric].of(content)


@dataclass(frozen=True)
class Results:
    """A study's folder.

    Raises:
        ViewFusionError: nothing was measured there.
    """

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        return study_of(self.folder)

    @property
    def systems(self) -> list[str]:
        return list(self.about["names"])

    @cached_property
    def objects(self) -> list[Measured]:
        """In the order of the study, those that are done."""
        found = []
        for name in self.about["objects"]:
            files = {system: self.folder / name / f"{system}.json" for system in self.systems}
            if all(file.exists() for file in files.values()):
                held = {key: json.loads(file.read_text(encoding="utf-8")) for key, file in files.items()}
                found.append(Measured(self.folder / name, held))
        return found

    def of_kind(self, kinds: Sequence[str]) -> list[Measured]:
        return [each for each in self.objects if each.name.partition("/")[0] in kinds]

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

    @property
    def kinds(self) -> list[str]:
        return list(dict.fromkeys(each.name.partition("/")[0] for each in self.objects))
