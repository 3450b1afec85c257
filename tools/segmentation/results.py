"""What was measured: the folder of cases goes in, numbers over them come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from evidence.folder import finished

from viewfusion import ViewFusionError
from viewfusion.evaluation.metrics import Interval, bootstrap_interval, paired_interval

BAD_OVERLAP = 0.9
"""A cut-out below this looks wrong at a glance."""

FLAGGED_GOOD = 0.1
"""Share of good cut-outs that a warning may hit in vain, where its worth is told."""


@dataclass(frozen=True)
class Case:
    """One photo.

    Args:
        place: its folder.
        about: what it is made of.
        found: what each segmenter's file holds.
    """

    place: Path
    about: dict[str, Any]
    found: dict[str, Any]

    def score(self, name: str, metric: str) -> float | None:
        """None where the segmenter refused."""
        return self.found[name]["scores"][metric] if "scores" in self.found[name] else None


@dataclass(frozen=True)
class Results:
    """All cases that every one of ``names`` has seen."""

    state: Path
    names: tuple[str, ...]

    @cached_property
    def cases(self) -> list[Case]:
        places = finished(self.state.glob("case-*"), ("case", *self.names))
        found = [Case(place, contents.pop("case"), contents) for place, contents in places]
        if not found:
            raise ViewFusionError(f"{self.state}: no case that all of {', '.join(self.names)} have seen")
        return found

    def answered(self, name: str, ground: str | None = None) -> list[Case]:
        """Cases that a segmenter did not refuse, of one ground or all."""
        return [case for case in self.of(ground) if "scores" in case.found[name]]

    def of(self, ground: str | None) -> list[Case]:
        return [case for case in self.cases if ground in (None, case.about["ground"])]

    def mean(self, name: str, metric: str, ground: str | None = None) -> Interval | None:
        """Over the cases it answered; None if those are none."""
        values = [case.score(name, metric) for case in self.answered(name, ground)]
        return bootstrap_interval([value for value in values if value is not None]) if values else None

    def difference(self, name: str, other: str, metric: str) -> tuple[Interval, int] | None:
        """``name`` minus ``other`` over the cases that both answered, and how many those are."""
        pairs = [(case.score(name, metric), case.score(other, metric)) for case in self.cases]
        both = np.array([pair for pair in pairs if None not in pair], np.float64)
        return (paired_interval(both[:, 0], both[:, 1]), len(both)) if len(both) else None

    def relative_time(self, name: str, other: str) -> float | None:
        """Median over cases of the time that ``name`` takes as a multiple of that of ``other``."""
        ratios = [
            case.found[name]["seconds"] / case.found[other]["seconds"]
            for case in self.answered(name)
            if "seconds" in case.found[other]
        ]
        return float(np.median(ratios)) if ratios else None

    def confidence(self, name: str) -> Confidence:
        """What a segmenter's confidence says of its overlap."""
        cases = self.answered(name)
        confidences = np.array([case.found[name]["confidence"] for case in cases])
        overlaps = np.array([case.score(name, "overlap") for case in cases], np.float64)
        return Confidence.of(confidences, overlaps)


@dataclass(frozen=True)
class Confidence:
    """What confidences are worth.

    Args:
        correlation: Spearman's, of confidence and overlap; NaN where one of them does not vary.
        bad: how many cut-outs are bad.
        threshold: the confidence that :data:`FLAGGED_GOOD` of the good ones stay below.
        caught: share of the bad ones below it; NaN where there are none.
    """

    correlation: float
    bad: int
    threshold: float
    caught: float

    @classmethod
    def of(cls, confidences: np.ndarray, overlaps: np.ndarray) -> Confidence:
        bad = overlaps < BAD_OVERLAP
        threshold = float(np.quantile(confidences[~bad], FLAGGED_GOOD)) if (~bad).any() else float("nan")
        caught = float(np.mean(confidences[bad] < threshold)) if bad.any() else float("nan")
        return cls(rank_correlation(confidences, overlaps), int(bad.sum()), threshold, caught)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, equal values sharing the mean of their ranks; NaN for fewer than two different ones."""
    if len(np.unique(a)) < 2 or len(np.unique(b)) < 2:
        return float("nan")
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def quantile_cases(cases: Sequence[Case], key: Callable[[Case], float], at: Sequence[float]) -> list[Case]:
    """The cases at these quantiles of ``key``, each once."""
    order = sorted(cases, key=key)
    return [order[place] for place in sorted({round(q * (len(order) - 1)) for q in at})]
