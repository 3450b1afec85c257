"""``generate-360``: photos to folders, each made as far as it can be, progress shown on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

import viewfusion
from viewfusion.config import Config, load_config
from viewfusion.errors import ViewFusionError

from .progress import SpinProgress

if TYPE_CHECKING:
    from viewfusion.geometry import Family
    from viewfusion.pipeline import ViewFusionPipeline


def generate(
    photos: list[Path],
    checkpoint: str,
    model_config: Path | None,
    family: str | None,
    preset: str,
    overrides: list[str],
    device: str,
    out: Path,
) -> None:
    """Make every photo's folder below ``out``; a photo that fails is named and the rest still made.

    Raises:
        ViewFusionError: bad options or checkpoint (nothing was started), or at the end some photo failed.
    """
    console = Console(stderr=True, highlight=False)
    settings = load_config(preset, overrides)
    folders = _folders(photos, out)
    with console.status("loading the model"):
        from viewfusion.pipeline import ViewFusionPipeline
        from viewfusion.zero123 import checkpoint_hash, find_checkpoint

        source = find_checkpoint(checkpoint)
        identity = {"name": source.name, "sha256": checkpoint_hash(source)}
        pipeline = ViewFusionPipeline.from_checkpoint(
            checkpoint, model_config, device, cast("Family | None", family)
        )
    failures: list[str] = []
    for photo, folder in zip(photos, folders, strict=True):
        try:
            _spin(pipeline, photo, folder, settings, identity, console)
        except ViewFusionError as error:
            failures.append(str(error))
            if len(photos) > 1:
                console.print(f"error: {error}", markup=False, soft_wrap=True)
    if len(photos) == 1 and failures:
        raise ViewFusionError(failures[0])
    if failures:
        raise ViewFusionError(f"{len(failures)} of {len(photos)} photos failed; the others are in {out}")


def _folders(photos: list[Path], out: Path) -> list[Path]:
    """One folder per photo, named after it."""
    folders: dict[Path, Path] = {}
    for photo in photos:
        folder = out / photo.stem
        if folder in folders:
            raise ViewFusionError(
                f"{folders[folder]} and {photo} would both be written to {folder}; run them with two --out"
            )
        folders[folder] = photo
    return list(folders)


def _spin(
    pipeline: ViewFusionPipeline,
    photo: Path,
    folder: Path,
    config: Config,
    checkpoint: dict[str, str],
    console: Console,
) -> None:
    from viewfusion.fusion import schedule
    from viewfusion.outputs import RunFolder
    from viewfusion.views import View, ViewSet

    prepared = pipeline.prepare(photo)
    for warning in prepared.warnings:
        console.print(f"warning: {photo}: {warning}", markup=False, soft_wrap=True)
    source: dict[str, Any] = {
        "file": photo.name,
        "sha256": hashlib.sha256(prepared.rgba.tobytes()).hexdigest(),
        "method": prepared.method,
        "warnings": list(prepared.warnings),
    }
    fingerprint = {
        **config.to_dict(),
        "checkpoint": checkpoint["sha256"],
        "family": pipeline.model.family,
        "input": source["sha256"],
        "device": pipeline.model.device.type,  # devices round differently; one run stays on one
        "viewfusion": viewfusion.__version__,
    }
    with RunFolder.open(folder, fingerprint, pipeline.model.latent_shape) as run:
        if run.complete:
            console.print(f"{folder} is complete already; nothing to do", markup=False, soft_wrap=True)
            return
        run.write_input(prepared.rgba)
        finished = run.finished_latents()
        trajectory = config.trajectory()
        made: dict[int, View] = {}
        with SpinProgress(console, photo.name, schedule(trajectory, config.rules()), finished) as progress:
            for view in pipeline.iter_views(
                prepared, trajectory, config, finished=finished, on_step=progress.on_step
            ):
                run.add(view)
                made[view.index] = view
                progress.on_view(view)
        views = ViewSet(tuple(made[index] for index in sorted(made)))
        with console.status("writing GIF, MP4 and contact sheet"):
            run.finish(views, config=config.to_dict(), checkpoint=checkpoint, source=source, title=photo.stem)
    console.print(f"{len(views)} views in {folder}", markup=False, soft_wrap=True)
