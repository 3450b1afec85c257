"""Options and exit codes of every command; the work is in the modules beside this one.

Exit codes: 0 done, 1 of several photos or meshes some failed (each is named, the others are done), 2 the user
can mend it (one line says how), 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by a terminal that was closed, 141
nobody reads what is printed.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Annotated, TextIO

import typer

from viewfusion.errors import ViewFusionError, ViewFusionWarning

from . import checkpoints, dataset, metrics, segmenters
from .batch import BatchError
from .caches import keep_caches_together
from .photos import split_settings
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

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="IMG... [KEY=VALUE...]",
        help="Photos, folders of photos or quoted patterns, and settings such as sampling.eta=0.",
    ),
]
Checkpoint = Annotated[
    str, typer.Option(help="A name (see `viewfusion checkpoints list`), a folder or a file.")
]
ModelConfig = Annotated[
    Path | None, typer.Option("--config", help="The YAML that came with an original .ckpt.")
]
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(dataset.app, name="dataset")
app.add_typer(metrics.app, name="metrics")
app.add_typer(segmenters.app, name="segmenters")

Preset = Annotated[
    str | None,
    typer.Option(help="fast, balanced, reference, or a YAML file.  [default: what suits the checkpoint]"),
]
Views = Annotated[int | None, typer.Option(help="How many views, the input among them.  [default: 16]")]
Elevation = Annotated[
    str | None,
    typer.Option(
        metavar="DEGREES|auto",
        help="Camera height over the horizon in the photo; auto estimates it.  [default: 30]",
    ),
]
TrajectoryFile = Annotated[
    Path | None,
    typer.Option("--trajectory", help="Views from a CSV or JSON of poses, or nerfstudio's transforms.json."),
]
Sweep = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--elevation-sweep-deg",
        metavar="MIN MAX",
        help="Rise from MIN to MAX at the input's azimuth instead.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="Same seed, same pictures.  [default: 0]")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Segmenter = Annotated[
    str, typer.Option(help="Who finds the object: auto, plain, grabcut, u2net, ... or an ONNX file.")
]
Mask = Annotated[Path | None, typer.Option(help="A picture of the photo's size, light where the object is.")]
Point = Annotated[
    str | None, typer.Option(metavar="X,Y", help="A point on the object, in pixels of the upright photo.")
]
Box = Annotated[
    str | None, typer.Option(metavar="LEFT,TOP,RIGHT,BOTTOM", help="A box around the object, in pixels too.")
]
FrameFraction = Annotated[
    float | None, typer.Option(help="The object's side as a share of the frame's.  [default: 0.72]")
]
Framing = Annotated[str, typer.Option(help="Which side: longest, as models are trained, or width.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only prepare the photos and show what the model would see.")
]
Out = Annotated[Path, typer.Option(help="One folder per photo is made below this one.")]
Force = Annotated[
    bool, typer.Option("--force", help="Start anew where a folder is another run's; only its files go.")
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
    inputs: Inputs,
    checkpoint: Checkpoint = "zero123-nano",
    model_config: ModelConfig = None,
    family: checkpoints.FamilyName = None,
    preset: Preset = None,
    views: Views = None,
    elevation_deg: Elevation = None,
    trajectory: TrajectoryFile = None,
    elevation_sweep_deg: Sweep = None,
    num_samples: Annotated[
        int | None, typer.Option(help="So many seeds, each in a folder, and a picture of all.")
    ] = None,
    seed: Seed = None,
    segmenter: Segmenter = "auto",
    mask: Mask = None,
    point: Point = None,
    box: Box = None,
    frame_fraction: FrameFraction = None,
    framing: Framing = "longest",
    dry_run: DryRun = False,
    device: Device = "auto",
    out: Out = Path("out"),
    force: Force = False,
) -> None:
    """Turn each photo into a 360-degree sequence: views, GIF, MP4, contact sheet, cameras."""
    from .generate_360 import generate_360 as generate
    from .preparing import read_preparation
    from .session import Options
    from .wanted import wanted_turn

    photos, overrides = split_settings(inputs)
    overrides += _settings(views=views, seed=seed, elevation_deg=_degrees("--elevation-deg", elevation_deg))
    wanted = wanted_turn(preset, overrides, trajectory, elevation_sweep_deg)
    how = read_preparation(photos, segmenter, mask, point, box, frame_fraction, framing)
    options = Options(checkpoint, model_config, family, device, out, how, force, dry_run)
    with stopping_kindly():
        generate(photos, options, wanted, num_samples)


@app.command("generate-view")
def generate_view(
    inputs: Inputs,
    azimuth_deg: Annotated[
        float | None, typer.Option(help="Of the target, counter-clockwise from the photo.  [default: 0]")
    ] = None,
    elevation_deg: Annotated[
        float | None, typer.Option(help="Of the target, over the horizon.  [default: the photo's]")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Distance of the target's camera.  [default: the photo's]")
    ] = None,
    poses: Annotated[
        Path | None, typer.Option(help="Many targets: CSV or JSON as for generate-360 --trajectory.")
    ] = None,
    input_elevation_deg: Elevation = None,
    input_radius: Annotated[
        float | None, typer.Option(help="Distance of the photo's camera.  [default: 1.5]")
    ] = None,
    keep_path: Annotated[
        bool, typer.Option("--keep-path", help="Keep the views on the way to the target too.")
    ] = False,
    checkpoint: Checkpoint = "zero123-nano",
    model_config: ModelConfig = None,
    family: checkpoints.FamilyName = None,
    preset: Preset = None,
    seed: Seed = None,
    segmenter: Segmenter = "auto",
    mask: Mask = None,
    point: Point = None,
    box: Box = None,
    frame_fraction: FrameFraction = None,
    framing: Framing = "longest",
    dry_run: DryRun = False,
    device: Device = "auto",
    out: Out = Path("out"),
    force: Force = False,
) -> None:
    """Make one other view of each photo, or with --poses many, each reached on its own."""
    from .generate_view import generate_view as generate
    from .preparing import read_preparation
    from .session import Options
    from .wanted import wanted_views

    photos, overrides = split_settings(inputs)
    elevation = _degrees("--input-elevation-deg", input_elevation_deg)
    overrides += _settings(seed=seed, elevation_deg=elevation, radius=input_radius)
    target = {"azimuth_deg": azimuth_deg, "elevation_deg": elevation_deg, "radius": radius}
    wanted = wanted_views(preset, overrides, target, poses)
    how = read_preparation(photos, segmenter, mask, point, box, frame_fraction, framing)
    options = Options(checkpoint, model_config, family, device, out, how, force, dry_run)
    with stopping_kindly():
        generate(photos, options, wanted, poses is not None, keep_path)


@app.command("preprocess")
def preprocess(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="IMG...", help="Photos, folders of photos or quoted patterns."),
    ],
    out: Out,
    size: Annotated[int, typer.Option(help="Pixels a side of what the model sees; its checkpoint's.")] = 256,
    segmenter: Segmenter = "auto",
    mask: Mask = None,
    point: Point = None,
    box: Box = None,
    frame_fraction: FrameFraction = None,
    framing: Framing = "longest",
    force: Annotated[bool, typer.Option("--force", help="Make anew what is there already, too.")] = False,
) -> None:
    """Cut out and frame each photo, and show what the model will see. Needs no checkpoint."""
    from .preparing import read_preparation
    from .preprocess import preprocess as prepare

    photos, settings = split_settings(inputs)
    if settings:
        raise ViewFusionError(f"preprocess takes no settings, got {settings[0][:80]!r}")
    how = read_preparation(photos, segmenter, mask, point, box, frame_fraction, framing)
    with stopping_kindly("photos"):
        prepare(photos, out, how, size, force)


@app.command()
def plan(
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE...]")] = None,
    preset: Preset = None,
    views: Views = None,
    elevation_deg: Elevation = None,
    trajectory: TrajectoryFile = None,
    elevation_sweep_deg: Sweep = None,
    family: Annotated[str, typer.Option(help="zero123 or stable-zero123.")] = "zero123",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show a run's order, references, weights and pose embeddings. Needs no checkpoint."""
    from .plan import print_plan
    from .wanted import wanted_turn

    elevation = _degrees("--elevation-deg", elevation_deg)
    settings = [*(overrides or ()), *_settings(views=views, elevation_deg=elevation)]
    print_plan(wanted_turn(preset, settings, trajectory, elevation_sweep_deg), family, as_json)


