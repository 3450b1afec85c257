"""How far things are: a spin's views and steps, or so many of so many, with an estimate of the time left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from viewfusion.errors import printable

if TYPE_CHECKING:
    from viewfusion.fusion import Target
    from viewfusion.views import View


def say(console: Console, text: str) -> None:
    """One line, whatever files are called."""
    console.print(printable(text), markup=False, soft_wrap=True)


def counting_bar(console: Console) -> Progress:
    """A bar that counts tasks and goes away at the end; nothing where there is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


class BytesBar:
    """How much of a file at an address has come, on a terminal."""

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        columns = TextColumn("{task.description}", markup=False), DownloadColumn(), TimeRemainingColumn()
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.task = self.bar.add_task(printable(name), total=None)

    def __enter__(self) -> BytesBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def on_bytes(self, come: int, total: int | None) -> None:
        """See :data:`viewfusion.downloads.OnBytes`."""
        self.bar.start()  # not before: pip draws a bar of its own
        self.bar.update(self.task, completed=come, total=total)


class SpinProgress:
    """A bar that advances with the work done: a step of a target with N references costs N + 1.

    Counting views instead would promise too little time early, when references are few. Where there is
    no terminal, one line per finished view.
    """

    def __init__(
        self, console: Console, name: str, targets: Sequence[Target], finished: Collection[int]
    ) -> None:
        self.console, self.targets = console, targets
        self.costs = [len(t.references) + 1 if t.view not in finished else 0 for t in targets]
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("view {task.fields[view]}/{task.fields[views]} step {task.fields[step]}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(
            printable(name), total=sum(self.costs), view=1, views=len(targets) + 1, step="-"
        )

    def __enter__(self) -> SpinProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def on_step(self, done_targets: int, targets: int, done_steps: int, steps: int) -> None:
        """See :data:`viewfusion.pipeline.OnStep`."""
        before = sum(self.costs[:done_targets])
        share = self.costs[done_targets] * done_steps / steps
        self.bar.update(
            self.task, completed=before + share, view=done_targets + 2, step=f"{done_steps}/{steps}"
        )

    def on_view(self, view: View) -> None:
        if view.record and not self.console.is_terminal:
            self.console.print(
                f"view {view.index} at azimuth {view.pose.azimuth_deg:.1f}, "
                f"elevation {view.pose.elevation_deg:.1f}: {len(view.record.references)} references, "
                f"{view.record.network_evaluations} evaluations, {view.record.seconds:.1f} s",
                soft_wrap=True,
            )
