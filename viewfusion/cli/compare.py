"""``compare``: evaluations side by side, as a table, as JSON or as a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from viewfusion.errors import ViewFusionError, printable

if TYPE_CHECKING:
    from viewfusion.evaluation.comparison import Comparison, Difference

_NARROWEST = 132
"""Columns of a table that nobody watches, in a file or a pipe."""


def compare_runs(folders: list[Path], out: Path | None, common: bool, as_json: bool) -> None:
    """Print how the runs differ, and with ``out`` write a report of them.

    Raises:
        ViewFusionError: the runs are not of one protocol, or not of the same objects.
    """
    from viewfusion.evaluation.comparison import compare
    from viewfusion.evaluation.report import write_report

    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ViewFusionError(f"--out must be an HTML file such as comparison.html, got {str(out)[-80:]!r}")
    found = compare(folders, common)
    if out is not None:
        write_report(out, folders)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    print_comparison(found)
    if out is not None:
        typer.echo(f"report: {out}", err=True)


def print_comparison(found: Comparison) -> None:
    """The protocol, and the means of every run under it; of several, their differences to the first."""
    from viewfusion.evaluation.report.words import count

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=max(console.width, _NARROWEST))
    protocol, objects = found.runs[0].results["protocol"], count(len(found.objects), "object")
    alone = len(found.runs) == 1
    what = "intervals of 95 %" if alone else f"baseline {found.runs[0].label}"
    head = f"{protocol['name']} ({protocol['sha256'][:12]}), {objects}, {what}"
    console.print(Text(printable(head)))
    console.print(_means(found) if alone else _table(found))
    for name, why in found.left_out.items():
        console.print(Text(printable(f"left out: {name} ({why})")))
    for note in found.notes:
        console.print(Text(printable(f"note: {note}")))


def _means(found: Comparison) -> Table:
    """Of a single run."""
    from viewfusion.evaluation.report.words import decimals, unit_of

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("metric", "mean", "interval", "better"):
        table.add_column(title, justify="right" if title in ("mean", "interval") else "left", no_wrap=True)
    for name, metric in found.metrics.items():
        row = found.summaries[0].get(name)
        if row:
            unit = f", {unit_of(metric)}" if unit_of(metric) else ""
            places = decimals([row["mean"]])
            ends = _ends(row["low"], row["high"], places)
            cells = [f"{metric['title']}{unit}", _number(row["mean"], places), ends, metric["better"]]
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _table(found: Comparison) -> Table:
    """A row for each run of each metric: its mean, and how it differs from the baseline."""
    from viewfusion.evaluation.report.tables import finer
    from viewfusion.evaluation.report.words import decimals, unit_of

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("metric", "run", "mean", "minus baseline", "interval", "better on"):
        table.add_column(title, justify="left" if title in ("metric", "run") else "right", no_wrap=True)
    for name, metric in found.metrics.items():
        rows = [summary.get(name) for summary in found.summaries]
        places = decimals([row["mean"] for row in rows if row])
        differences = [None, *(each[name] for each in found.differences)]
        fine = max(places, *(finer(each) for each in differences))
        unit = f", {unit_of(metric)}" if unit_of(metric) else ""
        titles = [f"{metric['title']}{unit}", f"{metric['better']} is better"]
        for place, (run, row) in enumerate(zip(found.runs, rows, strict=True)):
            title = titles[place] if place < len(titles) else ""
            mean = _number(row["mean"], places) if row else ""
            cells = [title, run.label, mean, *_difference(differences[place], fine)]
            table.add_row(*(Text(printable(cell)) for cell in cells))
        table.add_section()
    return table


def _difference(found: Difference | None, places: int) -> list[str]:
    """The mean, its interval, and on how many objects it is to the better."""
    if found is None:
        return ["", "", ""]
    interval = found.interval
    ends = _ends(interval.low, interval.high, places)
    return [f"{interval.mean:+.{places}f}", ends, f"{found.better} of {found.objects}"]


def _ends(low: float | None, high: float | None, places: int) -> str:
    return "" if low is None else f"{_number(low, places)} to {_number(high, places)}"


def _number(value: float | None, places: int) -> str:
    return "none" if value is None else f"{value:.{places}f}"
