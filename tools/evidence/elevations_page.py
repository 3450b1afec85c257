"""What is told of estimated elevations: trials go in, the marked blocks of ``docs/elevation.md`` come out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_bytes, write_png
from viewfusion.preprocessing.elevation import FALLBACK_DEG, ElevationEstimate

from .charts import COLOURS, Line, beside, chart
from .elevations import RADIUS, RANGE_DEG
from .figures import compact
from .folder import finished, study_of
from .page import filled
from .subjects import KINDS
from .tables import number, table

SYSTEMS = {
    "true-256": "true views of 256 pixels",
    "true-64": "true views of 64 pixels",
    "model": "views of the checkpoint",
}
SHOWN = 6
"""Objects whose curves are drawn."""


@dataclass(frozen=True)
class Trial:
    """One estimate and the truth."""

    credit: str
    truth_deg: float
    estimate: ElevationEstimate

    @property
    def measured_error(self) -> float:
        """Of what fits best, whether it is used or not; of the fallback where nothing could be measured."""
        measured = self.estimate.measured_deg
        return abs((FALLBACK_DEG if measured is None else measured) - self.truth_deg)

    @property
    def used_error(self) -> float:
        return abs(self.estimate.elevation_deg - self.truth_deg)


def write_page(state: Path, page: Path, images: Path) -> list[str]:
    """Fill ``page`` and write its picture into ``images``; the names of the blocks that were filled.

    Raises:
        ViewFusionError: there is no page, no results, or no place for some.
    """
    about = study_of(state)
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    found = {kind: trials_of(state / kind) for kind in KINDS}
    found = {kind: trials for kind, trials in found.items() if trials["model"]}
    if not found:
        raise ViewFusionError(f"{state}: no finished object; run `measure` first")
    link = Path(os.path.relpath(images, page.parent)).as_posix()
    drawn, words = curves(found)
    blocks = {
        "elevation": f"{said(about, found)}\n\n{errors(found)}\n\n{worth(found)}",
        "elevation-curves": f"![curves]({link}/elevation-curves.png)\n\n{words}",
    }
    images.mkdir(parents=True, exist_ok=True)
    write_png(images / "elevation-curves.png", drawn)
    write_bytes(page, filled(text, blocks, page).encode())
    return list(blocks)


def trials_of(folder: Path) -> dict[str, list[Trial]]:
    """By system, of a kind's objects that are complete."""
    found: dict[str, list[Trial]] = {name: [] for name in SYSTEMS}
    for _, contents in finished(folder.glob("*"), tuple(SYSTEMS)):
        for name, content in contents.items():
            found[name].append(_read(content))
    return found


def _read(content: dict[str, Any]) -> Trial:
    return Trial(content["credit"], content["truth_deg"], ElevationEstimate.from_dict(content["estimate"]))


def said(about: dict[str, Any], found: dict[str, dict[str, list[Trial]]]) -> str:
    """A line on what was measured."""
    counts = " and ".join(f"{len(trials['model'])} {KINDS[kind]}" for kind, trials in found.items())
    checkpoint, rows = about["checkpoint"], _rows(found)
    low, high = RANGE_DEG
    return (
        f"{counts} (split `{about['split']}`) at elevations from {low:g}° to {high:g}°, radius {RADIUS:g}; "
        f"`{checkpoint['name']}` (SHA-256 {checkpoint['sha256'][:12]}…), {rows} network evaluations an "
        "estimate. Errors in degrees: median / 90th percentile."
    )


def _rows(found: dict[str, dict[str, list[Trial]]]) -> int:
    return next(iter(found.values()))["model"][0].estimate.network_evaluations


def errors(found: dict[str, dict[str, list[Trial]]]) -> str:
    """What is gained over a constant."""
    rows = []
    for kind, systems in found.items():
        for name, trials in systems.items():
            constant = [abs(FALLBACK_DEG - trial.truth_deg) for trial in trials]
            rows.append(
                [
                    f"{KINDS[kind]}, {SYSTEMS[name]}",
                    spread(constant),
                    spread([trial.measured_error for trial in trials]),
                    spread([trial.used_error for trial in trials]),
                ]
            )
    return table(["error", f"always {FALLBACK_DEG:g}°", "best fit, sure or not", "`auto`"], rows)


def worth(found: dict[str, dict[str, list[Trial]]]) -> str:
    """What confidence is worth: the best fits that it lets through, and those that it does not."""
    rows = []
    for kind, systems in found.items():
        for name, trials in systems.items():
            sure = [trial.measured_error for trial in trials if trial.estimate.confident]
            unsure = [trial.measured_error for trial in trials if not trial.estimate.confident]
            share = f"{len(sure)} of {len(trials)}"
            rows.append([f"{KINDS[kind]}, {SYSTEMS[name]}", share, spread(sure), spread(unsure)])
    return table(["error of the best fit", "confident", "where confident", "where not"], rows)


def spread(values: list[float]) -> str:
    """For instance "4.1 / 12.7"; a dash where there are none."""
    if not values:
        return "-"
    return " / ".join(number(float(np.percentile(values, share)), 1) for share in (50, 90))


def curves(found: dict[str, dict[str, list[Trial]]]) -> tuple[Image.Image, str]:
    """Charts of the first objects of each kind, and whose they are."""
    each = SHOWN // len(found)
    charts, words = [], []
    for systems in found.values():
        for place in range(min(each, len(systems["model"]))):
            lines = [
                Line(name, trials[place].estimate.curve[::3], colour)
                for (name, trials), colour in zip(systems.items(), COLOURS, strict=False)
                if trials[place].estimate.curve
            ]
            trial = systems["model"][place]
            top = max((misfit for line in lines for _, misfit in line.points), default=1.0)
            mark = [(trial.truth_deg, 0.0), (trial.truth_deg, top)]
            lines.append(Line("truth", mark, (90, 90, 90), dashed=True))
            title = f"{len(charts) + 1}: at {trial.truth_deg:.1f}°"
            charts.append(chart(lines, title, "elevation tried, degrees", "misfit"))
            words.append(f"{len(charts)}. {trial.credit}")
    return compact(beside(charts, min(3, len(charts)))), "\n".join(words)
