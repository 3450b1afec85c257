"""Tables of a report: a comparison of one run or several goes in, rows with all their texts come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..comparison import Comparison, Difference
from .words import count, decimals, heading, number, signed, unit_of

MAX_NOTES = 100

MAX_ROWS = 1000
"""Objects in a table; all of them are in ``results.csv``."""


@dataclass(frozen=True)
class Cell:
    """What one run has in one metric, in words.

    Args:
        best: whether no run has a better mean; of one run, nothing is.
        verdict: "better", "worse" or "open" than the first run; empty for the first.
        missing: how many values are left out, where some are.
    """

    mean: str
    ends: str = ""
    best: bool = False
    difference: str = ""
    difference_ends: str = ""
    verdict: str = ""
    better_on: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Row:
    """A metric: what it is, what it counts, a cell for each run, and what was published."""

    name: str
    title: str
    unit: str
    better: str
    objects: int
    values: str
    missing: int
    cells: list[Cell]
    published: list[str]


def score_rows(found: Comparison, published: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each metric."""
    return [_row(found, name, metric, published) for name, metric in found.metrics.items()]


def _row(
    found: Comparison, name: str, metric: Mapping[str, Any], published: Sequence[Mapping[str, Any]]
) -> Row:
    entries = [summary.get(name) for summary in found.summaries]
    means = [entry["mean"] if entry else None for entry in entries]
    theirs = [each["scores"].get(name) for each in published]
    places = decimals([*means, *theirs])
    there = [mean for mean in means if mean is not None]
    top = (max if metric["better"] == "higher" else min)(there) if len(there) > 1 else None
    differences = [None, *(each[name] for each in found.differences)]
    fine = max(places, *(finer(each) for each in differences))
    cells = [
        _cell(entry, places, top, _difference_words(difference, metric["better"], fine))
        for entry, difference in zip(entries, differences, strict=True)
    ]
    first = entries[0] or {"objects": 0, "values": 0, "missing": 0}
    kind = {"images": "view", "pairs": "pair", "object": "object"}[metric["of"]]
    return Row(
        name=name,
        title=metric["title"],
        unit=unit_of(metric),
        better=metric["better"],
        objects=first["objects"],
        values=count(first["values"], kind),
        missing=first["missing"],
        cells=cells,
        published=[number(value, places) for value in theirs],
    )


def _cell(
    entry: Mapping[str, Any] | None, places: int, top: float | None, difference: dict[str, str]
) -> Cell:
    if entry is None:
        return Cell("not measured")
    if entry["mean"] is None:
        return Cell("no values", missing=count(entry["missing"], "value"))
    return Cell(
        mean=number(entry["mean"], places),
        ends=f"{number(entry['low'], places)} to {number(entry['high'], places)}",
        best=entry["mean"] == top,
        missing=count(entry["missing"], "value") if entry["missing"] else "",
        **difference,
    )


def finer(found: Difference | None) -> int:
    """How many digits show a difference to about two."""
    if found is None:
        return 0
    return decimals([found.interval.mean, found.interval.low, found.interval.high]) - 1


def _difference_words(found: Difference | None, better: str, places: int) -> dict[str, str]:
    if found is None:
        return {}
    interval = found.interval
    gain = interval.mean if better == "higher" else -interval.mean
    return {
        "difference": signed(interval.mean, places),
        "difference_ends": f"{signed(interval.low, places)} to {signed(interval.high, places)}",
        # Of one object the interval has no width, and settles nothing.
        "verdict": ("better" if gain > 0 else "worse")
        if interval.excludes_zero and found.objects > 1
        else "open",
        "better_on": f"better on {found.better} of {found.objects}",
    }


@dataclass(frozen=True)
class ObjectRow:
    """An object and the value of each column, as a text and as a number to sort by."""

    name: str
    values: list[tuple[str, float | None]]


def object_table(found: Comparison, ranking: str) -> tuple[list[str], list[ObjectRow]]:
    """Titles and rows of all objects: every metric of one run, or the ``ranking`` metric of several."""
    if len(found.runs) == 1:
        columns = [(heading(metric["title"]), 0, name) for name, metric in found.metrics.items()]
    else:
        columns = [(run.label, place, ranking) for place, run in enumerate(found.runs)]
    scored = [run.scored for run in found.runs]
    scores = [[scored[run][each]["scores"].get(name) for _, run, name in columns] for each in found.objects]
    if len(found.runs) == 1:
        places = [decimals(column) for column in zip(*scores, strict=True)]
    else:
        places = [decimals([value for row in scores for value in row])] * len(columns)
    rows = []
    for name, values in list(zip(found.objects, scores, strict=True))[:MAX_ROWS]:
        shown = [(number(value, digits), value) for value, digits in zip(values, places, strict=True)]
        rows.append(ObjectRow(name, shown))
    return [title for title, _, _ in columns], rows


def note_rows(found: Comparison) -> tuple[list[tuple[str, str]], int]:
    """Whom each note is of (of many objects, how many) and what it says; and how many notes are not shown."""
    owners: dict[str, dict[str, None]] = {}
    for run in found.runs:
        for name in found.objects:
            for note in run.scored[name]["notes"]:
                owners.setdefault(note[:500], {})[name] = None
    rows = [
        (count(len(names), "object") if len(names) > 3 else ", ".join(names), note)
        for note, names in owners.items()
    ]
    return rows[:MAX_NOTES], max(0, len(rows) - MAX_NOTES)
