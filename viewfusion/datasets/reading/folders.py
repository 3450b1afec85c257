"""Folders from anywhere: a path goes in, names, bytes and plain values come out, within limits.

Nothing outside the folder is read, no link is followed out of it, no pipe is waited for, and no file is
read that is larger than its kind can be.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError

MOST_ENTRIES = 1_000_000
"""Of one folder. Objaverse has 800 000 objects."""

MOST_VIEWS = 10_000
"""Of one object."""

MOST_JSON_BYTES = 2**24
"""Of a file of cameras: 10 000 views written out at length take 10 MB."""

PICTURES = (".png", ".jpg", ".jpeg", ".webp")

_NUMBERED = re.compile(r"([0-9]{1,6})(\.[a-z]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Folder:
    """A folder's visible names.

    Args:
        files: all that are no folders, so broken links and pipes too.
    """

    path: Path
    files: frozenset[str]
    folders: frozenset[str]


def listed(path: Path) -> Folder:
    """What ``path`` holds; hidden names are left out.

    Raises:
        ViewFusionError: it cannot be listed, or has a million entries.
    """
    files: set[str] = set()
    folders: set[str] = set()
    try:
        with os.scandir(path) as entries:
            for count, entry in enumerate(entries, start=1):
                if count > MOST_ENTRIES:
                    raise ViewFusionError(
                        f"{path}: more than {MOST_ENTRIES:,} entries; give a part of the dataset"
                    )
                if not entry.name.startswith((".", "__MACOSX")):
                    (folders if _is_folder(entry) else files).add(entry.name)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    return Folder(path, frozenset(files), frozenset(folders))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def inside(folder: Path, name: object, place: str) -> Path:
    """The regular file that ``name``, a word of an untrusted file, means in ``folder``.

    Args:
        place: where the word stands, for errors.

    Raises:
        ViewFusionError: it is no path, leads out of the folder, or nothing is there.
    """
    if not isinstance(name, str) or not name or len(name) > 4096:
        raise ViewFusionError(f"{place}: wanted the path of a picture in the folder, got {shown(name)}")
    path = folder / name
    check_file(path, folder, place, shown(name))
    return path


def check_file(path: Path, folder: Path, place: str | Path, name: str = "") -> None:
    """Raise ViewFusionError, which begins with ``place``, unless ``path`` is a regular file in ``folder``."""
    named = f" {name}" if name else ""
    try:
        within = path.resolve().is_relative_to(folder.resolve())
        there, is_link = path.is_file(), path.is_symlink()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        within, there, is_link = True, False, False
    if not within:
        raise ViewFusionError(f"{place}:{named} leads out of the object's folder; copy the file into it")
    if not there:
        what = "is a link to nothing" if is_link else "is missing or no regular file"
        raise ViewFusionError(f"{place}:{named} {what}; copy the object again")


def read_bytes(path: Path, folder: Path, most: int) -> bytes:
    """The content of a file in ``folder`` of at most ``most`` bytes.

    Raises:
        ViewFusionError: there is no such file, it lies elsewhere, is larger or cannot be read.
    """
    check_file(path, folder, path)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if len(content) > most:
        raise ViewFusionError(
            f"{path}: larger than {most:,} bytes, which such a file never is; copy it again"
        )
    return content


def read_json(path: Path, folder: Path) -> Any:
    """Plain values of a JSON file in ``folder``; errors as of :func:`read_bytes`, and for what is no JSON."""
    content = read_bytes(path, folder, MOST_JSON_BYTES)
    try:
        return json.loads(content)
    except RecursionError:
        raise ViewFusionError(f"{path}: nested too deeply for a file of cameras; copy it again") from None
    except ValueError as error:
        raise ViewFusionError(f"{path}: not JSON ({brief(error)}); copy it again") from None


def numbers(values: object, count: int, place: str) -> list[float]:
    """``values``, out of an untrusted file, if they are a list of so many finite numbers."""
    if not isinstance(values, list) or len(values) != count:
        raise ViewFusionError(f"{place}: wanted {count} numbers, got {shown(values)}")
    return [number(value, place) for value in values]


def number(value: object, place: str) -> float:
    """``value``, out of an untrusted file, if it is a finite number."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e9
    if not good:  # NaN compares with nothing
        raise ViewFusionError(f"{place}: wanted a finite number, got {shown(value)}")
    return float(value)  # type: ignore[arg-type]


def indices(folder: Folder, suffixes: tuple[str, ...] = PICTURES) -> dict[int, list[str]]:
    """Names such as ``000.png`` or ``7.jpg`` by their number, ascending."""
    found: dict[int, list[str]] = {}
    for name in sorted(folder.files):
        match = _NUMBERED.fullmatch(name)
        if match and match[2].lower() in suffixes:
            found.setdefault(int(match[1]), []).append(name)
    return dict(sorted(found.items()))


def ranges(values: list[int], most: int = 10) -> str:
    """Sorted numbers in words: "3, 5-8, 11"; at most ``most`` parts."""
    return ", ".join(_words(values, most))


def _words(values: list[int], most: int) -> Iterator[str]:
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][-1] == value - 1:
            runs[-1][1:] = [value]
        else:
            runs.append([value])
    for run in islice(runs, most):
        yield "-".join(f"{value:03d}" for value in run)
    if len(runs) > most:
        yield "..."


def shown(value: object) -> str:
    """A value out of an untrusted file, fit for a one-line message."""
    if isinstance(value, (list, dict, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return ascii(value if not isinstance(value, str) else value[:80])[:80]


def brief(error: Exception) -> str:
    """At most 100 characters on one line."""
    return " ".join(str(error)[:100].split()) or type(error).__name__
