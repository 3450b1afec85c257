"""Objects of a run: what is made of one goes in, its folder comes out, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import atomic_folder, write_json, write_png

from .scoring import failed_entry

OBJECTS, FAILED, ENTRY = "objects", "failed", "object.json"
_SOURCE, _INPUT = "source", "input"


@dataclass(frozen=True)
class Item:
    """One object of one run.

    Args:
        folder: of the run.
        name: of the object.
        source: tells the files it is made of from others; kept with what is made of them.
    """

    folder: Path
    name: str
    source: str = ""

    @property
    def place(self) -> Path:
        """Its folder, there once it is done."""
        return self.folder / OBJECTS / self.name

    @property
    def failure(self) -> Path:
        return self.folder / FAILED / f"{self.name}.json"

    @property
    def done(self) -> bool:
        return (self.place / ENTRY).is_file()


@dataclass(frozen=True)
class Outcome:
    """What was made of an object.

    Args:
        entry: of ``results.json``.
        pictures: (H, W, 3 or 4) uint8 by their path in its folder.
        files: contents of JSON files by their path in its folder.
        input: which of its views was given and not made.
    """

    entry: dict[str, Any]
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    input: int | None = None


Work = Callable[[Item], Outcome]
"""What is done for an object; an error it raises is the object's own."""


def attempted(work: Work, item: Item) -> Outcome:
    """What ``work`` makes of ``item``, or the entry that says why nothing."""
    try:
        return work(item)
    except ViewFusionError as error:
        return Outcome(failed_entry(item.name, str(error)))
    except Exception as error:  # one object's trouble, such as a full device, is no reason to stop the others
        reason = str(error).partition("\n")[0][:200]
        return Outcome(failed_entry(item.name, f"{type(error).__name__}: {reason}"))


def write_outcome(item: Item, outcome: Outcome) -> None:
    """The folder of an object, or the file that says why there is none."""
    if outcome.entry["status"] == "failed":
        write_json(item.failure, outcome.entry)
        return
    if not item.done:
        try:
            _fill(item, outcome)
        except ViewFusionError:
            if not item.done:  # by a process whose parent was killed, a moment ahead
                raise
    item.failure.unlink(missing_ok=True)


def _fill(item: Item, outcome: Outcome) -> None:
    with atomic_folder(item.place) as folder:
        for name, pixels in outcome.pictures.items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_png(folder / name, pixels)
        for name, content in outcome.files.items():
            write_json(folder / name, content)
        kept = {_SOURCE: item.source, _INPUT: outcome.input}
        write_json(folder / ENTRY, {**outcome.entry, **kept})


def check_sources(items: Iterable[Item]) -> None:
    """Refuse to go on with objects that were made of files which have changed since.

    Raises:
        ViewFusionError: the object is named.
    """
    for item in items:
        if item.done and _read(item).get(_SOURCE) != item.source:
            raise ViewFusionError(
                f"{item.place} was made of other files, or before they changed; choose another --out or "
                "remove this folder"
            )


def read_entries(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The entries of all ``items``, done or failed, in their order.

    Raises:
        ViewFusionError: one is neither, as when a process was killed.
    """
    entries = [_read(item) for item in items]
    for entry in entries:
        for kept in (_SOURCE, _INPUT):
            entry.pop(kept, None)
    return entries


def _read(item: Item) -> dict[str, Any]:
    path, remove = (item.place / ENTRY, item.place) if item.done else (item.failure, item.failure)
    if not path.is_file():
        raise ViewFusionError(
            f"{item.folder}: {item.name} is neither done nor failed, as when a process was killed; run the "
            "same command again"
        )
    try:
        entry = json.loads(path.read_bytes())
        if isinstance(entry, dict):
            return entry
    except (OSError, ValueError, RecursionError):
        pass
    raise ViewFusionError(f"{path}: damaged; remove {remove} and run the same command again")
