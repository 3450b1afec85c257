"""Measuring: segmenters, objects and photographs go in, a folder of small files comes out, case by case.

``STATE/study.json`` says what is measured; ``STATE/case-042/`` holds ``photo.jpg``, ``truth.png`` and
``case.json``, and for each segmenter ``NAME.png``, its alpha, and ``NAME.json``, its scores. Each appears by
a rename, the JSON last: what is there is whole and never made again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from evidence.folder import same_study
from evidence.subjects import Subject
from PIL import Image

from viewfusion import ViewFusionError
from viewfusion.outputs.files import remove_partial, write_bytes, write_json, write_png
from viewfusion.preprocessing import read_image
from viewfusion.preprocessing.segmenters import Segmentation, segment

from .composites import composite
from .photographs import Photograph
from .scores import scores

Ask = Callable[[str, np.ndarray], Segmentation]
"""A segmenter's name and (H, W, 4) uint8 to what it finds; raises ViewFusionError where it finds nothing."""


def ask_registry(name: str, rgba: np.ndarray) -> Segmentation:
    """The segmenter that ``--segmenter`` knows by this name."""
    return segment(rgba, segmenter=name)


@dataclass(frozen=True)
class Bench:
    """Cases under way.

    Args:
        state: the folder.
        names: of the segmenters.
        subjects: the object of each case.
        photos: all grounds to draw from.
        ask: runs a segmenter.
    """

    state: Path
    names: Sequence[str]
    subjects: Sequence[Subject]
    photos: Sequence[Photograph]
    ask: Ask = ask_registry

    def begin(self) -> None:
        """Write ``study.json``, or see that the folder's cases are made of the same photographs.

        Raises:
            ViewFusionError: they are not.
        """
        same_study(self.state, {"photographs": [photo.name for photo in self.photos]})

    def place(self, number: int) -> Path:
        return self.state / f"case-{number:03d}"

    def missing(self, number: int) -> list[str]:
        """The segmenters that have not seen a case."""
        return [name for name in self.names if not (self.place(number) / f"{name}.json").exists()]

    def warm_up(self) -> None:
        """Let every segmenter load what it loads once, so that no case is charged with it."""
        grey = np.full((64, 64, 4), 255, np.uint8)
        grey[16:48, 16:48, :3] = 40
        for name in self.names:
            try:
                self.ask(name, grey)
            except ViewFusionError as error:
                print(f"{name}, of a dark square: {error}", flush=True)

    def measure(self, number: int) -> str:
        """Make what is missing of a case; a line about it.

        Raises:
            ViewFusionError: its object cannot be rendered.
        """
        place = self.place(number)
        place.mkdir(parents=True, exist_ok=True)
        remove_partial(place)
        if not (place / "case.json").exists():
            self._make(number, place)
        rgba = read_image(place / "photo.jpg")
        with Image.open(place / "truth.png") as file:
            truth = np.asarray(file)
        told = []
        for name in self.missing(number):
            started = time.perf_counter()
            try:
                found = self.ask(name, rgba)
            except ViewFusionError as error:
                write_json(place / f"{name}.json", {"refused": str(error)})
                told.append(f"{name} refuses")
                continue
            seconds = time.perf_counter() - started
            write_png(place / f"{name}.png", Image.fromarray(found.alpha))
            result = {
                "method": found.method,
                "confidence": found.confidence,
                "remarks": list(found.remarks),
                "seconds": seconds,
                "scores": scores(found.alpha, truth),
            }
            write_json(place / f"{name}.json", result)
            told.append(f"{name} {result['scores']['overlap']:.3f}")
        return f"case {number}: {', '.join(told)}"

    def _make(self, number: int, place: Path) -> None:
        subject = self.subjects[number]
        made = composite(number, subject, self.photos)
        write_bytes(place / "photo.jpg", made.jpeg)
        write_png(place / "truth.png", Image.fromarray(made.truth))
        about = {"object": subject.credit, "kind": subject.kind, "ground": made.ground, "photo": made.credit}
        write_json(place / "case.json", about)
