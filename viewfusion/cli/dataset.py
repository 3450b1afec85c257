"""``dataset``: benchmarks on disk, checked and made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .signals import stopping_kindly

app = typer.Typer(help="Prepare datasets for benchmarks.", no_args_is_help=True, rich_markup_mode=None)
preparing = typer.Typer(
    help="Render published objects as a benchmark has them.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(preparing, name="prepare")


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
