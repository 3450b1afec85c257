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

from viewfusion.errors import ViewFusionError, ViewFusionWarning, printable
from viewfusion.running import Running

from . import checkpoints, dataset, metrics, segmenters
from .batch import BatchError
from .caches import keep_caches_together
from .options import (
    Box,
    Checkpoint,
    ClipWeights,
    Compile,
    Device,
    Devices,
    DryRun,
    Dtype,
    Elevation,
    Force,
    FrameFraction,
    Framing,
    Inputs,
    InputViews,
    Layout,
    Mask,
    MaxBatch,
    MeshPreset,
    MeshUp,
    ModelConfig,
    Nodes,
    Offload,
    Out,
    ParallelObjects,
    ParallelViews,
    Point,
    Preset,
    Protocol,
    RaftWeights,
    RunOut,
    Seed,
    Segmenter,
    Strategy,
    Sweep,
    TrajectoryFile,
    Views,
    Without,
    Yes,
)
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

app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(dataset.app, name="dataset")
app.add_typer(metrics.app, name="metrics")
app.add_typer(segmenters.app, name="segmenters")


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
    parallel_views: ParallelViews = None,
    parallel_objects: ParallelObjects = 1,
    max_batch: MaxBatch = None,
    dtype: Dtype = "auto",
    compile: Compile = False,
    offload: Offload = False,
    mesh: Annotated[
        bool, typer.Option("--mesh", help="Then make each turn's mesh too, as `reconstruct` does.")
    ] = False,
    mesh_preset: MeshPreset = None,
    yes: Yes = False,
    out: Out = Path("out"),
    force: Force = False,
) -> None:
    """Turn each photo into a 360-degree sequence: views, GIF, MP4, contact sheet, cameras."""
    from .generate_360 import generate_360 as generate
    from .preparing import read_preparation
    from .reconstruct import Options as Meshing
    from .session import Options
    from .wanted import wanted_turn

    photos, overrides = split_settings(inputs)
    overrides += _settings(views=views, seed=seed, elevation_deg=_degrees("--elevation-deg", elevation_deg))
    wanted = wanted_turn(preset, overrides, trajectory, elevation_sweep_deg)
    options = Options(
        checkpoint,
        model_config,
        family,
        device,
        out,
        read_preparation(photos, segmenter, mask, point, box, frame_fraction, framing),
        running=Running(max_batch, dtype, compile, offload),
        force=force,
        dry_run=dry_run,
        parallel_views=parallel_views,
        parallel_objects=parallel_objects,
    )
    if mesh_preset and not mesh:
        raise ViewFusionError("--mesh-preset is for the mesh of a turn; add --mesh, or leave it out")
    meshing = Meshing(preset=mesh_preset, device=device, force=force, yes=yes) if mesh else None
    with stopping_kindly():
        generate(photos, options, wanted, num_samples, meshing)


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
    parallel_objects: ParallelObjects = 1,
    max_batch: MaxBatch = None,
    dtype: Dtype = "auto",
    compile: Compile = False,
    offload: Offload = False,
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
    options = Options(
        checkpoint,
        model_config,
        family,
        device,
        out,
        read_preparation(photos, segmenter, mask, point, box, frame_fraction, framing),
        running=Running(max_batch, dtype, compile, offload),
        force=force,
        dry_run=dry_run,
        parallel_objects=parallel_objects,
    )
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
    elevation_deg: Annotated[
        str | None,
        typer.Option(metavar="DEGREES", help="Camera height over the horizon in the photo.  [default: 30]"),
    ] = None,
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
    to: Annotated[
        str, typer.Option(help="nerfstudio, colmap, instant-ngp, syncdreamer, viewfusion, gif or mp4.")
    ],
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


