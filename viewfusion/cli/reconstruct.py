"""``reconstruct``: posed views of objects to a folder with a mesh each, or to what other tools read."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from viewfusion.errors import ViewFusionError, did_you_mean

from .batch import Failures
from .mesh_progress import MeshProgress
from .progress import say

if TYPE_CHECKING:
    import torch

    from viewfusion.reconstruction.settings import Settings

    from .posed_views import PosedViews

METHODS = ("neus", "none")
EXPORTS = ("nerfstudio", "colmap", "instant-ngp")
RUN = "cameras.json"
"""What tells the folder of a run."""


@dataclass(frozen=True)
class Cameras:
    """What is said about the views, where their files do not say it or are not to decide.

    Args:
        layout: a key of ``datasets.reading.READERS``, or "auto".
        fov_deg: horizontal field of view.
        elevation_deg: of numbered pictures without cameras; ``distance`` too.
        side: larger pictures are reduced to so many pixels on the longer side.
    """

    layout: str = "auto"
    fov_deg: float | None = None
    elevation_deg: float | None = None
    distance: float | None = None
    side: int | None = None

    def read(self, path: Path) -> PosedViews:
        from .posed_views import read_posed_views

        return read_posed_views(
            path,
            layout=self.layout,
            fov_deg=self.fov_deg,
            elevation_deg=self.elevation_deg,
            distance=self.distance,
            side=self.side,
        )


@dataclass(frozen=True)
class Options:
    """What the command is told; None where nothing was said.

    Args:
        method: one of :data:`METHODS`.
        preset: a name or a YAML file.
        settings: ``key=value`` each.
        device: "auto", or one of torch's.
        out: the folder to make, or in which one is made for each of several objects.
        export: one of :data:`EXPORTS`, for the method none.
        force: start anew where a folder is another mesh's.
        yes: do not ask before training that takes long.
    """

    method: str = "neus"
    preset: str | None = None
    settings: tuple[str, ...] = ()
    device: str = "auto"
    out: Path | None = None
    export: str | None = None
    force: bool = False
    yes: bool = False

    def __post_init__(self) -> None:
        for option, value, known in (("method", self.method, METHODS), ("export", self.export, EXPORTS)):
            if value is not None and value not in known:
                raise ViewFusionError(
                    f"--{option} must be one of {', '.join(known)}, got {value[:80]!r}"
                    + did_you_mean(value, known)
                )
        if self.method == "none" and self.export is None:
            raise ViewFusionError(
                f"--method none makes no mesh; say what with --export: {', '.join(EXPORTS)}"
            )
        if self.method != "none" and self.export is not None:
            raise ViewFusionError(f"--export {self.export} goes with --method none; give both or neither")


def reconstruct(inputs: Sequence[Path], cameras: Cameras, options: Options) -> None:
    """Make what is asked for of every input; one that fails is named, and the rest still made.

    Raises:
        ViewFusionError: bad options (nothing was started), or at the end some input failed.
    """
    console = Console(stderr=True, highlight=False)
    folders = mesh_folders(inputs, options.out, options.export)
    failures = Failures("inputs", len(folders), partial(say, console))
    work = Meshes(console, options) if options.export is None else None
    for path, folder in folders.items():
        with failures.counted(), _named(path):
            with console.status("reading the views"):
                views = cameras.read(path)
            for note in views.notes:
                say(console, f"{path}: {note}")
            if work is not None:
                work.make(path, views, folder)
            else:
                _export(console, path, views, folder, str(options.export))
    failures.tell(options.out or Path("out"))


class Meshes:
    """Makes meshes, all with the same settings on one device.

    Raises:
        ViewFusionError: no such preset, setting or device, or packages are missing.
    """

    def __init__(self, console: Console, options: Options) -> None:
        from viewfusion.reconstruction.settings import load_settings

        self.console, self._options = console, options
        _require_packages()
        with console.status("starting"):
            self._device = _usable_device(options.device)
            preset = options.preset or ("balanced" if self._device.type == "cuda" else "cpu")
            self._settings: Settings = load_settings(preset, options.settings)

    def make(self, path: Path, views: PosedViews, folder: Path) -> None:
        """The mesh of some views, in ``folder``."""
        from viewfusion.reconstruction.reconstruct import reconstruct
        from viewfusion.reconstruction.records import noted

        name = path.resolve().name
        with _enough_memory(), noted() as warnings:
            scene = views.scene(self._settings.scene)
        source = {"name": name, "notes": [*views.notes, *warnings]}
        with (
            _enough_memory(),
            MeshProgress(self.console, name, self._options.yes, self._remedy()) as progress,
        ):
            made = reconstruct(
                scene, self._settings, folder, progress,
                device=self._device, source=source, title=name, force=self._options.force,
            )  # fmt: skip
        if not made.made:
            say(self.console, f"{folder} is complete already; nothing to do")
        else:
            say(self.console, f"{told(made.record)} in {folder}")

    def _remedy(self) -> str:
        """What takes less time."""
        if self._device.type == "cuda":
            return "choose --preset balanced"
        return "choose --preset cpu, or a machine with a GPU"


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Around work that may want more than there is, on any device."""
    from viewfusion.zero123.memory import is_out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ViewFusionError(
            "there is not enough memory for such a mesh; choose --preset cpu, smaller views (--size 256) or "
            "a lower resolution=, or close other programs"
        ) from error