@app.command()
def export(
    run_folder: Annotated[Path, typer.Argument(help="A finished run, such as out/chair.")],
    to: Annotated[str, typer.Option(help="nerfstudio, colmap, syncdreamer, viewfusion, gif or mp4.")],
    out: Annotated[
        Path | None, typer.Option(help="File or folder to make.  [default: in RUN_FOLDER/exports]")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="gif, mp4: frames a second.")] = None,
    seconds: Annotated[float | None, typer.Option(help="gif, mp4: how long one play takes.")] = None,
    loop: Annotated[
        int | None,
        typer.Option(help="gif, mp4: how often it plays; 0: for ever (gif).  [default: gif 0, mp4 1]"),
    ] = None,
    bounce: Annotated[bool, typer.Option("--bounce", help="gif, mp4: back and forth.")] = False,
    size: Annotated[int | None, typer.Option(help="gif, mp4: pixels on the shorter side.")] = None,
) -> None:
    """Write a finished run in the form another tool opens."""
    from .export import export_run

    export_run(run_folder, to, out, fps=fps, seconds=seconds, loop=loop, bounce=bounce, size=size)


@app.command("render-object")
def render_object(
    meshes: Annotated[
        list[str],
        typer.Argument(metavar="MESH...", help="OBJ, GLB, glTF, PLY or STL files, folders, quoted patterns."),
    ],
    out: Annotated[Path, typer.Option(help="One folder per mesh is made below this one.")],
    layout: Annotated[str, typer.Option(help="viewfusion, syncdreamer or nerfstudio.")] = "viewfusion",
    views: Annotated[
        int | None, typer.Option(help="So many in a ring.  [default: nerfstudio 36, syncdreamer 16]")
    ] = None,
    random_views: Annotated[
        int | None, typer.Option(help="So many from random places instead.  [default: viewfusion 12]")
    ] = None,
    elevation_deg: Annotated[
        float | None, typer.Option(help="Of the ring, over the horizon.  [default: 30]")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Distance of the cameras.  [default: 1.5; random 1.5 to 2.2]")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side.  [default: 256]")] = None,
    seed: Annotated[int, typer.Option(help="Of the random places.")] = 0,
    up: Annotated[str, typer.Option(help="y, z, or auto: y for glTF and OBJ, z for PLY and STL.")] = "auto",
    textures: Annotated[bool, typer.Option(help="Or the plain colours beside them.")] = True,
    scale: Annotated[
        str, typer.Option(help="longest: longest side 1; fit: smaller if the frame would cut it off.")
    ] = "fit",
    light: Annotated[
        str | None,
        typer.Option(help="Where from: AZIMUTH,ELEVATION in degrees, headlight or none.  [default: 45,55]"),
    ] = None,
    ambient: Annotated[
        float | None, typer.Option(help="Share of a colour left in the shade, 0 to 1.  [default: 0.6]")
    ] = None,
    name_by: Annotated[str, typer.Option(help="Name objects by their file or their folder.")] = "file",
) -> None:
    """Render meshes as the views of a benchmark: input pictures and truth, with their cameras."""
    from .render_object import Options, render_objects

    options = Options(
        layout, views, random_views, elevation_deg, radius, size, seed,
        up, textures, scale, light, ambient, name_by,
    )  # fmt: skip
    with stopping_kindly("objects"):
        render_objects(meshes, out, options)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Say what is installed, what is missing, and whether the main job can run here."""
    from .doctor import examine, print_report

    report = examine()
    print_report(report, as_json)
    raise typer.Exit(0 if report.ready else 2)


def _settings(**options: object) -> list[str]:
    """Options that stand for a setting, as key=value."""
    return [f"{key}={value}" for key, value in options.items() if value is not None]


def _degrees(option: str, text: str | None) -> str | float | None:
    """What an option says that takes degrees or "auto"."""
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise ViewFusionError(f"{option} must be degrees, or auto, got {text[:80]!r}") from None


def main() -> None:
    """Run the command line; never returns."""
    keep_caches_together()
    with orderly_streams(), stopping_on_signals(), warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app()
        except ViewFusionError as error:
            typer.echo(f"error: {error}", err=True)
            sys.exit(1 if isinstance(error, BatchError) else 2)


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
