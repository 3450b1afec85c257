"""``generate-360``: each photo to a folder with its turn, or with one for each of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from viewfusion.config import changed
from viewfusion.errors import ViewFusionError

from .batch import BatchError, Failures
from .orders import Order
from .photos import output_folders
from .progress import say
from .reconstruct import Cameras, Meshes
from .reconstruct import Options as Meshing
from .session import Options, Photo, Session, each_photo
from .wanted import Wanted

MOST_SAMPLES = 1000
SHEET = "samples.png"


def generate_360(
    photos: list[Path],
    options: Options,
    wanted: Wanted,
    num_samples: int | None,
    meshing: Meshing | None = None,
) -> None:
    """Make every photo's folder below ``options.out``.

    Args:
        num_samples: None for one turn in the folder itself; else as many, with the seeds from the
            configuration's onwards, each in a folder of its own, and a picture of all.
        meshing: make the mesh of every turn as well, once all turns are there.

    Raises:
        ViewFusionError: bad options or checkpoint (nothing was started), or at the end some photo failed.
    """
    if num_samples is not None and not 1 <= num_samples <= MOST_SAMPLES:
        raise ViewFusionError(f"--num-samples must be 1 to {MOST_SAMPLES}, got {num_samples}")
    seeds = range(wanted.config.seed, wanted.config.seed + (num_samples or 1))
    for seed in seeds:
        _seeded(wanted, seed)  # refused before anything is started
    meshes = Meshes(Console(stderr=True, highlight=False), meshing) if meshing else None
    failed = None
    try:
        if num_samples is None:
            each_photo(photos, options, partial(_turn, wanted))
        else:
            each_photo(photos, options, partial(_samples, wanted, seeds), partial(_sheet, wanted, seeds))
    except BatchError as error:
        failed = error
    if meshes and not options.dry_run:
        folders = output_folders(photos, options.out).values()
        runs = [
            run for folder in folders for run in (_runs(folder, seeds).values() if num_samples else [folder])
        ]
        _make_meshes(meshes, [run for run in runs if (run / "manifest.json").is_file()], options.out)
    if failed:
        raise failed


def _make_meshes(meshes: Meshes, runs: Sequence[Path], out: Path) -> None:
    """The mesh of each run, in its folder; one that fails leaves the views as they are."""
    failures = Failures("meshes", len(runs), partial(say, meshes.console))
    for run in runs:
        with failures.counted():
            try:
                meshes.make(run, Cameras().read(run), run / "mesh")
            except ViewFusionError as error:
                raise ViewFusionError(f"no mesh, but all views in {run}: {error}") from error
    failures.tell(out)


def _turn(wanted: Wanted, session: Session, photo: Photo, folder: Path) -> list[Order]:
    return [_order(photo, session.settled(photo, wanted, folder), folder)]


def _order(photo: Photo, wanted: Wanted, folder: Path, name: str = "") -> Order:
    from viewfusion.outputs import Turn

    told = f"{len(wanted.trajectory.views)} views in {folder}"
    return Order(photo, wanted, folder, Turn(), told, name)


def _seeded(wanted: Wanted, seed: int) -> Wanted:
    return replace(wanted, config=changed(wanted.config, seed=seed))


def _runs(folder: Path, seeds: range) -> dict[int, Path]:
    return {seed: folder / f"seed-{seed:04d}" for seed in seeds}


def _samples(wanted: Wanted, seeds: range, session: Session, photo: Photo, folder: Path) -> list[Order]:
    sheet = folder / SHEET
    if sheet.exists() and not any(folder.glob("seed-*")):
        raise ViewFusionError(f"{sheet} is there already and no run's; choose another --out or remove it")
    return [
        # Settled before the seed is set: what was wanted at another elevation is made from the options anew.
        _order(photo, _seeded(session.settled(photo, wanted, run), seed), run, f"{photo.name}, seed {seed}")
        for seed, run in _runs(folder, seeds).items()
    ]


def _sheet(wanted: Wanted, seeds: range, session: Session, photo: Photo, folder: Path) -> None:
    from viewfusion.outputs import write_samples

    runs = _runs(folder, seeds)
    poses = session.settled(photo, wanted, runs[seeds[0]]).trajectory.views
    write_samples(folder / SHEET, runs, poses, photo.title)
    session.say(f"{len(runs)} seeds in {folder / SHEET}")
