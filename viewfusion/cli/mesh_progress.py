"""How far a mesh is: stages, steps, loss and an estimate of the quality, with the time left; and whether a
person wants one that takes long."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer
from rich import progress as bars
from rich.console import Console

from viewfusion.errors import ViewFusionError, printable
from viewfusion.reconstruction.watching import Watcher

from .progress import say

if TYPE_CHECKING:
    from viewfusion.reconstruction.training import Progress

LONG = 3600.0
"""Seconds of training for which a person is asked first."""

LINE_SECONDS = 30.0
"""Between lines where there is no terminal."""


class MeshProgress(Watcher):
    """A bar on a terminal, a line now and then elsewhere; a context manager.

    Args:
        name: of what the mesh is made of.
        yes: a person agrees to a long training in advance.
        remedy: what takes less time, for the refusal of one that takes long.
    """

    def __init__(self, console: Console, name: str, yes: bool, remedy: str) -> None:
        self._console, self._name, self._yes, self._remedy = console, name, yes, remedy
        self._quality, self._told = "-", time.monotonic()
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[words]}", markup=False),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left:"),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=120,
        )
        self._task = self._bar.add_task(printable(name), total=None, words="")

    def __enter__(self) -> MeshProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_estimate(self, seconds: float) -> None:
        if seconds >= LONG and not self._yes:
            self._bar.stop()
            self._agree(seconds)
            self._bar.start()
        elif not self._console.is_terminal:
            say(self._console, f"{self._name}: training takes about {duration(seconds)}")

    def _agree(self, seconds: float) -> None:
        """Ask whether such a long training is wanted.

        Raises:
            ViewFusionError: it is not, or there is nobody to ask.
        """
        takes = f"training is expected to take about {duration(seconds)} here"
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise ViewFusionError(f"{takes}; add --yes to start it all the same, or {self._remedy}")
        if not typer.confirm(f"{printable(self._name)}: {takes}. Start it?", err=True):
            raise ViewFusionError(f"not started; {self._remedy}")

    def on_stage(self, name: str) -> None:
        self._bar.update(self._task, description=printable(f"{self._name}: {name}"), words="")
        if not self._console.is_terminal:
            say(self._console, f"{self._name}: {name}")

    def on_step(self, progress: Progress) -> None:
        words = (
            f"step {progress.done}/{progress.steps} loss {progress.losses['total']:.4f} PSNR {self._quality}"
        )
        self._bar.update(self._task, completed=progress.done, total=progress.steps, words=words)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= LINE_SECONDS:
            self._told = now
            say(self._console, f"{self._name}: {words}, {duration(progress.seconds_left)} left")

    def on_preview(self, decibels: float) -> None:
        self._quality = f"{decibels:.1f} dB"


def duration(seconds: float) -> str:
    """In words, as rough as an estimate is: "40 seconds", "12 minutes", "22 hours", "3 days"."""
    for unit, size, limit in (("second", 1, 90), ("minute", 60, 90), ("hour", 3600, 48)):
        if seconds < limit * size:
            count = max(1, round(seconds / size))
            return f"{count} {unit}{'s' * (count != 1)}"
    return f"{round(seconds / 86400)} days"
