"""Options and exit codes of every command; the work is in the modules beside this one.

Exit codes: 0 done, 2 the user can mend it (one line says how), 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by
a terminal that was closed, 141 nobody reads what is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from viewfusion.errors import ViewFusionError

from .caches import keep_caches_together
from .signals import stopping_kindly, stopping_on_signals
from .streams import orderly_streams

app = typer.Typer(
    name="viewfusion",
    help="One photo of an object in, a consistent 360 degrees of it out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Preset = Annotated[str, typer.Option(help="fast, balanced, reference, or a YAML file.")]
Views = Annotated[int | None, typer.Option(help="How many views, the input among them.  [default: 16]")]
Elevation = Annotated[
    float | None, typer.Option(help="Camera height over the horizon in the photo.  [default: 30]")
]


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        import viewfusion

        typer.echo(f"viewfusion {viewfusion.__version__}")
        raise typer.Exit


@app.command("generate-360")
def generate_360(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IMG... [KEY=VALUE...]", help="Photos, and settings such as sampling.eta=0."),
    ],
    checkpoint: Annotated[
        str, typer.Option(help="A shipped name, a checkpoint folder, or an original .ckpt file.")
    ] = "zero123-nano",
    config: Annotated[Path | None, typer.Option(help="The YAML that came with an original .ckpt.")] = None,
    preset: Preset = "balanced",
    views: Views = None,
    elevation_deg: Elevation = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same pictures.  [default: 0]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    out: Annotated[Path, typer.Option(help="One folder per photo is made below this one.")] = Path("out"),
    force: Annotated[
        bool, typer.Option("--force", help="Start anew where a folder is another run's; only its files go.")
    ] = False,
) -> None:
    """Turn each photo into a 360-degree sequence: views, GIF, MP4, contact sheet, cameras."""
    from .generate import generate

    photos, overrides = _split(inputs)
    options = {"views": views, "seed": seed, "elevation_deg": elevation_deg}
    overrides += [f"{key}={value}" for key, value in options.items() if value is not None]
    with stopping_kindly():
        generate(photos, checkpoint, config, preset, overrides, device, out, force)


@app.command()
def plan(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE...]")] = None,
    preset: Preset = "balanced",
    views: Views = None,
    elevation_deg: Elevation = None,
    family: Annotated[str, typer.Option(help="zero123 or stable-zero123.")] = "zero123",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show a run's order, references, weights and pose embeddings. Needs no checkpoint."""
    from .plan import print_plan

    given = {"views": views, "elevation_deg": elevation_deg}
    settings = [f"{key}={value}" for key, value in given.items() if value is not None]
    print_plan(preset, [*(overrides or ()), *settings], family, as_json)


def _split(inputs: list[str]) -> tuple[list[Path], list[str]]:
    """Photos, and key=value settings; a file whose name holds "=" is a photo if it exists."""
    overrides = [text for text in inputs if "=" in text and not Path(text).exists()]
    photos = [Path(text) for text in inputs if text not in overrides]
    if not photos:
        raise ViewFusionError("no photo given; usage: viewfusion generate-360 photo.png")
    return photos, overrides


def main() -> None:
    """Run the command line; never returns."""
    keep_caches_together()
    with orderly_streams(), stopping_on_signals():
        try:
            app()
        except ViewFusionError as error:
            typer.echo(f"error: {error}", err=True)
            sys.exit(2)
