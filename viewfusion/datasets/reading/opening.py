"""Opening a dataset: a folder goes in, its layout, its objects and what is broken in it come out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from viewfusion.errors import ViewFusionError, did_you_mean, printable
from viewfusion.outputs.files import LONGEST_NAME

from . import benchmarks, extrinsics, gso, nerfstudio, numbered, runs, strips, syncdreamer, viewfusion
from .folders import Folder, listed
from .records import Dataset, DatasetObject, Faults, Problem, Reader

READERS: dict[str, Reader] = {
    "run": runs.READER,
    "benchmark": benchmarks.READER,
    "syncdreamer": syncdreamer.READER,
    "viewfusion": viewfusion.READER,
    "eschernet": extrinsics.ESCHERNET,
    "omniobject3d": nerfstudio.OMNIOBJECT3D,
    "nerfstudio": nerfstudio.NERFSTUDIO,
    "gso": gso.READER,
    "objaverse": extrinsics.OBJAVERSE,
    "syncdreamer-strip": strips.READER,
    "numbered": numbered.READER,
}
"""By name, the most specific first: the first that knows a folder reads it."""

AUTO = "auto"
STRIP = "syncdreamer-strip"
WEAK = "numbered"
"""The layout that any pictures fit. Beside another one its objects lack the file that makes them those."""

DEEPEST = 3
"""Folders between the dataset's and an object's, this one included: root/part/category/object."""


@dataclass(frozen=True)
class _Place:
    """Where an object may be.

    Args:
        parts: names of the folders below the dataset's, the object's last.
        layout: that of its files; None: of none.
        refusal: why it is not read.
    """

    parts: tuple[str, ...]
    folder: Folder
    layout: str | None
    refusal: str | None = None


def open_dataset(
    root: str | Path, layout: str = AUTO, on_object: Callable[[int, int], None] | None = None
) -> Dataset:
    """Read a dataset's poses and find its pictures; none is decoded.

    Args:
        root: a folder of objects, or one object's folder. It may be a link; links out of it are refused.
        layout: a key of :data:`READERS`, or "auto": what its files say.
        on_object: told how many objects are read, of how many.

    Raises:
        ViewFusionError: there is no such folder or layout, nothing of a known layout in the folder, or
            objects of several.
    """
    root = Path(root)
    if layout not in (AUTO, *READERS):
        known = (AUTO, *READERS)
        hint = did_you_mean(layout, known)
        raise ViewFusionError(f"layout must be one of {', '.join(known)}, got {layout[:80]!r}{hint}")
    places = _named(_places(root, layout))
    chosen = _only_layout(root, places, layout)
    objects, problems = [], []
    for done, (name, place) in enumerate(sorted(places.items()), start=1):
        read, lines = _read(chosen, name, place)
        problems += [Problem(name, printable(line)) for line in lines]
        if read is not None and not lines:
            objects.append(read)
        if on_object is not None:
            on_object(done, len(places))
    return Dataset(root, chosen, tuple(objects), tuple(problems))


def _read(layout: str, name: str, place: _Place) -> tuple[DatasetObject | None, list[str]]:
    """The object, and what is wrong with it."""
    reader, faults, read = READERS[layout], Faults(), None
    try:
        if place.refusal:
            raise ViewFusionError(place.refusal)
        if len(os.fsencode(name)) > LONGEST_NAME:
            raise ViewFusionError(f"{place.folder.path}: its name is too long; rename the folder")
        if place.layout != layout and not reader.knows(place.folder):
            raise ViewFusionError(
                f"{place.folder.path}: wanted {reader.about}; got {_contents(place.folder)}"
            )
        read = reader.read(name, place.folder, faults)
    except ViewFusionError as error:
        faults.add(str(error))
    return read, faults.lines()


def _contents(folder: Folder) -> str:
    """For instance "000.png, 001.png and 10 more"."""
    names = sorted(folder.files | folder.folders)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(ascii(name)[1:-1][:40] for name in islice(names, 3)) + more or "nothing"


def _only_layout(root: Path, places: dict[str, _Place], layout: str) -> str:
    """The layout of all objects; what has pictures only, or nothing, counts as the others, and as broken."""
    examples: dict[str, str] = {}
    for name, place in sorted(places.items()):
        if place.layout is not None:
            examples.setdefault(place.layout, name)
    if len(examples) > 1:
        examples.pop(WEAK, None)
    if len(examples) > 1:
        listing = ", ".join(f"{name} is {kind}" for kind, name in examples.items())
        raise ViewFusionError(
            f"{root}: objects of several layouts ({listing}); give a folder of one of them, or its --layout"
        )
    if not examples:
        wanted = f"layout {layout} ({READERS[layout].about})" if layout != AUTO else "a known layout"
        raise ViewFusionError(
            f"{root}: no object of {wanted}; give the folder that holds the objects' folders, or one of them"
            + (f" (layouts: {', '.join(READERS)})" if layout == AUTO else "")
        )
    return next(iter(examples))


def _places(root: Path, layout: str) -> list[_Place]:
    if not root.is_dir():
        what = "not a folder" if root.exists() else "no such folder"
        raise ViewFusionError(f"{root}: {what}; give the folder of a dataset")
    top = benchmarks.objects_of(listed(root))
    kind = _kind(top, layout)
    itself = _Place((root.resolve().name or "dataset",), top, kind)
    if kind not in (None, WEAK, STRIP):
        return [itself]
    # Pictures may lie beside the folders of objects that a dataset is made of.
    below = list(_below(top, (), layout, root.resolve()))
    if any(place.layout not in (None, WEAK) for place in below):
        return below
    if kind != WEAK and not any(place.layout for place in below) and (loose := _strips(top, layout)):
        return loose
    return [itself] if kind else below


def _strips(folder: Folder, layout: str) -> list[_Place]:
    """Objects that are a single file each; all pictures, if that is the layout asked for."""
    if layout not in (AUTO, STRIP):
        return []
    found = []
    for each in strips.loose(folder):
        (name,) = each.files
        if layout == STRIP or READERS[STRIP].knows(each):
            found.append(_Place((Path(name).stem,), each, STRIP))
    return found


def _below(folder: Folder, parts: tuple[str, ...], layout: str, root: Path) -> Iterator[_Place]:
    """Objects in the folders of ``folder`` and, where these are none, in theirs."""
    for name in sorted(folder.folders):
        path, here = folder.path / name, (*parts, name)
        nothing = Folder(path, frozenset(), frozenset())
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            yield _Place(here, nothing, None, f"{path}: a link out of the dataset; copy the folder into it")
            continue
        try:
            inner = listed(path)
        except ViewFusionError as error:
            yield _Place(here, nothing, None, str(error))
            continue
        kind = _kind(inner, layout)
        if kind is None and inner.folders and len(here) < DEEPEST and not path.is_symlink():
            deeper = list(_below(inner, here, layout, root))
            if any(place.layout for place in deeper):
                yield from deeper
                continue
        yield _Place(here, inner, kind)


def _kind(folder: Folder, layout: str) -> str | None:
    """The first layout that knows a folder; only the one that is asked for, if one is."""
    names = READERS if layout == AUTO else (layout,)
    return next((name for name in names if READERS[name].knows(folder)), None)


def _named(places: list[_Place]) -> dict[str, _Place]:
    """By the name of its folder; where several are called the same, by those of the folders above too."""
    counts = Counter(place.parts[-1] for place in places)
    named: dict[str, _Place] = {}
    for place in places:
        name = place.parts[-1] if counts[place.parts[-1]] == 1 else "_".join(place.parts)
        while name in named:
            name += "_"
        named[name] = place
    return named
