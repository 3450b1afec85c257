"""Options that several commands have, each with its words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
MaxBatch = Annotated[
    int | None,
    typer.Option(help="References through the network at once.  [default: what there is memory for]"),
]
Dtype = Annotated[
    str, typer.Option(help="float32, float16, bfloat16, or auto: float16 on CUDA, float32 elsewhere.")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="Compile the network: minutes at first, then shorter steps.")
]
Offload = Annotated[
    bool, typer.Option("--offload", help="Only the part of the network in use on the device: less memory.")
]
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


def _folder(text: str | Path) -> Path:
    """A folder by its name, which ``--out "$folder"`` of a variable that is not set has not."""
    if text == "":
        raise typer.BadParameter("an empty name; name a folder, . for this one")
    return Path(text)


Out = Annotated[
    Path,
    typer.Option(help="One folder per photo is made below this one.", parser=_folder, metavar="<path>"),
]
Force = Annotated[
    bool, typer.Option("--force", help="Start anew where a folder is another run's; only its files go.")
]
ParallelViews = Annotated[
    int | None,
    typer.Option(help="Views of a turn made at once, where they can be.  [default: 2 if paired, else 1]"),
]
ParallelObjects = Annotated[
    int, typer.Option(help="Photos made at once, or seeds or poses of one; faster, and needs more memory.")
]
Protocol = Annotated[
    str, typer.Option(help="A name (see `viewfusion protocols`) or a YAML file: what the numbers mean.")
]
Layout = Annotated[str, typer.Option(help="Of --data, if it is not told apart by itself.")]
InputViews = Annotated[
    Path | None,
    typer.Option("--inputs", help="JSON {object: index of its input}.  [default: inputs.json of the data]"),
]
Without = Annotated[str, typer.Option(metavar="METRIC,...", help="Metrics to leave out.")]
ClipWeights = Annotated[Path | None, typer.Option("--clip", help="Weights of CLIP ViT-B/32.")]
RaftWeights = Annotated[
    Path | None, typer.Option("--raft", help="Weights of torchvision's RAFT, for protocols that want it.")
]
Devices = Annotated[
    str,
    typer.Option(
        help="Processes on each machine; auto: all GPUs, or on a CPU as many as cores and memory allow."
    ),
]
Nodes = Annotated[int, typer.Option("--num-nodes", help="Machines, where torchrun or SLURM starts them.")]
Strategy = Annotated[str, typer.Option(help="Lightning's.")]
RunOut = Annotated[
    Path,
    typer.Option(
        "--out",
        help="The folder of the run; the same command goes on in it.",
        parser=_folder,
        metavar="<path>",
    ),
]
MeshUp = Annotated[str, typer.Option(help="Which axis points up in meshes: y, z, or auto.")]
MeshPreset = Annotated[
    str | None,
    typer.Option(
        help="Of the mesh: cpu, balanced, paper, or a YAML file.  [default: cpu, with a GPU balanced]"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Start meshes that take over an hour without asking.")]
