"""Measuring: a study and its objects go in, a folder of small files comes out, object by object.

``FOLDER/study.json`` says what was measured; ``FOLDER/KIND/OBJECT/SYSTEM.json`` holds the scores of a turn,
``SYSTEM.png`` its views side by side. Each appears by a rename, the scores last: what is there is whole and
never made again.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from viewfusion import Config, ViewFusionError, ViewFusionPipeline
from viewfusion.config import changed
from viewfusion.evaluation.metrics import unit_images
from viewfusion.outputs.files import remove_partial, write_json, write_png
from viewfusion.preprocessing import PreparedImage, over_white
from viewfusion.views import ViewSet

from .folder import same_study
from .scores import Judge, Networks
from .studies import MAKE_NOTHING
from .subjects import Subject, seed_of


@dataclass(frozen=True)
class Bench:
    """A study under way; travels to other processes, where model and metrics are loaded on first use.

    Args:
        folder: of this study.
        checkpoint: a path.
        systems: by name.
        beside, with_ssim: see :class:`.studies.Study`.
    """

    folder: Path
    checkpoint: str
    systems: dict[str, Config]
    beside: tuple[str, ...] = ("truth",)
    with_ssim: bool = False

    @property
    def names(self) -> list[str]:
        """Of all that is scored."""
        return [*self.beside, *self.systems]

    @cached_property
    def pipeline(self) -> ViewFusionPipeline:
        return ViewFusionPipeline.from_checkpoint(self.checkpoint)

    @cached_property
    def networks(self) -> Networks:
        return Networks.load()

    def missing(self, subject: Subject) -> list[str]:
        """The systems that an object has no scores of."""
        place = self.place(subject)
        return [name for name in self.names if not (place / f"{name}.json").exists()]

    def place(self, subject: Subject) -> Path:
        return self.folder / subject.kind / subject.folder

    @torch.inference_mode()
    def measure(self, subject: Subject) -> str:
        """Make what is missing of one object; a line about it.

        Raises:
            ViewFusionError: no turn can be made or judged at all.
        """
        started, place, size = time.perf_counter(), self.place(subject), self.pipeline.model.image_size
        config = next(iter(self.systems.values()))
        try:
            rgba = subject.pictures(config.trajectory().views, size)
        except ViewFusionError as error:
            return f"skipped {subject.name}: {error}"
        place.mkdir(parents=True, exist_ok=True)
        remove_partial(place)
        judge, seconds = Judge(self.networks, unit_images(over_white(rgba))), {}
        for name in self.missing(subject):
            pixels, cost = self._turn(name, rgba, seed_of(subject))
            about = {"name": subject.name, "kind": subject.kind, "credit": subject.credit, "system": name}
            write_png(place / f"{name}.png", np.concatenate(list(pixels), axis=1))
            scores = judge.scores(unit_images(pixels), self.with_ssim)
            write_json(place / f"{name}.json", {**about, **cost, "scores": scores})
            seconds[name] = cost["seconds"]
        told = ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items() if taken)
        return f"{subject.kind} {subject.name}: {time.perf_counter() - started:.1f} s ({told})"

    def _turn(self, name: str, rgba: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """(V, S, S, 3) uint8 of one system, and what it cost."""
        truth = over_white(rgba)
        if name in MAKE_NOTHING:
            return nothing_made(name, truth), {"network_evaluations": 0, "seconds": 0}
        started, config = time.perf_counter(), changed(self.systems[name], seed=seed)
        made: ViewSet = self.pipeline(PreparedImage(rgba[0], "rendered"), config.trajectory(), config)
        rows = sum(view.record.network_evaluations for view in made if view.record)
        seconds = round(time.perf_counter() - started, 3)
        return np.stack([view.rgb for view in made]), {"network_evaluations": rows, "seconds": seconds}


def nothing_made(name: str, truth: np.ndarray) -> np.ndarray:
    """(V, S, S, 3) uint8 of the systems that have no network, from the true ones."""
    if name == "truth":
        return truth
    if name == "repeated":
        return np.repeat(truth[:1], len(truth), axis=0)
    colour = np.rint(truth[0].mean(axis=(0, 1))).astype(np.uint8)
    return np.broadcast_to(colour, truth.shape)


def begin(bench: Bench, about: dict[str, Any]) -> None:
    """Write ``study.json``, ``about`` and the systems, or see that the folder is of the same study.

    Raises:
        ViewFusionError: it is of another one.
    """
    systems = {name: config.to_dict() for name, config in bench.systems.items()}
    same_study(bench.folder, {**about, "names": bench.names, "systems": systems})


class Measures(Protocol):
    """What can be done object by object, in any process."""

    def measure(self, subject: Subject) -> str:
        """Do one; a line about it."""


def measured(bench: Measures, subjects: Sequence[Subject], workers: int) -> Iterator[str]:
    """A line for each of ``subjects``, as they are done by ``workers`` processes of one thread each."""
    if min(workers, len(subjects)) <= 1:
        yield from map(bench.measure, subjects)
        return
    # Not forked: torch's threads do not survive that.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(workers, len(subjects)), _start, (bench,)) as pool:
        yield from pool.imap_unordered(_measure, subjects)


def _start(bench: Measures) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asked ends the pool
    torch.set_num_threads(1)
    _bench = bench


def _measure(subject: Subject) -> str:
    return _bench.measure(subject)
