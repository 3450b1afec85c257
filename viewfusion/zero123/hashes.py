"""SHA-256 of checkpoints: what manifests name them by, and what the catalogue knows them by."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from viewfusion.errors import ViewFusionError

from .diffusers_folders import INDEX as PIPELINE
from .folders import CONFIG
from .names import find_checkpoint

_CHUNK = 2**20


def checkpoint_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of a checkpoint's bytes, to name it in manifests.

    Of a file: its bytes. Of a folder: the lines ``"{filename} {sha256 of its bytes}\\n"`` of
    ``config.json`` and every ``*.safetensors``, sorted by filename. Of a diffusers folder: the same lines
    of ``model_index.json`` and of every JSON and weight file one folder down, named by relative path.

    Raises:
        ViewFusionError: there is nothing to read.
    """
    path = find_checkpoint(path)
    try:
        if path.is_file():
            return file_hash(path)
        files = sorted(checkpoint_files(path), key=lambda file: file.relative_to(path).as_posix())
        for file in files:
            if file.exists() and not file.is_file():  # a pipe would be waited for
                raise ViewFusionError(f"{file}: is no file; fetch the folder again")
        lines = "".join(f"{file.relative_to(path).as_posix()} {file_hash(file)}\n" for file in files)
    except OSError as error:
        raise ViewFusionError(
            f"{path}: {Path(error.filename or '').name} cannot be read ({error.strerror})"
        ) from error
    return hashlib.sha256(lines.encode()).hexdigest()


def checkpoint_files(path: Path) -> list[Path]:
    """The files a checkpoint consists of."""
    if path.is_file():
        return [path]
    if not (path / PIPELINE).is_file():
        return [path / CONFIG, *path.glob("*.safetensors")]
    below = [file for suffix in ("json", "safetensors", "bin") for file in path.glob(f"*/*.{suffix}")]
    return [path / PIPELINE, *below]


def file_hash(path: Path) -> str:
    """SHA-256 of one file; remembered while the file stays as it is, for it takes seconds per gigabyte."""
    status = path.stat()
    return _hash_of(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _hash_of(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
