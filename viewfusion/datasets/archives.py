"""ZIP archives at the door: one that may be damaged or hostile goes in, the files wanted of it come out.

Whatever an archive claims is held against limits before it is believed, and never unpacks to more than that.
One with a name that leads out of its folder, a link or a password is refused as a whole.
"""

from __future__ import annotations

import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import explained

MOST_BYTES = 2**30
"""Of an archive, and of all that is unpacked from one."""

MOST_FILES = 1000
"""In an archive, wanted or not."""

_MOST_DIRECTORY = 2**20
"""Bytes of an archive's list of files, which zipfile reads at once."""

_CHUNK = 2**20
_END, _END_BYTES, _MOST_COMMENT = b"PK\x05\x06", 22, 2**16 - 1
_LONG_END, _LONG_END_BYTES = b"PK\x06\x07", 20
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of APPNOTE.TXT 4.4.4
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def archived_files(archive: Path) -> list[PurePosixPath]:
    """The names of all files in an archive.

    Raises:
        ViewFusionError: it cannot be read, or must not be unpacked.
    """
    with _opened(archive) as opened:
        return list(_checked(opened))


def unpack(archive: Path, folder: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    """Write the files that ``wanted`` picks into ``folder``, under their names in the archive.

    Args:
        folder: one that may be thrown away: after an error it holds what was written until then.

    Raises:
        ViewFusionError: the archive cannot be read, or must not be unpacked.
    """
    with _opened(archive) as opened:
        for name, member in _checked(opened).items():
            if not wanted(name):
                continue
            with explained(folder / name):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as packed, explained(folder / name), (folder / name).open("xb") as file:
                shutil.copyfileobj(packed, file, _CHUNK)  # never more than the archive claims


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong with it, also later on, is one line that begins with its name."""
    try:
        with archive.open("rb") as file:
            _check_size(file)
            with zipfile.ZipFile(file) as opened:
                yield opened
    except ViewFusionError as error:
        raise ViewFusionError(f"{archive}: {error}") from None
    except OSError as error:
        raise ViewFusionError(
            f"{archive}: cannot be read ({error.strerror or error}); check the path, or download it again"
        ) from None
    except _DAMAGED as error:
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise ViewFusionError(f"{archive}: damaged or no ZIP archive ({said}); download it again") from None


def _check_size(file: BinaryIO) -> None:
    """Refuse an archive that is large itself, or whose list of files is; ``file`` is rewound."""
    size = file.seek(0, 2)
    if size > MOST_BYTES:
        raise ViewFusionError(f"{size >> 20} MB are over {MOST_BYTES >> 20}; not a model")
    file.seek(max(0, size - _END_BYTES - _MOST_COMMENT))
    tail = file.read()
    file.seek(0)
    at = len(tail) - _END_BYTES
    if not (tail[at:].startswith(_END) and tail.endswith(b"\0\0")):  # there, unless the archive has a comment
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise zipfile.BadZipFile("no list of files at its end")
    if tail[max(0, at - _LONG_END_BYTES) : at].startswith(_LONG_END):
        raise ViewFusionError("has the form for more than 65,535 files or 4 GB; not a model")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _MOST_DIRECTORY:
        raise ViewFusionError(f"holds over {MOST_FILES:,} files; not a model")


def _checked(opened: zipfile.ZipFile) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files of an archive, none of which does harm."""
    members = opened.infolist()
    if len(members) > MOST_FILES:
        raise ViewFusionError(f"holds {len(members):,} files, over {MOST_FILES:,}; not a model")
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise ViewFusionError(f"unpacks to over {MOST_BYTES >> 20} MB; not a model")
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        if not member.filename:
            raise zipfile.BadZipFile("a file without a name")
        name, said = PurePosixPath(member.filename), member.filename[:100]
        if "\\" in member.filename or ":" in member.filename or name.is_absolute() or ".." in name.parts:
            raise ViewFusionError(f"{said!r} in it leads out of its folder; nothing of it is unpacked")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ViewFusionError(f"{said!r} in it is a link or a device; nothing of it is unpacked")
        if member.flag_bits & _ENCRYPTED:
            raise ViewFusionError(f"{said!r} in it is encrypted; unpack it yourself and give the folder")
        if member.compress_type not in _METHODS:
            raise ViewFusionError(f"{said!r} in it is compressed in a way that is not read; pack it anew")
        if member.is_dir():
            continue
        if name in found:
            raise ViewFusionError(f"{said!r} is in it twice; download it again")
        found[name] = member
    return found