@app.command()
def reconstruct(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR... [KEY=VALUE...]",
            help="Runs, folders of posed views of one object each, transforms.json, strips of 16 views; and "
            "settings such as resolution=192.",
        ),
    ],
    method: Annotated[
        str, typer.Option(help="neus, or none: leave that to another tool, see --export.")
    ] = "neus",
    preset: MeshPreset = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder to make; of several inputs, one each below it.  [default: DIR/mesh of a run, "
            "else out/NAME-mesh]"
        ),
    ] = None,
    export: Annotated[
        str | None, typer.Option(help="nerfstudio, colmap or instant-ngp: what --method none writes.")
    ] = None,
    device: Device = "auto",
    seed: Annotated[int | None, typer.Option(help="Same seed, same mesh.  [default: 0]")] = None,
    hold_out: Annotated[
        int | None,
        typer.Option(help="Every so-many-th view tells how good the mesh is instead; 0: none.  [default: 9]"),
    ] = None,
    layout: Annotated[str, typer.Option(help="Of DIR, if it is not told apart by itself.")] = "auto",
    fov_deg: Annotated[
        float | None, typer.Option("--fov", help="Horizontal, in degrees.  [default: as DIR says, or 49.134]")
    ] = None,
    elevation_deg: Annotated[
        float | None,
        typer.Option(help="Of numbered pictures without cameras, over the horizon.  [default: 30]"),
    ] = None,
    distance: Annotated[
        float | None, typer.Option("--distance", "--radius", help="And of their cameras.  [default: 1.5]")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Reduce larger pictures to so many pixels on the longer side.")
    ] = None,
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", help="Start anew where a folder is another mesh's; only its files go.")
    ] = False,
) -> None:
    """Make a textured mesh of posed views: GLB, OBJ, PLY, a turntable, a comparison with the views."""
    from .reconstruct import Cameras, Options, split_inputs
    from .reconstruct import reconstruct as run

    paths, settings = split_inputs(inputs)
    told = {"seed": seed, "scene.hold_out": hold_out}
    settings += [f"{key}={value}" for key, value in told.items() if value is not None]
    options = Options(method, preset, tuple(settings), device, out, export, force, yes)
    with stopping_kindly("meshes and the last checkpoint"):
        run(paths, Cameras(layout, fov_deg, elevation_deg, distance, size), options)


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
def benchmark(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="Settings such as seed=1.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="The dataset.  [default: the objects that ship with viewfusion]")
    ] = None,
    protocol: Protocol = "viewfusion-embedded",
    checkpoint: Checkpoint = "zero123-nano",
    model_config: ModelConfig = None,
    family: checkpoints.FamilyName = None,
    preset: Preset = None,
    variants: Annotated[
        str | None, typer.Option(help="Of the method, separated by commas, or all: a run for each.")
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE,VALUE...", help="A run for each value; may be given several times."),
    ] = None,
    layout: Layout = "auto",
    inputs: InputViews = None,
    without: Without = "",
    clip: ClipWeights = None,
    raft: RaftWeights = None,
    device: Device = "auto",
    devices: Devices = "auto",
    num_nodes: Nodes = 1,
    strategy: Strategy = "auto",
    max_batch: MaxBatch = None,
    dtype: Dtype = "auto",
    compile: Compile = False,
    offload: Offload = False,
    out: RunOut = Path("out/benchmark"),
) -> None:
    """Make the views of every object of a dataset, score them, and write a report."""
    from .bench import Scoring
    from .benchmark import Network
    from .benchmark import benchmark as run

    running = Running(max_batch, dtype, compile, offload)
    network = Network(
        checkpoint, model_config, family, preset, settings or (), variants, sweep or (), running
    )
    scoring = Scoring(
        protocol, layout, inputs, without, clip, raft, (device, devices, num_nodes, strategy), out
    )
    with stopping_kindly("objects"):
        run(data, network, scoring)


