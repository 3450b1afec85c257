"""The worst and the best objects: a comparison of runs goes in, their pictures in groups come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..comparison import Comparison
from ..runs import Run
from .pictures import ROOM, Picture, comparison_picture
from .spins import azimuths_of, wrapped
from .words import decimals, number, unit_of

SHOWN = 3
"""Objects at each end; of fewer than twice as many, all."""

MAX_SHOWN_RUNS = 6

_RANKING = ("lpips_vgg", "lpips_alex", "psnr", "ssim", "adjacent_lpips_vgg", "adjacent_lpips_alex", "chamfer")
"""What objects are ranked by: the first of these that was measured, which people's eyes agree with most."""


@dataclass(frozen=True)
class Exhibit:
    """An object, its rank, and for each run its scores in words and a picture."""

    name: str
    rank: int
    runs: list[tuple[str, list[str], Picture]]


@dataclass(frozen=True)
class Group:
    title: str
    exhibits: list[Exhibit]


def ranking_metric(metrics: Mapping[str, Any]) -> str | None:
    """The metric that decides which objects are good."""
    return next((name for name in (*_RANKING, *metrics) if name in metrics), None)


def ranked(found: Comparison, metric: str) -> list[str]:
    """Names of the objects that the first run scored in ``metric``, the best first."""
    scored = found.runs[0].scored
    scores = {name: scored[name]["scores"].get(metric) for name in found.objects}
    names = [name for name, score in scores.items() if score is not None]
    sign = -1 if found.metrics[metric]["better"] == "higher" else 1
    return sorted(names, key=lambda name: (sign * scores[name], name))


def gallery(found: Comparison, metric: str) -> list[Group]:
    """The worst objects and the best by ``metric``, with the pictures of the first runs."""
    names = ranked(found, metric)
    if len(names) < 2 * SHOWN:
        chosen = [("Every object, the worst first", names[::-1])]
    else:
        chosen = [("Worst", names[: -SHOWN - 1 : -1]), ("Best", names[:SHOWN])]
    runs = found.runs[:MAX_SHOWN_RUNS]
    room = ROOM / max(1, len(runs) * sum(len(each) for _, each in chosen))
    return [
        Group(title, [_exhibit(found, runs, name, names.index(name) + 1, room) for name in each])
        for title, each in chosen
        if each
    ]


def _exhibit(found: Comparison, runs: Sequence[Run], name: str, rank: int, room: float) -> Exhibit:
    shown = []
    for run in runs:
        each = run.scored[name]
        label = f"{name} by {run.label}: views, truth where it is known, and their difference"
        picture = comparison_picture(run.folder, name, _columns(each), room, label)
        shown.append((run.label, _scores(found, each["scores"]), picture))
    return Exhibit(name, rank, shown)


def _scores(found: Comparison, scores: Mapping[str, float | None]) -> list[str]:
    """For instance "PSNR 17.21 dB"."""
    said = []
    for name, metric in found.metrics.items():
        score = scores.get(name)
        if score is not None:
            said.append(f"{metric['title']} {number(score, decimals([score]))} {unit_of(metric)}".rstrip())
    return said


def _columns(each: Mapping[str, Any]) -> list[str]:
    """A label for each view of the picture: its azimuth where that is known, or its number."""
    azimuths = azimuths_of(each)
    return [_label(view, azimuths.get(view)) for view in each.get("shown", ())]


def _label(view: int, azimuth: float | None) -> str:
    if azimuth is None:
        return str(view)
    text = number(wrapped(azimuth), 1).removesuffix(".0")
    sign = "+" if wrapped(azimuth) > 0 else ""
    return f"{sign}{text}\N{DEGREE SIGN}"