def told(record: dict[str, Any]) -> str:
    """A finished mesh in words: "mesh of 20,000 faces, watertight, 27.1 dB on held-out views"."""
    mesh, held_out = record["mesh"], record["psnr"]["mesh"]["held_out"]
    closed = "watertight" if mesh["watertight"] else "not watertight"
    quality = f", {held_out['psnr']:.1f} dB on held-out views" if held_out else ""
    return f"mesh of {mesh['faces']:,} faces, {closed}{quality}"


def mesh_folders(inputs: Iterable[Path], out: Path | None, export: str | None = None) -> dict[Path, Path]:
    """Input -> the folder that is made of it.

    A single input's is ``out`` itself, several have one each below it. Where nothing is said, it is ``mesh``
    in the folder of a run, and out/NAME-mesh of anything else, whose folder is not ours to write to; exports
    go to ``exports`` in the folder of a run, as those of the command ``export`` do, or to out/NAME-FORMAT.

    Raises:
        ViewFusionError: two inputs would have one folder, or that of a run leads elsewhere.
    """
    inputs = list(inputs)
    taken: dict[Path, Path] = {}
    for path in inputs:
        name = path.resolve().stem if path.is_file() else path.resolve().name
        if path.name == "transforms.json":
            name = path.resolve().parent.name
        if out is not None:
            folder = out if len(inputs) == 1 else out / name
        elif (path / RUN).is_file():
            below = path / ("exports" if export else "mesh")
            if below.is_symlink():  # of a folder that came from anywhere it might lead anywhere
                raise ViewFusionError(f"{below} is a link; say with --out where to write")
            folder = below / export if export else below
        else:
            folder = Path("out") / f"{name}-{export or 'mesh'}"
        if folder in taken:
            raise ViewFusionError(
                f"{taken[folder]} and {path} would both be written to {folder}; run them with two --out"
            )
        taken[folder] = path
    return {path: folder for folder, path in taken.items()}


def split_inputs(arguments: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Inputs, each once and in order, and ``key=value`` settings; what exists with a "=" in it is an input.

    Raises:
        ViewFusionError: no input, or a pattern that fits nothing.
    """
    inputs: list[Path] = []
    settings: list[str] = []
    for text in arguments:
        path = Path(text)
        if _exists(path):
            inputs.append(path)
        elif glob.has_magic(text) and (found := sorted(glob.glob(text))):  # noqa: PTH207
            inputs += [Path(each) for each in found]
        elif "=" in text:
            settings.append(text)
        else:
            raise ViewFusionError(
                f"{text}: no such folder; give the folder of a run, such as out/chair, or of posed views"
            )
    if not inputs:
        raise ViewFusionError(
            "no views given; name the folder of a run, such as out/chair, or of posed views"
        )
    return list(dict.fromkeys(inputs)), settings


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a null byte
        return False


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the block say which input they are about."""
    try:
        yield
    except ViewFusionError as error:
        if str(path) in str(error):
            raise
        raise ViewFusionError(f"{path}: {error}") from error


def _export(console: Console, path: Path, views: PosedViews, folder: Path, to: str) -> None:
    from viewfusion.outputs import export

    with console.status(f"writing {len(views.views)} views"):
        export(views.views, to, folder, alphas=views.complete_alphas())
    say(console, f"{len(views.views)} views as {to} in {folder}")


def _require_packages() -> None:
    from viewfusion.reconstruction.reconstruct import require_packages

    require_packages()


def _usable_device(name: str) -> torch.device:
    import torch

    from viewfusion.zero123.devices import usable_device

    return usable_device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
