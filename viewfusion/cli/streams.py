"""Standard output and error: what the process was started with goes in, streams that fail in order come out.

What is printed to standard output is a command's product: where its reader is gone (``plan | head -1``) the
command ends as other tools do, with 141 (128 + SIGPIPE), and where it cannot be written (disk full) with one
line and exit code 2. Standard error is talk: where nobody listens any more, as after a terminal was closed,
the work goes on in silence.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

READER_GONE = 141


class _Sink(io.RawIOBase):
    """Writes to another raw stream until that fails once; from then on it swallows everything.

    Swallowing matters: what is still buffered is written again whenever Python closes its streams.
    """

    def __init__(self, raw: Any, strict: bool) -> None:
        self._raw, self._strict, self._failed = raw, strict, False

    def write(self, data: Any) -> int | None:
        if not self._failed:
            try:
                written: int | None = self._raw.write(data)
                return written
            except OSError as error:
                self._failed = True
                if self._strict:
                    _end(error)
        return memoryview(data).nbytes

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def _end(error: OSError) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise SystemExit(READER_GONE) from None
    typer.echo(f"error: standard output cannot be written: {error.strerror}", err=True)
    raise SystemExit(2) from None


@contextmanager
def orderly_streams() -> Iterator[None]:
    """Guard ``sys.stdout`` and ``sys.stderr``; streams that somebody else put there are left alone."""
    _open_closed()
    before = sys.stdout, sys.stderr
    if sys.stdout is sys.__stdout__:
        sys.stdout = _guarded(sys.stdout, strict=True)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(sys.stderr, strict=False)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()  # here, where a failure can still be told
        finally:
            sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Open the null device where a standard stream was closed (``2>&-``).

    Otherwise the next file to be opened would get its number, and be written to by whoever talks to it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, closefd=False, encoding="utf-8"))  # noqa: SIM115


def _guarded(stream: Any, strict: bool) -> io.TextIOWrapper:
    buffer = stream.buffer
    sink = _Sink(getattr(buffer, "raw", buffer), strict)  # unbuffered, the buffer is the raw stream itself
    return io.TextIOWrapper(
        io.BufferedWriter(sink),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
