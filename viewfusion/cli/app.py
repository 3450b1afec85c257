"""Options and exit codes of every command; the work is in the modules beside this one.

Exit codes: 0 done, 2 the user can mend it (one line says how), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, TextIO

import typer

from viewfusion.errors import ViewFusionError, ViewFusionWarning

from . import checkpoints

app = typer.Typer(
    name="viewfusion",
    help="One photo of an object in, a consistent 360 degrees of it out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(checkpoints.app, name="checkpoints")

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
        str, typer.Option(help="A name (see `viewfusion checkpoints list`), a folder or a file.")
    ] = "zero123-nano",
    config: Annotated[Path | None, typer.Option(help="The YAML that came with an original .ckpt.")] = None,
    family: checkpoints.FamilyName = None,
    preset: Preset = "balanced",
    views: Views = None,
    elevation_deg: Elevation = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same pictures.  [default: 0]")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    out: Annotated[Path, typer.Option(help="One folder per photo is made below this one.")] = Path("out"),
) -> None:
    """Turn each photo into a 360-degree sequence: views, GIF, MP4, contact sheet, cameras."""
    from .generate import generate

    photos, overrides = _split(inputs)
    options = {"views": views, "seed": seed, "elevation_deg": elevation_deg}
    overrides += [f"{key}={value}" for key, value in options.items() if value is not None]
    try:
        generate(photos, checkpoint, config, family, preset, overrides, device, out)
    except KeyboardInterrupt:
        typer.echo("stopped; finished views are kept, the same command goes on from them", err=True)
        raise typer.Exit(130) from None


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
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app()
    except ViewFusionError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Ours as one line; others' as ever."""
    if issubclass(category, ViewFusionWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        typer.echo(warnings.formatwarning(message, category, filename, lineno), err=True, nl=False)
