"""``checkpoints``: what can be had and what is here; fetching, looking into and converting."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from viewfusion.errors import ViewFusionError

if TYPE_CHECKING:
    from viewfusion.geometry import Family
    from viewfusion.zero123 import OpenCheckpoint

app = typer.Typer(
    help="List, fetch, inspect and convert checkpoints.", no_args_is_help=True, rich_markup_mode=None
)

Source = Annotated[str, typer.Argument(help="A name, a folder, a .ckpt or a .safetensors file.")]
ModelConfig = Annotated[Path | None, typer.Option(help="The YAML that came with an original file.")]
FamilyName = Annotated[str | None, typer.Option(help="zero123 or stable-zero123, where nothing else tells.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_checkpoints(as_json: AsJson = False) -> None:
    """Show the checkpoints known by name, and the ones on this machine."""
    from viewfusion.zero123.catalogue import CATALOGUE
    from viewfusion.zero123.names import installed

    here = installed()
    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "family": entry.family,
            "size": entry.size,
            "licence": entry.licence,
            "sha256": entry.sha256,
            "url": entry.url,
            "path": str(here[entry.name]) if entry.name in here else None,
        }
        for entry in CATALOGUE.values()
    ]
    own = [{"name": name, "path": str(path)} for name, path in here.items() if name not in CATALOGUE]
    if as_json:
        typer.echo(json.dumps({"catalogue": rows, "others": own}, indent=2))
        return
    for row in rows:
        size = f"{row['size'] / 1e9:.1f} GB" if row["size"] else ""
        typer.echo(f"{row['name']:16}  {row['family']:14}  {size:>7}  {row['path'] or 'not here'}")
        typer.echo(f"{'':16}  licence: {row['licence']}; {row['url']}")
    for other in own:
        typer.echo(f"{other['name']:16}  {'':14}  {'':7}  {other['path']}")


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name of `viewfusion checkpoints list`.")]) -> None:
    """Download a checkpoint by name from the Hugging Face Hub. Prints its path."""
    from viewfusion.zero123.catalogue import CATALOGUE
    from viewfusion.zero123.fetching import fetch_checkpoint
    from viewfusion.zero123.names import find_name

    console = Console(stderr=True, highlight=False)
    entry = CATALOGUE.get(name)
    if entry and entry.repository and find_name(name) is None:
        console.print(
            f"{name}: licence: {entry.licence}; from {entry.repository}", markup=False, soft_wrap=True
        )
    typer.echo(fetch_checkpoint(name))


@app.command()
def inspect(
    source: Source,
    config: ModelConfig = None,
    family: FamilyName = None,
    as_json: AsJson = False,
) -> None:
    """Say what a checkpoint is, without loading its weights."""
    from viewfusion.zero123 import checkpoint_hash, open_checkpoint

    opened = open_checkpoint(source, config, family=cast("Family | None", family))
    with Console(stderr=True).status("hashing"):
        digest = checkpoint_hash(opened.path, fresh=True)
    report = _report(opened, digest)
    if as_json:
        typer.echo(json.dumps(report, indent=2))
        return
    parts = ", ".join(f"{part} {count / 1e6:.1f} M" for part, count in report["parameters"].items())
    averaged = {True: "running averages (EMA)", False: "as trained, no averages", None: "not stated"}
    lines = {
        "path": report["path"],
        "format": report["format"],
        "family": f"{report['family']} (known by: {report['family_known_by']})",
        "parameters": f"{sum(report['parameters'].values()) / 1e6:.1f} M ({parts})",
        "dtype": ", ".join(report["dtypes"]),
        "size": f"{report['size']:,} bytes",
        "images": f"{report['image_size']} x {report['image_size']}",
        "predicts": report["prediction_type"],
        "sampled by": ", ".join(f"{key} {value}" for key, value in report["sampling"].items())
        or "not stated",
        "UNet weights": averaged[report["ema"]],
        "fits": report["problem"] or "yes, names and shapes agree with the config",
        "sha256": report["sha256"],
    }
    for key, value in lines.items():
        typer.echo(f"{key:13} {value}")


@app.command()
def convert(
    source: Source,
    destination: Annotated[Path, typer.Argument(help="A folder that is absent or empty.")],
    to: Annotated[
        str, typer.Option(help="viewfusion (config.json and safetensors) or diffusers (a pipeline folder).")
    ] = "viewfusion",
    dtype: Annotated[str, typer.Option(help="fp16 or fp32, of the stored weights.")] = "fp16",
    config: ModelConfig = None,
    family: FamilyName = None,
) -> None:
    """Write a checkpoint in another format. Its weights pass through memory one at a time."""
    from viewfusion.zero123 import open_checkpoint
    from viewfusion.zero123.converting import convert_checkpoint, stored_bytes

    opened = open_checkpoint(source, config, family=cast("Family | None", family))
    console = Console(stderr=True)
    columns = (TextColumn("writing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=stored_bytes(opened, dtype))

        def on_bytes(done: int) -> None:
            bar.advance(task, done)

        folder = convert_checkpoint(opened, destination, to, dtype, on_bytes=on_bytes)
    typer.echo(folder)


def _report(opened: OpenCheckpoint, digest: str) -> dict[str, Any]:
    from viewfusion.zero123.hashes import checkpoint_files

    weights = opened.weights
    counts: dict[str, int] = {}
    for name, shape in weights.shapes.items():
        part = name.partition(".")[0]
        counts[part] = counts.get(part, 0) + math.prod(shape)
    return {
        "path": str(opened.path),
        "format": opened.format,
        "family": opened.config["family"],
        "family_known_by": opened.family_known_by,
        "image_size": opened.config["image_size"],
        "prediction_type": opened.config["scheduler"]["prediction_type"],
        "parameters": counts,
        "dtypes": sorted(set(weights.dtypes.values())),
        "ema": opened.ema,
        "size": sum(file.stat().st_size for file in checkpoint_files(opened.path)),
        "sampling": opened.config.get("sampling", {}),
        "problem": _problem(opened),
        "sha256": digest,
    }


def _problem(opened: OpenCheckpoint) -> str | None:
    """Why the weights do not make a model, if they do not; known from names and shapes alone."""
    from viewfusion.zero123.weights import check_shapes, meta_model

    try:
        check_shapes(opened.weights, meta_model(opened.config, opened.path))
    except ViewFusionError as error:
        return str(error)
    return None
