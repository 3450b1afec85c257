"""Comparing runs: folders of finished evaluations go in, differences between the same objects come out.

The first run is the baseline. A difference is taken view by view (pair by pair) of every object that all runs
scored, then averaged as the protocol averages, and its interval is of drawing objects. So what makes one
object harder than another drops out: a small difference can be settled where the runs' own intervals overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionError

from .runs import Run, listed, read_runs
from .summary import averaging_of, in_order, summarise

if TYPE_CHECKING:
    from .metrics import Interval

_TRUTH = "truth_sha256"
"""Of an object: of the true views or mesh that it was compared with."""


@dataclass(frozen=True)
class Difference:
    """A run minus the baseline in one metric.

    Args:
        interval: of the mean difference.
        objects: how many both have values of; ``better`` and ``worse``: on how many of them the run is.
        values: how many views (pairs, objects) both have; ``unpaired``: how many only one of them has.
    """

    interval: Interval
    objects: int
    better: int
    worse: int
    values: int
    unpaired: int


@dataclass(frozen=True)
class Comparison:
    """Runs of one protocol beside each other.

    Args:
        metrics: what is measured, in the order to show it.
        objects: names of those that every run scored; everything here is of them.
        left_out: of every other object that some run knows, why it is left out.
        notes: in what the runs differ besides the system, each in a sentence.
        summaries: a summary for each run.
        differences: for each run but the first, and each metric; None where no two values belong together.
    """

    runs: tuple[Run, ...]
    metrics: dict[str, dict[str, Any]]
    objects: tuple[str, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    summaries: tuple[dict[str, dict[str, Any]], ...]
    differences: tuple[dict[str, Difference | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as ``viewfusion compare --json`` prints it."""
        runs = []
        for place, run in enumerate(self.runs):
            rows = self.differences[place - 1] if place else {}
            runs.append(
                {
                    "label": run.label,
                    "folder": str(run.folder),
                    "summary": self.summaries[place],
                    "differences": {name: _difference_dict(found) for name, found in rows.items()},
                }
            )
        protocol = {key: self.runs[0].results["protocol"][key] for key in ("name", "sha256")}
        return {
            "protocol": protocol,
            "metrics": self.metrics,
            "objects": list(self.objects),
            "left_out": self.left_out,
            "notes": list(self.notes),
            "runs": runs,
        }


def compare(folders: Sequence[Path], common: bool = False) -> Comparison:
    """The runs in ``folders`` against the first of them.

    Args:
        common: leave objects out that a run did not score, where otherwise that is refused.

    Raises:
        ViewFusionError: fewer than two runs, a folder without results, different protocols, objects or data;
            the message says which.
    """
    if len(folders) < 2:
        raise ViewFusionError(f"a comparison wants two runs or more, got {len(folders)}")
    return compare_runs(read_runs(folders), common)


def compare_runs(runs: Sequence[Run], common: bool = False) -> Comparison:
    """:func:`compare` of runs that were read; of a single one, nothing is different from anything."""
    scored = [run.scored for run in runs]
    shared = [name for name in scored[0] if all(name in each for each in scored)]
    left_out = _left_out(runs, set(shared))
    if not common:
        _refuse_what_differs(runs, left_out, len(shared))
    found = {name: metric for run in reversed(runs) for name, metric in run.results["metrics"].items()}
    metrics = {name: found[name] for name in in_order(found)}
    averaging = runs[0].results["protocol"]["settings"]["averaging"]
    summaries = [_summary(run, each, shared, averaging) for run, each in zip(runs, scored, strict=True)]
    differences = [
        {
            name: _difference(scored[0], each, shared, name, metric, averaging)
            for name, metric in metrics.items()
        }
        for each in scored[1:]
    ]
    return Comparison(
        runs=tuple(runs),
        metrics=metrics,
        objects=tuple(shared),
        left_out={name: why for name, (why, _) in left_out.items()},
        notes=tuple(_notes(runs)),
        summaries=tuple(summaries),
        differences=tuple(differences),
    )


def _summary(run: Run, scored: Mapping[str, Any], shared: Sequence[str], averaging: str) -> dict[str, Any]:
    """Of the shared objects: what the run itself says where these are all it scored."""
    if len(shared) == len(scored):
        return dict(run.results["summary"])
    return summarise([scored[name] for name in shared], run.results["metrics"], averaging)


