"""Requests to stop: SIGTERM (``kill``, a batch system) and SIGHUP (a closed terminal) come in, an exception
that unwinds like Ctrl-C goes out, so that locks are released and half-written files removed.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

INTERRUPTED = 130


class Stopped(SystemExit):
    """A signal asked the process to end; its exit code is 128 + the signal's number, as shells have it."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise :class:`Stopped` for SIGTERM and SIGHUP. A signal that is ignored (``nohup``) stays ignored."""
    changed: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # Python allows it nowhere else
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextmanager
def stopping_kindly(kept: str = "views") -> Iterator[None]:
    """Around work that can be continued: a stop prints one line that says so, and ends with its exit code.

    Args:
        kept: what is whole once it is made.
    """
    try:
        yield
    except (KeyboardInterrupt, Stopped) as stop:
        typer.echo(f"stopped; finished {kept} are kept, the same command goes on from them", err=True)
        raise SystemExit(stop.code if isinstance(stop, Stopped) else INTERRUPTED) from None


def _stop(number: int, _frame: object) -> NoReturn:
    raise Stopped(128 + number)