@app.command("benchmark-speed")
def benchmark_speed(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE...]", help="Settings such as seed=1.")
    ] = None,
    checkpoint: Checkpoint = "zero123-nano",
    model_config: ModelConfig = None,
    family: checkpoints.FamilyName = None,
    preset: Preset = None,
    views: Views = None,
    device: Device = "auto",
    max_batch: MaxBatch = None,
    dtype: Dtype = "auto",
    compile: Compile = False,
    offload: Offload = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Make one spin of a shipped picture and say how long it took and what memory. Writes nothing."""
    from viewfusion.config import load_config

    from .speed import benchmark_speed as run

    config = load_config(preset, [*(settings or ()), *_settings(views=views)])
    running = Running(max_batch, dtype, compile, offload)
    run(checkpoint, model_config, family, device, config, as_json, running)


@app.command()
def evaluate(
    pred: Annotated[Path, typer.Option(help="What some system made, in any layout that can be read.")],
    ref: Annotated[
        Path | None, typer.Option(help="The true views, or meshes; a spin's consistency needs none.")
    ] = None,
    protocol: Protocol = "viewfusion-embedded",
    pred_layout: Annotated[str, typer.Option(help="Of --pred, if it is not told apart by itself.")] = "auto",
    ref_layout: Annotated[str, typer.Option(help="Of --ref.")] = "auto",
    resize: Annotated[
        bool, typer.Option("--resize", help="Predictions of another size than the protocol's, too.")
    ] = False,
    pred_up: MeshUp = "auto",
    ref_up: MeshUp = "auto",
    turns: Annotated[
        Path | None, typer.Option(help="JSON {object: degrees} that a protocol of meshes turns by.")
    ] = None,
    inputs: InputViews = None,
    without: Without = "",
    clip: ClipWeights = None,
    raft: RaftWeights = None,
    device: Device = "auto",
    devices: Devices = "auto",
    num_nodes: Nodes = 1,
    strategy: Strategy = "auto",
    out: RunOut = Path("out/evaluation"),
) -> None:
    """Score what any system made against the truth, and write a report."""
    from .bench import Scoring
    from .evaluate import Predictions, Reference
    from .evaluate import evaluate as run

    scoring = Scoring(
        protocol, ref_layout, inputs, without, clip, raft, (device, devices, num_nodes, strategy), out
    )
    with stopping_kindly("objects"):
        run(Predictions(pred, pred_layout, resize, pred_up), Reference(ref, ref_up, turns), scoring)


@app.command()
def protocols() -> None:
    """Show the protocols that come with viewfusion: what each one's numbers mean."""
    from .protocols import print_protocols

    print_protocols()


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Folders of evaluations; the first is the baseline."),
    ],
    out: Annotated[Path | None, typer.Option(help="Write a report of all of them, an HTML file.")] = None,
    common: Annotated[
        bool, typer.Option("--common", help="Leave out the objects that not every run scored.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Put evaluations of one protocol side by side, with the differences on the same objects."""
    from .compare import compare_runs

    compare_runs(runs, out, common, as_json)


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
    """Options that stand for a setting, as key=value.

    Raises:
        ViewFusionError: a number that YAML would refuse in words nobody typed.
    """
    for key, value in options.items():
        if isinstance(value, int) and abs(value) >= 2**63:
            option = f"--{key.replace('_', '-')}"
            raise ViewFusionError(f"{option} is too large a number, got {str(value)[:40]}")
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
            _enter_here()
            app()
        except ViewFusionError as error:
            typer.echo(f"error: {error}", err=True)
            sys.exit(1 if isinstance(error, BatchError) else 2)
        except (OSError, RuntimeError) as error:
            reason = _of_a_path(error)
            if reason is None:
                raise
            typer.echo(f"error: {printable(reason)}; name another path, or mend this one", err=True)
            sys.exit(2)


def _enter_here() -> None:
    """Refuse to work in a folder that was removed, where libraries fail in ways nobody understands.

    Raises:
        ViewFusionError: the current folder is gone.
    """
    try:
        Path.cwd()
    except OSError:
        raise ViewFusionError("the current folder no longer exists; change into another one") from None


def _of_a_path(error: OSError | RuntimeError) -> str | None:
    """What is wrong with a path that no reader or writer foresaw (a name too long, a folder that may not be
    entered); None if it is something else."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename is not None else None
    # What resolve() raises before Python 3.13, where it became an OSError.
    return str(error) if str(error).startswith("Symlink loop") else None


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
