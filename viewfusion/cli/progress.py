"""How far things are: a spin's views and steps, or so many of so many, with an estimate of the time left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    from viewfusion.evaluation.items import Item
    from viewfusion.views import View


def say(console: Console, text: str) -> None:
    """One line, whatever files are called."""
    console.print(printable(text), markup=False, emoji=False, soft_wrap=True)


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


def spin_bar(console: Console) -> Progress:
    """A bar for each :class:`SpinProgress`; nothing where there is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("view {task.fields[view]}/{task.fields[views]} step {task.fields[step]}"),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class SpinProgress:
    """A bar that advances with the work done.

    Counting views instead would promise too little time early, when references are few. Where there is
    no terminal, one line per finished view.

    Args:
        costs: of each target what each of its steps costs, see :func:`viewfusion.costs.costs`.
        bar: one that shows several, started and stopped by whose it is.
        named: say the name in lines too, where several are made at once.
    """

    def __init__(
        self,
        console: Console,
        name: str,
        costs: Sequence[Sequence[float]],
        bar: Progress | None = None,
        named: bool = False,
    ) -> None:
        self.console, self._steps = console, costs
        self.costs = [sum(each) for each in costs]
        self._under_way: dict[int, float] = {}
        self._said_first = f"{name}: " if named else ""
        self.bar = bar or spin_bar(console)
        self.task = self.bar.add_task(
            printable(name), total=sum(self.costs), view=1, views=len(costs) + 1, step="-"
        )

    def __enter__(self) -> SpinProgress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def on_step(self, place: int, targets: int, done_steps: int, steps: int) -> None:
        """See :data:`viewfusion.pipeline.OnStep`."""
        self._under_way[place] = sum(self._steps[place][:done_steps])
        # Of two made at once the other one may be earlier or later in the order.
        completed = sum(self._under_way.get(n, cost if n < place else 0) for n, cost in enumerate(self.costs))
        self.bar.update(self.task, completed=completed, view=place + 2, step=f"{done_steps}/{steps}")

    def on_view(self, view: View) -> None:
        if view.record and not self.console.is_terminal:
            say(
                self.console,
                f"{self._said_first}view {view.index} at azimuth {view.pose.azimuth_deg:.1f}, "
                f"elevation {view.pose.elevation_deg:.1f}: {len(view.record.references)} references, "
                f"{view.record.network_evaluations} evaluations, {view.record.seconds:.1f} s",
            )


class ObjectsProgress:
    """A bar over objects, whoever does them, with how many are done a minute and the views of the one in
    hand here. Where there is no terminal, a line whenever an object is done."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._told = console, -1
        self._begun: tuple[float, int] | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("objects, {task.fields[pace]}left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            speed_estimate_period=600,
        )
        self._task = self._bar.add_task("", total=total, pace="")

    def __enter__(self) -> ObjectsProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """The bar goes away; a second call does nothing."""
        self._bar.stop()

    def on_objects(self, done: int, total: int) -> None:
        """So many objects are done."""
        now = time.monotonic()
        self._begun = self._begun or (now, done)
        since, before = self._begun
        a_minute = 60 * (done - before) / (now - since) if done > before else 0
        pace = f"{a_minute:.1f} a minute, " if a_minute else ""
        self._bar.update(self._task, completed=done, total=total, pace=pace)
        if not self._console.is_terminal and done != self._told:
            self._told = done
            self._console.print(f"{done} of {total} objects done {pace.rstrip(', ')}".rstrip())

    def on_view(self, item: Item, done: int, total: int) -> None:
        """So many views of the object in hand are made."""
        self._bar.update(self._task, description=printable(f"{item.name}, view {done}/{total}"))
