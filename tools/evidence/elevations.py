"""Trials of the estimated elevation: objects go in, what was estimated of each comes out, object by object.

``STATE/KIND/OBJECT/SYSTEM.json`` holds an estimate and the truth. Systems are ``true-256`` and ``true-64``,
which are given true pictures of the nearby views and so show the estimator alone, and ``model``, which is
given what the checkpoint makes of the rendering, framed as a photo would be.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion import ViewFusionError, ViewFusionPipeline
from viewfusion.geometry import Pose
from viewfusion.outputs.files import remove_partial, write_json
from viewfusion.preprocessing import over_white
from viewfusion.preprocessing.elevation import ElevationEstimate, estimate_elevation

from .subjects import Subject

RADIUS = 1.5
RANGE_DEG = (-10.0, 70.0)
"""Elevations are drawn evenly from here."""

TRUE_SIZES = {"true-256": 256, "true-64": 64}
"""Systems that are given true pictures, and of how many pixels."""


@dataclass(frozen=True)
class Trials:
    """A measurement under way; travels to other processes, where the model is loaded on first use.

    Args:
        folder: where results lie.
        checkpoint: a path.
    """

    folder: Path
    checkpoint: str

    names = (*TRUE_SIZES, "model")

    @cached_property
    def pipeline(self) -> ViewFusionPipeline:
        return ViewFusionPipeline.from_checkpoint(self.checkpoint)

    def place(self, subject: Subject) -> Path:
        return self.folder / subject.kind / subject.folder

    def missing(self, subject: Subject) -> list[str]:
        """The systems that an object has no estimate of."""
        return [name for name in self.names if not (self.place(subject) / f"{name}.json").exists()]

    def measure(self, subject: Subject) -> str:
        """Make what is missing of one object; a line about it."""
        started, truth, told = time.perf_counter(), elevation_of(subject), []
        try:
            found = {name: self._estimate(name, subject, truth) for name in self.missing(subject)}
        except ViewFusionError as error:
            return f"skipped {subject.name}: {error}"
        self.place(subject).mkdir(parents=True, exist_ok=True)
        remove_partial(self.place(subject))
        for name, estimate in found.items():
            about = {"name": subject.name, "kind": subject.kind, "credit": subject.credit, "system": name}
            content: dict[str, Any] = {**about, "truth_deg": truth, "estimate": estimate.to_dict()}
            write_json(self.place(subject) / f"{name}.json", content)
            told.append(f"{name} {estimate.measured_deg} ({estimate.confidence:.2f})")
        seconds = time.perf_counter() - started
        return f"{subject.kind} {subject.name} at {truth:.1f}: {', '.join(told)}; {seconds:.1f} s"

    def _estimate(self, name: str, subject: Subject, truth_deg: float) -> ElevationEstimate:
        if name == "model":
            photo = subject.pictures([Pose.from_degrees(0, truth_deg, RADIUS)], 256)[0]
            return self.pipeline.estimate_elevation(Image.fromarray(photo))
        return estimate_elevation(*true_views(subject, truth_deg, TRUE_SIZES[name]))


def true_views(subject: Subject, truth_deg: float, size: int):
    """The photo, and what makes true pictures of the views near it."""
    photo = Pose.from_degrees(0, truth_deg, RADIUS)

    def make_views(source: Pose, targets: Sequence[Pose]) -> list[np.ndarray]:
        rises = [target.elevation - source.elevation for target in targets]
        poses = [
            Pose(target.azimuth, photo.elevation + rise, RADIUS)
            for target, rise in zip(targets, rises, strict=True)
        ]
        return [over_white(picture) for picture in subject.pictures(poses, size)]

    return over_white(subject.pictures([photo], size)[0]), make_views


def elevation_of(subject: Subject) -> float:
    """Degrees, decided by the object's name."""
    digest = hashlib.sha256(f"elevation {subject.name}".encode()).digest()
    low, high = RANGE_DEG
    return round(low + (high - low) * int.from_bytes(digest[:8], "big") / 2**64, 2)
