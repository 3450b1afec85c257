"""What was measured: a study's folder goes in, numbers of objects and intervals over them come out.

Only objects with scores of every system count, so that all numbers of a study are of the same objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.evaluation.metrics import Interval, paired_interval

from .folder import finished, study_of
from .studies import MAKE_NOTHING
from .subjects import KINDS

Column = tuple[str, str]
"""A system and a metric."""


@dataclass(frozen=True)
class Measured:
    """One object.

    Args:
        folder: where its files lie.
        systems: the content of each system's file.
    """

    folder: Path
    systems: dict[str, Any]

    @property
    def credit(self) -> str:
        return self.systems["truth"]["credit"]

    def values(self, system: str, metric: str) -> np.ndarray:
        """(V - 1,) or (V,) float64; NaN where there is none."""
        return np.array(self.systems[system]["scores"][metric], np.float64)

    def mean(self, system: str, metric: str) -> float:
        """Over views or pairs; NaN where none has a number."""
        there = [value for value in self.values(system, metric) if not math.isnan(value)]
        return float(np.mean(there)) if there else math.nan


@dataclass(frozen=True)
class Results:
    """A study's folder."""

    folder: Path

    @cached_property
    def about(self) -> dict[str, Any]:
        return study_of(self.folder)

    @property
    def made(self) -> list[str]:
        """The systems that a network was asked for, in the order of the study."""
        return [name for name in self.about["names"] if name not in MAKE_NOTHING]

    @cached_property
    def objects(self) -> dict[str, list[Measured]]:
        """By kind, those that are complete; kinds that have any."""
        found = {kind: self._complete(kind) for kind in KINDS}
        return {kind: each for kind, each in found.items() if each}

    def _complete(self, kind: str) -> list[Measured]:
        places = (self.folder / kind).glob("*")
        return [Measured(place, found) for place, found in finished(places, self.about["names"])]

    def mean(self, kind: str, system: str, metric: str) -> float:
        """Over the objects of a kind, of their means."""
        return float(np.nanmean([each.mean(system, metric) for each in self.objects[kind]]))

    def difference(self, kinds: Sequence[str], ours: Column, other: Column) -> Interval:
        """Of objects' means, ``ours`` minus ``other``; objects that lack a number are left out."""
        pairs = [(each.mean(*ours), each.mean(*other)) for kind in kinds for each in self.objects[kind]]
        a, b = np.array([pair for pair in pairs if not any(map(math.isnan, pair))]).reshape(-1, 2).T
        return paired_interval(a, b)

    @property
    def pixels(self) -> int:
        """On a side of a view."""
        first = next(iter(self.objects.values()))[0]
        with Image.open(first.folder / "truth.png") as strip:
            return strip.height

    def evaluations(self, system: str) -> int:
        """Network evaluations of a turn; the same for every object."""
        first = next(iter(self.objects.values()))[0]
        return first.systems[system]["network_evaluations"]

    @property
    def distances(self) -> list[float]:
        """Of the views but the input from it: degrees of azimuth, whichever way."""
        views = self.about["views"]
        return [round(360 * min(view, views - view) / views, 2) for view in range(1, views)]

    def by_distance(self, kind: str, system: str, metric: str) -> dict[float, float]:
        """Degrees from the input -> the mean over a kind's objects, of a metric to the truth."""
        rows = np.array([each.values(system, metric) for each in self.objects[kind]])
        distances = np.array(self.distances)
        return {each: float(rows[:, distances == each].mean()) for each in sorted(set(self.distances))}
