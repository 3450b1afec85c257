"""Measuring: an object goes in; its views, meshes of them and what those are worth come out, file by file.

``STATE/objects/KIND/NAME`` keeps what is true of an object: ``ring``, ``unseen``, ``elsewhere`` and ``sides``
are folders of pictures, ``truth.ply`` its surface. ``STATE/STUDY/KIND/NAME`` has for each system the folder
of its mesh and, last and by a rename, ``SYSTEM.json``: what is there is whole and never made again.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion import ViewFusionError
from viewfusion.datasets import Cameras, Light, Renderer, read_triangles, write_layout
from viewfusion.datasets.layouts import is_finished
from viewfusion.evaluation.meshes import Triangles
from viewfusion.geometry import Pose
from viewfusion.outputs.files import write_json, write_png
from viewfusion.outputs.ownership import read_json
from viewfusion.preprocessing import over_white

from . import scores
from .meshes import plain, shape_of, textured_of
from .places import ELSEWHERE, RING, SHAPE_FROM, SIDES, SIZE, UNSEEN
from .runs import COMMAND, Cost, reconstruct
from .spins import Spinner
from .subjects import Subject, closedness, write_truth
from .systems import SMALL, TRUE, VARIANTS, System
from .trials import steps_within, told

PLACES = {"ring": RING, "unseen": UNSEEN, "elsewhere": ELSEWHERE, "sides": SIDES}
CELL = 144
"""Pixels a side of what is looked at."""

_FROM_THE_CAMERA = Light(direction=None, ambient=0.35)


@dataclass(frozen=True)
class Bench:
    """A study under way.

    Args:
        state: where everything lies.
        study: its name.
        systems: by name.
        spinner: what makes spins; None where no system wants any.
        threads: of the process that reconstructs.
        command: that reconstructs.
    """

    state: Path
    study: str
    systems: dict[str, System]
    spinner: Spinner | None = None
    threads: int = 1
    command: tuple[str, ...] = COMMAND

    def place(self, subject: Subject) -> Path:
        return self.state / self.study / subject.kind / subject.short

    def missing(self, subject: Subject) -> list[str]:
        """The systems without a result; one that failed is tried again."""
        place = self.place(subject)
        return [name for name in self.systems if "scores" not in read_json(place / f"{name}.json")]

    def measure(self, subject: Subject, name: str) -> str:
        """Make and judge one system's mesh; a line about it.

        Raises:
            ViewFusionError: the object itself cannot be seen or measured.
        """
        known = Known.of(self.state, subject)
        place, system = self.place(subject), self.systems[name]
        place.mkdir(parents=True, exist_ok=True)
        about = {"name": subject.name, "credit": subject.credit, "system": name, "closed": known.closed}
        self._show_truth(place, known)
        try:
            found = self._judged(place / name, system, known)
        except ViewFusionError as error:
            write_json(place / f"{name}.json", {**about, "failed": str(error)})
            return f"failed: {error}"
        write_json(place / f"{name}.json", {**about, **found})
        placed = found["scores"]["mesh-in-place"]
        iou = "no volume" if placed["volume_iou"] is None else f"IoU {placed['volume_iou']:.3f}"
        return f"{found['cost']['seconds']:.0f} s, {iou}, Chamfer {placed['chamfer']:.4f}"

    def _judged(self, out: Path, system: System, known: Known) -> dict[str, Any]:
        """Of one mesh: what it cost, its form, its scores; a strip of pictures is written."""
        views = self._views(system, known)
        options, trial = system.options, {}
        if system.minutes is not None:
            options, trial = steps_within(system.minutes, views, out, options, self.threads, self.command)
        cost = self._made(views, out, options)
        shape, textured = shape_of(out), textured_of(out)
        found, notes = scores.mesh_scores(shape, known.truth)
        psnr = {
            each: scores.picture_scores(textured, PLACES[each], scores.read_pictures(known.folder / each))
            for each in ("unseen", "elsewhere")
        }
        seen = [over_white(Renderer(textured).render(pose, CELL, scores.AS_IT_IS)) for pose in SIDES]
        write_png(out.with_suffix(".png"), np.concatenate([*seen, _shape(shape)], axis=1))
        return {
            "scores": found,
            "notes": notes,
            "psnr": psnr,
            "form": scores.form(shape),
            "cost": {**asdict(cost), "threads": self.threads},
            "options": list(options),
            "trial": trial,
            "told": told(out),
        }

    def _made(self, views: Path, out: Path, options: tuple[str, ...]) -> Cost:
        shutil.rmtree(out, ignore_errors=True)  # half a run would be gone on with, and its time half told
        return reconstruct(views, out, options, self.threads, command=self.command)

    def _views(self, system: System, known: Known) -> Path:
        """The folder of the views of a system."""
        if system.views == TRUE:
            return known.folder / "ring"
        assert self.spinner is not None
        name, size = known.subject.name, self.spinner.size
        path = self.state / self.study / "views" / name / system.views
        if system.views == SMALL:
            _write_pictures(path, known.subject, RING, size)
        else:
            assert system.views in VARIANTS
            path.parent.mkdir(parents=True, exist_ok=True)
            small = next(iter(known.subject.pictures(RING[:1], size)))
            self.spinner.write(path, system.views, small, name)
        return path

    def _show_truth(self, place: Path, known: Known) -> None:
        """A strip of true pictures, beside those of the systems."""
        path = place / "truth.png"
        if not path.exists():
            pictures = [
                Image.fromarray(over_white(each)).resize((CELL, CELL), Image.Resampling.BOX)
                for each in scores.read_pictures(known.folder / "sides")
            ]
            write_png(path, np.concatenate([*map(np.asarray, pictures), _shape(known.truth)], axis=1))


@dataclass(frozen=True)
class Known:
    """What is true of an object, kept on the disk.

    Args:
        folder: of its pictures.
        closed: see :func:`.subjects.closedness`.
    """

    subject: Subject
    folder: Path
    truth: Triangles
    closed: float

    @classmethod
    def of(cls, state: Path, subject: Subject) -> Known:
        """Made where it is not there yet.

        Raises:
            ViewFusionError: the object cannot be read, or something else is there.
        """
        folder = state / "objects" / subject.kind / subject.short
        for name, poses in PLACES.items():
            _write_pictures(folder / name, subject, poses, SIZE)
        path = folder / "truth.ply"
        if not path.exists():
            write_truth(path, subject.truth())
        truth = Triangles(*read_triangles(path, up="z"))
        return cls(subject, folder, truth, round(closedness(truth), 4))


def _write_pictures(path: Path, subject: Subject, poses: tuple[Pose, ...], size: int) -> None:
    """The folder of true pictures, if it is not there yet."""
    places = [[pose.azimuth, pose.elevation, pose.radius] for pose in poses]
    record = {"schema": 1, "mesh": {"name": subject.name}, "options": {"poses": places, "size": size}}
    if not is_finished(path, record):
        write_layout(path, "viewfusion", subject.pictures(poses, size), Cameras(poses, size), record)


def _shape(shape: Triangles) -> np.ndarray:
    return over_white(Renderer(plain(shape)).render(SHAPE_FROM, CELL, _FROM_THE_CAMERA))
