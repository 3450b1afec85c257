"""Runs to show or compare: folders of finished evaluations go in, results of one protocol come out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError

from .results import read_results

MAX_RUNS = 32
_NAMED = 8
"""Names in a message; of more, their number is told."""


@dataclass(frozen=True)
class Run:
    """A finished evaluation, and the shortest words that tell it from those it is compared with."""

    folder: Path
    label: str
    results: dict[str, Any]

    @property
    def scored(self) -> dict[str, dict[str, Any]]:
        """The objects that have scores, by name."""
        return {each["name"]: each for each in self.results["objects"] if each["status"] == "scored"}


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """The runs in ``folders``, which must be of one protocol, with labels that tell them apart."""
    if not 1 <= len(folders) <= MAX_RUNS:
        raise ViewFusionError(f"1 to {MAX_RUNS} runs can stand beside each other, got {len(folders)}")
    contents = [read_results(Path(folder)) for folder in folders]
    labels = _labels(contents, folders)
    runs = tuple(map(Run, map(Path, folders), labels, contents))
    for run in runs[1:]:
        _check_protocol(runs[0], run)
    return runs


def listed(words: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + more


def _check_protocol(first: Run, run: Run) -> None:
    """Refuse numbers that mean different things."""
    ours, theirs = first.results["protocol"], run.results["protocol"]
    if all(ours[key] == theirs[key] for key in ("sha256", "settings")):
        return
    before, after = (dict(leaves(each["settings"])) for each in (ours, theirs))
    before["name"], after["name"] = ours["name"], theirs["name"]
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    found = [f"{key} ({_said(before.get(key))}, {_said(after.get(key))})" for key in keys]
    what = listed(found) or f"their SHA-256 only ({ours['sha256'][:12]}, {theirs['sha256'][:12]})"
    raise ViewFusionError(
        f"{run.folder}: another protocol than that of {first.folder}; they differ in {what}; numbers of "
        "different protocols cannot be compared"
    )


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name; a list is one setting."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _said(value: Any) -> str:
    return json.dumps(value)[:40] if value is not None else "none"


def _labels(contents: Sequence[Mapping[str, Any]], folders: Sequence[Path]) -> list[str]:
    """The shortest words that tell the runs apart: variant, system, checkpoint, in the end the folder."""
    systems = [content["system"] for content in contents]
    names = [[each["name"]] for each in systems]
    variants = [[each["variant"]] if each["variant"] not in (None, each["name"]) else [] for each in systems]
    checkpoints = [[each["checkpoint"]["name"]] if each["checkpoint"] else [] for each in systems]
    places = [[Path(folder).resolve().name] for folder in folders]
    short = [variant or name for variant, name in zip(variants, names, strict=True)]
    if len(contents) == 1:
        return [", ".join(names[0] + variants[0] + checkpoints[0])]
    rows = [short, _joined(short, checkpoints), _joined(names, variants, checkpoints), _joined(short, places)]
    for row in rows:
        labels = [", ".join(words) for words in row]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{', '.join(words)} ({place})" for place, words in enumerate(short, start=1)]


def _joined(*columns: Sequence[list[str]]) -> list[list[str]]:
    return [list(chain(*words)) for words in zip(*columns, strict=True)]
