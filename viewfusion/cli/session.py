"""A loaded model at work: photos and what is wanted of them go in, finished run folders come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console
from rich.markup import escape

import viewfusion
from viewfusion.errors import printable
from viewfusion.preprocessing import Preparation, PreparedImage, prepare_steps

from . import elevations
from .batch import Failures
from .imports import collector_at_rest
from .photos import output_folders
from .preparing import draw_preview, preparation_json, result_json
from .preprocess import preprocess
from .progress import SpinProgress, say
from .wanted import Wanted

if TYPE_CHECKING:
    from PIL import Image

    from viewfusion.conditioning import ReferenceMemory
    from viewfusion.config import Config
    from viewfusion.geometry import Family
    from viewfusion.outputs import Products, RunFolder
    from viewfusion.preprocessing.elevation import ElevationEstimate
    from viewfusion.views import ViewSet


@dataclass(frozen=True)
class Options:
    """What every command that runs the model is told.

    Args:
        checkpoint: a name or a path.
        model_config: the YAML of an original checkpoint.
        family: of the checkpoint, where nothing else tells.
        device: "auto", or one of torch's.
        out: where the folder of each photo is made.
        how: what is done to a photo before the model sees it.
        force: start anew where a folder is another run's.
        dry_run: prepare the photos only, as ``preprocess`` does.
    """

    checkpoint: str
    model_config: Path | None
    family: str | None
    device: str
    out: Path
    how: Preparation
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Photo:
    """A photo as the model sees it, and what was worked out about it so far.

    Args:
        name: of its file.
        preview: for people, see :func:`viewfusion.outputs.preview`.
        options: how it was prepared, for the manifest.
        estimates: of its elevation, see :func:`.elevations.settled`.
    """

    name: str
    prepared: PreparedImage
    preview: Image.Image
    options: dict[str, Any]
    memory: ReferenceMemory
    estimates: dict[str, ElevationEstimate] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return Path(self.name).stem

    def source(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "file": self.name,
            "sha256": hashlib.sha256(self.prepared.rgba.tobytes()).hexdigest(),
            **result_json(self.prepared),
            "options": self.options,
        }


class Session:
    """One model for any number of photos and runs.

    Raises:
        ViewFusionError: no such checkpoint or device, or a checkpoint that cannot be used.
    """

    def __init__(self, options: Options, console: Console) -> None:
        self.console, self.force, self._how = console, options.force, options.how
        self._how_json = preparation_json(options.how)
        with console.status("loading the model"), collector_at_rest():
            from viewfusion.pipeline import ViewFusionPipeline
            from viewfusion.zero123 import checkpoint_hash, find_checkpoint

            path = find_checkpoint(options.checkpoint)
            self.checkpoint = {"name": path.name, "sha256": checkpoint_hash(path)}
            # By the name: the catalogue knows more of it than of a path.
            self.pipeline = ViewFusionPipeline.from_checkpoint(
                options.checkpoint,
                options.model_config,
                options.device,
                cast("Family | None", options.family),
            )

    def read(self, path: Path) -> Photo:
        """Cut out and frame a photo; says what a person should know about it."""
        from viewfusion.conditioning import ReferenceMemory

        with self.console.status(f"cutting out {escape(printable(path.name))}"):
            steps = prepare_steps(path, self.pipeline.model.image_size, self._how)
            preview = draw_preview(path.name, steps)
        for warning in steps.prepared.warnings:
            self.say(f"warning: {path}: {warning}")
        memory = ReferenceMemory(self.pipeline.model)
        return Photo(path.name, steps.prepared, preview, self._how_json, memory)

    def settled(self, photo: Photo, wanted: Wanted, folder: Path) -> Wanted:
        """``wanted`` at the photo's elevation: that is estimated first, where it was left open."""
        of = {"photo": photo.source()["sha256"], **self._network()}
        return elevations.settled(
            wanted, of, folder, photo.estimates, lambda: self._estimated(photo, wanted.config)
        )

    def _estimated(self, photo: Photo, config: Config) -> ElevationEstimate:
        with self.console.status(f"estimating the elevation of {escape(printable(photo.name))}"):
            estimate = self.pipeline.estimate_elevation(photo.prepared, config, memory=photo.memory)
        if estimate.confident:
            self.say(f"{photo.name}: elevation {estimate.elevation_deg:g} degrees")
        else:
            self.say(f"warning: {photo.name}: {estimate.warning}")
        return estimate

    def run(self, photo: Photo, wanted: Wanted, folder: Path, products: Products, name: str = "") -> bool:
        """Make or continue one run folder; whether there was anything to do.

        Args:
            name: what progress calls it, if not the photo's name.
        """
        from viewfusion.outputs import RunFolder

        wanted = replace(wanted, config=self.pipeline.settled(wanted.config))
        fingerprint, shape = self._fingerprint(photo, wanted, products), self.pipeline.model.latent_shape
        with RunFolder.open(folder, fingerprint, shape, products, self.force) as run:
            if run.complete:
                self.say(f"{folder} is complete already; nothing to do")
                return False
            run.write_input(photo.prepared.rgba, photo.preview)
            if estimate := elevations.report(wanted):
                run.write_elevation(*estimate)
            views = self._views(run, photo, wanted, name or photo.name)
            with self.console.status("writing the other files"):
                run.finish(
                    views,
                    config=wanted.config.to_dict(),
                    checkpoint=self.checkpoint,
                    source={**photo.source(), **wanted.estimate_json()},
                    trajectory=wanted.trajectory_json(),
                    title=photo.title,
                )
        return True

    def _views(self, run: RunFolder, photo: Photo, wanted: Wanted, name: str) -> ViewSet:
        """All of them: finished ones of ``run`` and the others, made now, each of which it keeps at once."""
        from viewfusion.fusion import schedule
        from viewfusion.views import View, ViewSet

        finished, made = run.finished_latents(), dict[int, View]()
        targets = schedule(wanted.trajectory, wanted.config.rules())
        variant = wanted.config.fusion.variant
        with SpinProgress(self.console, name, targets, finished, variant) as progress:
            for view in self.pipeline.iter_views(
                photo.prepared,
                wanted.trajectory,
                wanted.config,
                finished=finished,
                memory=photo.memory,
                on_step=progress.on_step,
            ):
                run.add(view)
                made[view.index] = view
                progress.on_view(view)
        return ViewSet(tuple(made[index] for index in sorted(made)))

    def say(self, text: str) -> None:
        say(self.console, text)

    def _fingerprint(self, photo: Photo, wanted: Wanted, products: Products) -> dict[str, Any]:
        """All that decides a run's files: a folder made with another one is refused, the difference named."""
        return {
            "makes": products.kind,
            **wanted.config.to_dict(),
            "trajectory": wanted.trajectory_hash(),
            **self._network(),
            # The pixels tell everything, and nothing to people: another segmenter may be why they differ.
            "cutout": photo.prepared.method,
            "input": photo.source()["sha256"],
        }

    def _network(self) -> dict[str, Any]:
        """All of the machinery that decides a picture."""
        model = self.pipeline.model
        return {
            "checkpoint": self.checkpoint["sha256"],
            # An original checkpoint's shapes, family and schedule are a YAML file's, not its own.
            "model": hashlib.sha256(json.dumps(model.config, sort_keys=True).encode()).hexdigest(),
            "device": model.device.type,  # devices round differently; one run stays on one
            "viewfusion": viewfusion.__version__,
        }


def each_photo(photos: list[Path], options: Options, make: Callable[[Session, Photo, Path], None]) -> None:
    """Load the model and call ``make(session, photo, its folder)`` for each photo.

    A photo that fails is named, and the rest still made. On a dry run the photos are prepared and shown only.

    Raises:
        ViewFusionError: nothing could be started, or at the end some photo failed.
    """
    if options.dry_run:
        preprocess(photos, options.out, options.how, _image_size(options), options.force)
        return
    folders = output_folders(photos, options.out)
    session = Session(options, Console(stderr=True, highlight=False))
    failures = Failures("photos", len(folders), session.say)
    for path, folder in folders.items():
        with failures.counted():
            make(session, session.read(path), folder)
    failures.tell(options.out)


def _image_size(options: Options) -> int:
    """Of what the checkpoint sees; its weights are not read."""
    from viewfusion.zero123 import open_checkpoint

    family = cast("Family | None", options.family)
    size: int = open_checkpoint(options.checkpoint, options.model_config, family=family).config["image_size"]
    return size