def _difference(
    baseline: Mapping[str, Any],
    theirs: Mapping[str, Any],
    shared: Sequence[str],
    name: str,
    metric: Mapping[str, Any],
    averaging: str,
) -> Difference | None:
    """``theirs`` minus ``baseline`` over the values that both have."""
    from .metrics.bootstrap import paired_interval

    a, b, weights, unpaired = [], [], [], 0
    for each in shared:
        before, after = (_keyed(run[each], name, metric["of"]) for run in (baseline, theirs))
        both = before.keys() & after.keys()
        unpaired += len(before.keys() | after.keys()) - len(both)
        if both:
            keys = sorted(both)  # so that sums do not depend on the order of a set
            a.append(sum(before[key] for key in keys) / len(keys))
            b.append(sum(after[key] for key in keys) / len(keys))
            weights.append(len(keys))
    if not weights:
        return None
    by_value = averaging_of(metric, averaging) == "values"
    interval = paired_interval(b, a, weights=weights if by_value else None)
    sign = 1 if metric["better"] == "higher" else -1
    gains = [sign * (new - old) for new, old in zip(b, a, strict=True)]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    return Difference(interval, len(gains), better, worse, sum(weights), unpaired)


def _keyed(each: Mapping[str, Any], name: str, of: str) -> dict[tuple[int, ...], float]:
    """The values of an object that are there, by the view or the two views they are of."""
    holders = [each] if of == "object" else each[of]
    found = {}
    for holder in holders:
        key = (holder["view"],) if of == "images" else tuple(holder["views"]) if of == "pairs" else ()
        if holder["scores"].get(name) is not None:
            found[key] = holder["scores"][name]
    return found


def _difference_dict(found: Difference | None) -> dict[str, Any] | None:
    if found is None:
        return None
    interval = found.interval
    return {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "level": interval.level,
        "objects": found.objects,
        "better": found.better,
        "worse": found.worse,
        "values": found.values,
        "unpaired": found.unpaired,
    }


def _left_out(runs: Sequence[Run], shared: set[str]) -> dict[str, tuple[str, bool]]:
    """Of every object that not all runs scored: which did not and why, and whether they differ in that."""
    states = [{each["name"]: each["status"] for each in run.results["objects"]} for run in runs]
    reasons = {}
    for name in sorted(set().union(*states) - shared):
        parts = [
            f"failed in {run.label}" if name in state else f"not in {run.label}"
            for run, state in zip(runs, states, strict=True)
            if state.get(name) != "scored"
        ]
        reasons[name] = ", ".join(parts), len({state.get(name) for state in states}) > 1
    return reasons


def _refuse_what_differs(runs: Sequence[Run], left_out: Mapping[str, tuple[str, bool]], shared: int) -> None:
    first = runs[0]
    for run in runs[1:]:
        if _other_data(run, first):
            raise ViewFusionError(
                f"{run.folder}: scored on other data ({_data(run)}) than {first.folder} ({_data(first)}); "
                f"--common compares the {shared} objects of the same names"
            )
    named = [f"{name} ({why})" for name, (why, differ) in left_out.items() if differ]
    if named:
        raise ViewFusionError(
            f"the runs did not score the same objects: {listed(named)}; --common compares the {shared} that "
            "all scored"
        )


def _notes(runs: Sequence[Run]) -> Iterator[str]:
    """What else than the system might make a difference."""
    base, first = runs[0].label, runs[0].results
    for run in runs[1:]:
        label, results = run.label, run.results
        if _other_data(run, runs[0]):
            yield f"{label} was scored on other data ({_data(run)}) than {base} ({_data(runs[0])})."
        versions = results["viewfusion"], first["viewfusion"]
        if versions[0] != versions[1]:
            yield f"{label} was scored by viewfusion {versions[0]}, {base} by {versions[1]}."
        for name in in_order(first["metrics"].keys() ^ results["metrics"].keys()):
            yield f"Only {label if name in results['metrics'] else base} has {name}."
        for name in in_order(first["metrics"].keys() & results["metrics"].keys()):
            if results["metrics"][name] != first["metrics"][name]:
                yield f"{name} was not computed in the same way in {label} and {base}."


def _other_data(run: Run, first: Run) -> bool:
    """Whether the true views differ: those of the objects that both scored, where that is known of all."""
    ours, theirs = run.scored, first.scored
    pairs = [(ours[name].get(_TRUTH), theirs[name].get(_TRUTH)) for name in ours.keys() & theirs.keys()]
    if pairs and all(None not in pair for pair in pairs):
        return any(mine != other for mine, other in pairs)
    return bool(run.results["data"]["sha256"] != first.results["data"]["sha256"])


def _data(run: Run) -> str:
    data = run.results["data"]
    return f"{data['name']}, SHA-256 {(data['sha256'] or 'unknown')[:12]}"
