"""A loaded model at work: photos and what is wanted of them go in, finished run folders come out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

import viewfusion
from viewfusion.errors import ViewFusionError, printable

from .photos import output_folders
from .progress import SpinProgress
from .wanted import Wanted

if TYPE_CHECKING:
    from viewfusion.conditioning import ReferenceMemory
    from viewfusion.geometry import Family
    from viewfusion.outputs import Products
    from viewfusion.preprocessing import PreparedImage


@dataclass(frozen=True)
class Options:
    """What every command that runs the model is told.

    Args:
        checkpoint: a name or a path.
        model_config: the YAML of an original checkpoint.
        family: of the checkpoint, where nothing else tells.
        device: "auto", or one of torch's.
        out: where the folder of each photo is made.
        force: start anew where a folder is another run's.
    """

    checkpoint: str
    model_config: Path | None
    family: str | None
    device: str
    out: Path
    force: bool = False


@dataclass(frozen=True)
class Photo:
    """A photo as the model sees it, and what was worked out about it so far."""

    name: str
    prepared: PreparedImage
    memory: ReferenceMemory

    @property
    def title(self) -> str:
        return Path(self.name).stem

    def source(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "file": self.name,
            "sha256": hashlib.sha256(self.prepared.rgba.tobytes()).hexdigest(),
            "method": self.prepared.method,
            "warnings": list(self.prepared.warnings),
        }


class Session:
    """One model for any number of photos and runs.

    Raises:
        ViewFusionError: no such checkpoint or device, or a checkpoint that cannot be used.
    """

    def __init__(self, options: Options, console: Console) -> None:
        self.console, self.force = console, options.force
        with console.status("loading the model"):
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

        prepared = self.pipeline.prepare(path)
        for warning in prepared.warnings:
            self.say(f"warning: {path}: {warning}")
        return Photo(path.name, prepared, ReferenceMemory(self.pipeline.model))

    def run(self, photo: Photo, wanted: Wanted, folder: Path, products: Products, name: str = "") -> bool:
        """Make or continue one run folder; whether there was anything to do.

        Args:
            name: what progress calls it, if not the photo's name.
        """
        from viewfusion.fusion import schedule
        from viewfusion.outputs import RunFolder
        from viewfusion.views import View, ViewSet

        wanted = replace(wanted, config=self.pipeline.settled(wanted.config))
        fingerprint, shape = self._fingerprint(photo, wanted, products), self.pipeline.model.latent_shape
        with RunFolder.open(folder, fingerprint, shape, products, self.force) as run:
            if run.complete:
                self.say(f"{folder} is complete already; nothing to do")
                return False
            run.write_input(photo.prepared.rgba)
            finished, made = run.finished_latents(), dict[int, View]()
            targets = schedule(wanted.trajectory, wanted.config.rules())
            with SpinProgress(self.console, name or photo.name, targets, finished) as progress:
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
            with self.console.status("writing the other files"):
                run.finish(
                    ViewSet(tuple(made[index] for index in sorted(made))),
                    config=wanted.config.to_dict(),
                    checkpoint=self.checkpoint,
                    source=photo.source(),
                    trajectory=wanted.trajectory_json(),
                    title=photo.title,
                )
        return True

    def say(self, text: str) -> None:
        self.console.print(printable(text), markup=False, soft_wrap=True)

    def _fingerprint(self, photo: Photo, wanted: Wanted, products: Products) -> dict[str, Any]:
        """All that decides a run's files: a folder made with another one is refused, the difference named."""
        model = self.pipeline.model
        return {
            "makes": products.kind,
            **wanted.config.to_dict(),
            "trajectory": wanted.trajectory_hash(),
            "checkpoint": self.checkpoint["sha256"],
            # An original checkpoint's shapes, family and schedule are a YAML file's, not its own.
            "model": hashlib.sha256(json.dumps(model.config, sort_keys=True).encode()).hexdigest(),
            "input": photo.source()["sha256"],
            "device": model.device.type,  # devices round differently; one run stays on one
            "viewfusion": viewfusion.__version__,
        }


def each_photo(photos: list[Path], options: Options, make: Callable[[Session, Photo, Path], None]) -> None:
    """Load the model and call ``make(session, photo, its folder)`` for each photo.

    A photo that fails is named, and the rest still made.

    Raises:
        ViewFusionError: nothing could be started, or at the end some photo failed.
    """
    folders = output_folders(photos, options.out)
    session = Session(options, Console(stderr=True, highlight=False))
    failures: list[str] = []
    for path, folder in folders.items():
        try:
            make(session, session.read(path), folder)
        except ViewFusionError as error:
            failures.append(str(error))
            if len(photos) > 1:
                session.say(f"error: {error}")
    if len(photos) == 1 and failures:
        raise ViewFusionError(failures[0])
    if failures:
        raise ViewFusionError(
            f"{len(failures)} of {len(photos)} photos failed; the others are in {options.out}"
        )
