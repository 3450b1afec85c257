"""What a dataset is, once read: objects, each with its pictures and poses, and what is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from viewfusion.geometry import Pose

from .folders import Folder

MOST_FAULTS = 20
"""Told of one object; a folder of thousands of bad poses says the same thing thousands of times."""


@dataclass(frozen=True)
class Picture:
    """One view on disk.

    Args:
        path: of its file.
        pose: in the data's own world; None where the data says none.
        box: left, top, right, bottom of the view in a strip of several; None: the whole picture.
    """

    path: Path
    pose: Pose | None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class DatasetObject:
    """The views of one object.

    Args:
        name: unique in the dataset, and fit to be a folder's.
        pictures: in the data's order; none where the data has a mesh that waits to be rendered.
        fov: horizontal field of view in radians; None: unknown.
        input_index: which picture is the input, where the data says.
        size: width and height that its cameras are made for; None: any.
    """

    name: str
    pictures: tuple[Picture, ...]
    fov: float | None = None
    input_index: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Problem:
    """Something broken: ``object`` is its object's name, "" for the dataset's own; ``what`` is one line."""

    object: str
    what: str


@dataclass(frozen=True)
class Dataset:
    """A folder that was read.

    Args:
        layout: a key of :data:`~viewfusion.datasets.reading.READERS`.
        objects: sorted by name; those with problems are not among them.
        problems: everything that is broken.
    """

    root: Path
    layout: str
    objects: tuple[DatasetObject, ...]
    problems: tuple[Problem, ...]


class Faults:
    """Collects what is wrong with one object, so that all of it is told at once."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0

    def add(self, what: str) -> None:
        """One line: the file, what was wanted, what came."""
        self._count += 1
        if self._count <= MOST_FAULTS:
            self._told.append(what)

    def lines(self) -> list[str]:
        more = self._count - len(self._told)
        return [*self._told, *([f"and {more} more of this object"] if more else [])]


@dataclass(frozen=True)
class Reader:
    """A layout.

    Args:
        about: the files of an object, in words.
        knows: whether a folder, or a file of its own, looks like an object of this layout.
        read: the object of that name out of a folder. What is wrong is added to the faults, and then it is
            left out; a ViewFusionError says what makes reading on pointless.
    """

    about: str
    knows: Callable[[Folder], bool]
    read: Callable[[str, Folder, Faults], DatasetObject]
