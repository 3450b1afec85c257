"""``generate-360``: each photo to a folder with its turn, or with one for each of several seeds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from viewfusion.config import changed
from viewfusion.errors import ViewFusionError

from .orders import Order
from .session import Options, Photo, Session, each_photo
from .wanted import Wanted

MOST_SAMPLES = 1000
SHEET = "samples.png"


def generate_360(photos: list[Path], options: Options, wanted: Wanted, num_samples: int | None) -> None:
    """Make every photo's folder below ``options.out``.

    Args:
        num_samples: None for one turn in the folder itself; else as many, with the seeds from the
            configuration's onwards, each in a folder of its own, and a picture of all.

    Raises:
        ViewFusionError: bad options or checkpoint (nothing was started), or at the end some photo failed.
    """
    if num_samples is None:
        each_photo(photos, options, partial(_turn, wanted))
        return
    if not 1 <= num_samples <= MOST_SAMPLES:
        raise ViewFusionError(f"--num-samples must be 1 to {MOST_SAMPLES}, got {num_samples}")
    seeds = range(wanted.config.seed, wanted.config.seed + num_samples)
    for seed in seeds:
        _seeded(wanted, seed)  # refused before anything is started
    each_photo(photos, options, partial(_samples, wanted, seeds), partial(_sheet, wanted, seeds))


def _turn(wanted: Wanted, session: Session, photo: Photo, folder: Path) -> list[Order]:
    return [_order(photo, session.settled(photo, wanted, folder), folder)]


def _order(photo: Photo, wanted: Wanted, folder: Path, name: str = "") -> Order:
    from viewfusion.outputs import Turn

    told = f"{len(wanted.trajectory.views)} views in {folder}"
    return Order(photo, wanted, folder, Turn(wanted.play_order), told, name)


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
