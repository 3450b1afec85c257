"""From what a user calls a checkpoint to where it lies on this machine. Never downloads.

Enters: a path, or a name of the catalogue or of something in a ``zero123_ckpts`` folder. Leaves: a path, or
an error that says how to get it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.resources import cache_folder, resource_folder
from viewfusion.untrusted import shown

from .catalogue import CATALOGUE, Entry
from .diffusers_folders import INDEX
from .folders import CONFIG

_FOLDER = "zero123_ckpts"
_NAME = re.compile(r"\w[\w.-]*")
_SUFFIXES = (".ckpt", ".safetensors")


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """The path of a checkpoint given by path, or by a name.

    An existing path wins. A name is looked up in the ``zero123_ckpts`` folders (shipped, in the working
    directory, in the user's cache folder), as a folder or a file with or without the published file's
    name, and then among what the Hugging Face libraries have fetched before.

    Raises:
        ViewFusionError: it is not here; says how to get it, or lists the names that are.
    """
    try:
        path = Path(name_or_path)
        if not path.exists():
            path = path.expanduser()
        if path.exists():
            return path
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a null byte, of a user unknown here
        raise ViewFusionError(f"{shown([name_or_path])}: not a usable path; check it") from error
    name = str(name_or_path)
    entry = CATALOGUE.get(name)
    found = find_name(name)
    if found is not None:
        return found
    if entry is not None:
        raise ViewFusionError(f"{name}: is not on this machine; {how_to_get(entry)}")
    here = installed()
    known = ", ".join(sorted(here)) or "none is installed"
    raise ViewFusionError(
        f"{shown([name_or_path])}: no such file, folder or checkpoint name (here: {known})"
        f"{did_you_mean(name, [*CATALOGUE, *here])}; "
        "give --checkpoint one of these names, one of `viewfusion checkpoints list`, or a path"
    )


def find_name(name: str) -> Path | None:
    """Where the checkpoint called ``name`` lies; None if it is not here."""
    if not _NAME.fullmatch(name):
        return None
    entry = CATALOGUE.get(name)
    files = [name + suffix for suffix in _SUFFIXES] + ([entry.file] if entry and entry.file else [])
    for parent in checkpoint_folders():
        if _is_checkpoint_folder(parent / name):
            return parent / name
        for file in files:
            if (parent / file).is_file():
                return parent / file
    return _fetched_before(entry) if entry else None


def installed() -> dict[str, Path]:
    """Name -> path of everything on this machine that can be given by name; the catalogue's names first."""
    found = {name: path for name in CATALOGUE if (path := find_name(name)) is not None}
    known = set(found.values())
    for parent in checkpoint_folders():
        for path in sorted(parent.iterdir()) if parent.is_dir() else ():
            name = path.stem if path.suffix in _SUFFIXES and path.is_file() else path.name
            if path not in known and (path.suffix in _SUFFIXES or _is_checkpoint_folder(path)):
                found.setdefault(name, path)
    return found


def checkpoint_folders() -> Iterator[Path]:
    """Where checkpoints are looked for by name, the first one wins."""
    yield resource_folder(_FOLDER)
    yield Path(_FOLDER)
    yield cache_folder() / _FOLDER


def how_to_get(entry: Entry) -> str:
    """What the user can do to have ``entry`` on this machine."""
    if entry.file is None:
        return "it ships with viewfusion, install that again"
    place = f"put {entry.file} into a folder {_FOLDER}/ here or give its path"
    if entry.repository:
        return f"fetch it with `viewfusion checkpoints fetch {entry.name}`, or {place}"
    return f"download {entry.url} and {place}"


def _is_checkpoint_folder(path: Path) -> bool:
    return (path / CONFIG).is_file() or (path / INDEX).is_file()


def _fetched_before(entry: Entry) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    if entry.repository is None or entry.file is None:
        return None
    path = try_to_load_from_cache(entry.repository, entry.file)
    return Path(path) if isinstance(path, str) else None
