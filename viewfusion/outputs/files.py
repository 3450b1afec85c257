"""Files written whole or not at all: content goes in, a file no crash can leave half-written comes out."""

from __future__ import annotations

import errno
import glob
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LONGEST_NAME = 230
"""Bytes of a file's or folder's name that come from others: file systems take 255, while it is being made its
name has up to 23 more."""

_TOKEN = "[0-9a-f]" * 8
"""Pattern of what tells temporary names from each other, and from somebody's half download."""

_MAKE_ROOM = "make room, and the same command goes on"
_ELSEWHERE = "choose another --out"
_REMEDIES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: "raise the limit on file sizes, and the same command goes on",
    errno.EROFS: _ELSEWHERE,
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.ENOTDIR: _ELSEWHERE,
    errno.ENAMETOOLONG: _ELSEWHERE,
}


@contextmanager
def explained(path: Path, failing: str = "cannot be written") -> Iterator[None]:
    """Turn an ``OSError`` (disk full, read-only) into a :class:`ViewFusionError` that names ``path``."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0] or type(error).__name__
        remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
        raise ViewFusionError(f"{path} {failing}: {reason}{remedy}") from error


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to, which becomes ``path`` once the block ends well and vanishes otherwise.

    It lies hidden in the folder of ``path`` and has its suffix, by which writers choose a format.

    Raises:
        ViewFusionError: the file system refuses, or the block wrote nothing.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        with explained(path):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):  # a folder that is gone must not hide the error that says so
            temporary.unlink()


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to fill, which becomes ``path`` once the block ends well and vanishes otherwise.

    Parents are made. What a killed call for the same ``path`` left is removed.

    Raises:
        ViewFusionError: the file system refuses, or there is something at ``path``.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with explained(path):
            temporary.mkdir(parents=True)
            with _held(temporary):
                for leftover in path.parent.glob(f".{glob.escape(path.name)}.{_TOKEN}.partial"):
                    if leftover != temporary and not _is_held(leftover):
                        shutil.rmtree(leftover, ignore_errors=True)
                yield temporary
                temporary.rename(path)
    except ViewFusionError as error:  # of a file in it; its name there is of no use to anybody
        raise ViewFusionError(str(error).replace(temporary.name, path.name)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that vanishes when the block ends.

    What a killed call leaves, the next :func:`atomic_folder` for ``path`` removes.

    Raises:
        ViewFusionError: the file system refuses it.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with explained(path):
            temporary.mkdir(parents=True)
        with _held(temporary):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Tell others that somebody works in ``folder``, until the block or the process ends."""
    file = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if file is not None:
            with suppress(OSError):  # a file system without locks: then nobody knows
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        if file is not None:
            os.close(file)


def _is_held(folder: Path) -> bool:
    """Whether somebody works in ``folder``, as :func:`_held` tells."""
    try:
        file = os.open(folder, os.O_RDONLY) if fcntl else None
    except OSError:
        return False
    if file is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False


def remove_partial(folder: Path) -> None:
    """Remove what a killed :func:`atomic_path` or -folder left in ``folder``, which need not exist."""
    with explained(folder, "cannot be cleaned"):
        for leftover in (*folder.glob(f".*.{_TOKEN}.partial"), *folder.glob(f".*.{_TOKEN}.partial.*")):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Sorted and indented UTF-8, a newline at the end.

    Raises:
        ViewFusionError: the file cannot be written.
        ValueError: ``value`` holds NaN or infinity, which JSON has not.
    """
    write_bytes(path, _json_bytes(value))


def write_json_once(path: Path, value: Any) -> None:
    """:func:`write_json`, but a file with these very bytes is left alone, which a full disk allows."""
    _write_once(path, _json_bytes(value))


def _json_bytes(value: Any) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    # File names may hold bytes that are no UTF-8; escaped (\udcff) they are valid JSON, read back the same.
    return text.encode("utf-8", "backslashreplace")


def write_png(path: Path, pixels: np.ndarray | Image.Image, quick: bool = False) -> None:
    """An image, or (H, W, 3 or 4) uint8.

    Args:
        quick: in half the time and a larger file; for pictures as large as photos.
    """
    with atomic_path(path) as temporary:
        _image(pixels).save(temporary, format="PNG", **({"compress_level": 1} if quick else {}))


def write_png_once(path: Path, pixels: np.ndarray | Image.Image) -> None:
    """:func:`write_png`, but as :func:`write_json_once` does it."""
    buffer = io.BytesIO()
    _image(pixels).save(buffer, format="PNG")
    _write_once(path, buffer.getvalue())


def _write_once(path: Path, content: bytes) -> None:
    with explained(path, "cannot be read"):
        there = path.is_file() and path.read_bytes() == content
    if not there:
        write_bytes(path, content)


def _image(pixels: np.ndarray | Image.Image) -> Image.Image:
    return pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)


def write_pngs(folder: Path, pictures: Iterable[np.ndarray]) -> list[str]:
    """``000.png``, ``001.png``, ... in ``folder``, which is made; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for place, pixels in enumerate(pictures):
        names.append(f"{place:03d}.png")
        write_png(folder / names[-1], pixels)
    return names
