"""``segmenters``: which weights the networks that cut out want, and fetching them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .weights import print_weights

app = typer.Typer(
    help="List and fetch the weights of networks that cut objects out.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_weights(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the weights known by name, and which are on this machine."""
    from viewfusion.preprocessing.segmenters.weights import WEIGHTS, here

    rows = [
        {
            "name": name,
            "from": source.archive.requirement if source.archive else source.address,
            "size": source.archive.size if source.archive else None,
            "licence": source.licence,
            "path": str(here(name)) if here(name) else None,
        }
        for name, source in WEIGHTS.items()
    ]
    print_weights(rows, as_json, "from")


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Of `viewfusion segmenters list`.")],
) -> None:
    """Download weights from where they are published, and check them. Prints their paths."""
    from viewfusion.downloads import check_names
    from viewfusion.preprocessing.segmenters.weights import WEIGHTS, fetch_weights

    from .progress import BytesBar

    check_names(names, WEIGHTS)  # all of them before the first is downloaded
    for name in names:
        with BytesBar(name) as bar:
            path = fetch_weights(name, sys.stderr.isatty(), bar.on_bytes)
        typer.echo(path)
