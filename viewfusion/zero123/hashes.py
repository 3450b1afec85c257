"""SHA-256 of checkpoints: what manifests name them by, and what the catalogue knows them by."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

from viewfusion.errors import ViewFusionError
from viewfusion.resources import cache_folder

from .diffusers_folders import INDEX as PIPELINE
from .folders import CONFIG
from .names import find_checkpoint

_CHUNK = 2**20
_KEPT_FROM = 2**28
"""Bytes of the smallest file whose hash is kept on disk; smaller ones take less than a second."""
_SETTLED = 2.0
"""Seconds a file must have been left alone: changed again within a tick of the clock it looks the same."""
_MOST_KEPT, _MOST_BYTES = 64, 2**20


def checkpoint_hash(path: str | os.PathLike[str], fresh: bool = False) -> str:
    """SHA-256 (hex) of a checkpoint's bytes, to name it in manifests.

    Of a file: its bytes. Of a folder: the lines ``"{filename} {sha256 of its bytes}\\n"`` of
    ``config.json`` and every ``*.safetensors``, sorted by filename. Of a diffusers folder: the same lines
    of ``model_index.json`` and of every JSON and weight file one folder down, named by relative path.
    ``fresh`` is of :func:`file_hash`.

    Raises:
        ViewFusionError: there is nothing to read.
    """
    path = find_checkpoint(path)
    try:
        if path.is_file():
            return file_hash(path, fresh)
        files = sorted(checkpoint_files(path), key=lambda file: file.relative_to(path).as_posix())
        for file in files:
            if file.exists() and not file.is_file():  # a pipe would be waited for
                raise ViewFusionError(f"{file}: is no file; fetch the folder again")
        lines = "".join(f"{file.relative_to(path).as_posix()} {file_hash(file, fresh)}\n" for file in files)
    except OSError as error:
        raise ViewFusionError(
            f"{path}: {Path(error.filename or '').name} cannot be read ({error.strerror})"
        ) from error
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()


def checkpoint_files(path: Path) -> list[Path]:
    """The files a checkpoint consists of."""
    if path.is_file():
        return [path]
    if not (path / PIPELINE).is_file():
        return [path / CONFIG, *path.glob("*.safetensors")]
    below = [file for suffix in ("json", "safetensors", "bin") for file in path.glob(f"*/*.{suffix}")]
    return [path / PIPELINE, *below]


def file_hash(path: Path, fresh: bool = False) -> str:
    """SHA-256 of one file; remembered while the file stays as it is, for it takes seconds per gigabyte.

    That of a large file is kept in the user's cache folder as well, beside the file's size, times and number
    on its disk, all of which must be as they were.

    Args:
        fresh: read the file whatever is remembered: to see whether its bytes are what they should be.
    """
    if fresh:
        return _digest(path)
    status = path.stat()
    return _hash_of(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash_of(path: Path, size: int, changed: int) -> str:
    if size < _KEPT_FROM:
        return _digest(path)
    began, before = time.time(), _identity(path)
    known = _kept().get(str(path))
    if known is not None and known[:-1] == before:
        return known[-1]
    digest = _digest(path)
    if before == _identity(path) and max(before[1:3]) < (began - _SETTLED) * 1e9:
        _keep(str(path), [*before, digest])
    return digest


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _identity(path: Path) -> list[int]:
    """What no change of a file leaves as it is, times in nanoseconds; programs can set the first of them."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _kept() -> dict[str, list]:
    """Path -> :func:`_identity` and the hash, of what was kept; nothing where that is no such file."""
    try:
        with (cache_folder() / "hashes.json").open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {path: entry for path, entry in entries if _is_entry(entry)}


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 5
        and all(type(each) is int for each in entry[:-1])
        and isinstance(entry[-1], str)
        and re.fullmatch("[0-9a-f]{64}", entry[-1]) is not None
    )


def _keep(path: str, entry: list) -> None:
    """Add it to what is kept, the newest last; where that cannot be written the next run hashes again."""
    others = [(name, each) for name, each in _kept().items() if name != path]
    place = cache_folder() / "hashes.json"
    partial = place.with_name(f".{place.name}.{secrets.token_hex(4)}.partial")
    with suppress(OSError):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(dict([*others[1 - _MOST_KEPT :], (path, entry)])), encoding="utf-8")
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
