"""``dataset``: what a folder of pictures and poses holds, and what is broken in it."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from viewfusion.errors import printable

from .progress import counting_bar
from .signals import stopping_kindly

if TYPE_CHECKING:
    from viewfusion.datasets import Dataset
    from viewfusion.datasets.reading.checking import Seen

app = typer.Typer(
    help="Check and prepare datasets: pictures of objects and their poses.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
preparing = typer.Typer(
    help="Render published objects as a benchmark has them.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(preparing, name="prepare")


@app.command()
def check(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder of objects' folders, or one object's.")
    ],
    layout: Annotated[
        str, typer.Option(help="auto, or what docs/datasets.md names, as viewfusion or syncdreamer.")
    ] = "auto",
    quick: Annotated[
        bool, typer.Option("--quick", help="Read only the pictures' headers; misses those cut short.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what a dataset holds and what is broken in it; exit code 2 if anything is."""
    from viewfusion.datasets import open_dataset
    from viewfusion.datasets.reading.checking import look

    console = Console(stderr=True, highlight=False)
    with counting_bar(console) as bar:
        task = bar.add_task("poses", total=None)
        dataset = open_dataset(
            folder, layout, lambda done, total: bar.update(task, completed=done, total=total)
        )
        bar.remove_task(task)
        pictures = sum(len(each.pictures) for each in dataset.objects)
        task = bar.add_task("pictures", total=pictures)
        seen = list(look(dataset, not quick, lambda: bar.advance(task)))
    report = _report(dataset, seen, not quick)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        _print(report)
    raise typer.Exit(2 if report["problems"] else 0)


def _report(dataset: Dataset, seen: list[Seen], decoded: bool) -> dict[str, Any]:
    """All that the command says; angles in degrees."""
    problems = [*dataset.problems, *(problem for each in seen for problem in each.problems)]
    return {
        "root": str(dataset.root),
        "layout": dataset.layout,
        "decoded": decoded,
        "objects": [_described(each) for each in seen],
        "problems": [{"object": problem.object, "what": problem.what} for problem in problems],
    }


def _described(seen: Seen) -> dict[str, Any]:
    thing = seen.object
    poses = [picture.pose for picture in thing.pictures if picture.pose is not None]
    return {
        "name": thing.name,
        "views": len(thing.pictures),
        "sizes": [list(size) for size in seen.sizes],
        "with_alpha": seen.with_alpha,
        "elevation_deg": _ends([pose.elevation_deg for pose in poses]),
        "radius": _ends([pose.radius for pose in poses]),
        "fov_deg": None if thing.fov is None else round(math.degrees(thing.fov), 6),
        "input_index": thing.input_index,
    }


def _ends(values: list[float]) -> list[float] | None:
    """The least and the greatest."""
    return [round(min(values), 6), round(max(values), 6)] if values else None


def _print(report: dict[str, Any]) -> None:
    objects, problems = report["objects"], report["problems"]
    broken = {problem["object"] for problem in problems}
    views = Counter(each["views"] for each in objects)
    sizes = Counter(f"{width} x {height}" for each in objects for width, height in each["sizes"])
    alpha = sum(each["with_alpha"] for each in objects)
    total = sum(each["views"] for each in objects)
    lines = {
        "dataset": report["root"],
        "layout": report["layout"],
        "objects": f"{len(broken | {each['name'] for each in objects})}"
        + (f", {len(broken)} of them broken" if broken else ", none broken"),
        "views": _counted(views, "an object") or "none",
        "pixels": _counted(sizes) or "none",
        "alpha": "none" if not alpha else "all" if alpha == total else f"{alpha} of {total} views",
        "elevation": _range(objects, "elevation_deg", " degrees"),
        "radius": _range(objects, "radius"),
        "fov": _range(objects, "fov_deg", " degrees"),
        "read": "every pixel" if report["decoded"] else "headers only",
    }
    if objects and not total:
        lines |= {"views": "none: these are meshes; render them with `viewfusion dataset prepare gso`"}
        lines = {key: lines[key] for key in ("dataset", "layout", "objects", "views")}
    for key, value in lines.items():
        typer.echo(f"{key:10} {printable(value)}")
    for problem in problems:
        typer.echo(printable(f"broken: {problem['object']}: {problem['what']}"))


def _counted(values: Counter[Any], of: str = "") -> str:
    """For instance "12 an object", or "256 x 256 (30 objects), 512 x 512 (1)"."""
    if len(values) == 1:
        return f"{next(iter(values))} {of}".strip()
    common = values.most_common(5)
    text = ", ".join(f"{value} ({count} objects)" for value, count in common)
    return text + (", ..." if len(values) > len(common) else "")


def _range(objects: list[dict[str, Any]], key: str, unit: str = "") -> str:
    """The range of a number over all objects; each has one number, its two ends, or None."""
    ends = [each[key] for each in objects if each[key] is not None]
    values = [value for each in ends for value in (each if isinstance(each, list) else [each])]
    if not values:
        return "unknown"
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    text = (low if low == high else f"{low} to {high}") + unit
    return text if len(ends) == len(objects) else f"{text}; unknown of {len(objects) - len(ends)} objects"


@preparing.command("gso")
def gso(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of archives NAME.zip or of unpacked objects NAME/, or one of these."),
    ],
    out: Annotated[Path, typer.Option(help="One folder per object is made below this one.")],
    layout: Annotated[str, typer.Option(help="viewfusion (12 random views) or syncdreamer.")] = "viewfusion",
    size: Annotated[int | None, typer.Option(help="viewfusion: pixels a side.  [default: 256]")] = None,
    seed: Annotated[int, typer.Option(help="viewfusion: of the random views.")] = 0,
    fetch: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Fetch this object's archive into SOURCE first; once for each."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Where --fetch finds NAME.zip.  [default: Gazebo Fuel]")
    ] = None,
) -> None:
    """Render Google's Scanned Objects into a benchmark's folders, resumably."""
    from .prepare import prepare_gso

    with stopping_kindly("objects"):
        prepare_gso(source, out, layout, size, seed, fetch or [], address)
