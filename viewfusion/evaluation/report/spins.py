"""Scores around the object: what a run says of views and pairs goes in, curves over the azimuth come out.

Where objects were seen from the same places (a ring), every object is a line and the mean is taken at each
place; where each was seen from its own, values are dots and the mean is taken over sectors of 30 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .charts import Curve

SECTOR = 30.0
_MOST_PLACES = 360
_MOST_POINTS = 6000
_MOST_LINES = 60
_MOST_DOTS = 1500

Points = dict[str, list[tuple[float, float]]]
"""(x, value) of each object."""


def spin_curves(
    name: str, of: str, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]
) -> tuple[list[Curve], bool]:
    """A curve for each run (its label and objects), and whether x is the azimuth or the number of the view.

    It is the azimuth if all runs know it of all that they scored. No curves where nothing is to be drawn.
    """
    found = [(label, _places(name, of, objects)) for label, objects in runs]
    by_azimuth = all(azimuth is not None for _, each in found for _, _, azimuth, _ in each)
    if not all(each for _, each in found):
        return [], by_azimuth
    curves = []
    for label, each in found:
        points: Points = {}
        for owner, view, azimuth, value in each:
            points.setdefault(owner, []).append(
                (view if azimuth is None or not by_azimuth else azimuth, value)
            )
        curves.append(_curve(label, points, by_azimuth, alone=len(runs) == 1))
    return curves, by_azimuth


def _places(
    name: str, of: str, objects: Iterable[Mapping[str, Any]]
) -> list[tuple[str, float, float | None, float]]:
    """(object, number of the view, azimuth if known, value) of every value; a pair lies midway."""
    found = []
    for each in objects:
        seen_from = azimuths_of(each)
        for holder in each[of]:
            value = holder["scores"].get(name)
            if value is None:
                continue
            if of == "images":
                view, azimuth = holder["view"], seen_from[holder["view"]]
            else:
                view = holder["views"][0]
                one, other = (seen_from.get(end) for end in holder["views"])
                azimuth = None if one is None or other is None else midway(one, other)
            found.append((each["name"], float(view), None if azimuth is None else wrapped(azimuth), value))
    return found


def _curve(label: str, points: Points, by_azimuth: bool, alone: bool) -> Curve:
    lines = {name: sorted(each) for name, each in points.items()}
    places = sorted({round(x, 1) for each in lines.values() for x, _ in each})
    values = sum(map(len, lines.values()))
    shared = len(places) <= _MOST_PLACES and len(places) * len(lines) <= 2 * values
    if shared or not by_azimuth:
        mean = _means((round(x, 1), value) for each in lines.values() for x, value in each)
        kept = min(_MOST_LINES, _MOST_POINTS // len(places)) if alone else 0
        return Curve(label, mean, dict(list(lines.items())[:kept]))
    mean = _means((sector(x), value) for each in lines.values() for x, value in each)
    dots = [(name, x, value) for name, each in lines.items() for x, value in each] if alone else []
    return Curve(label, mean, {}, dots[:: max(1, math.ceil(len(dots) / _MOST_DOTS))])


def _means(points: Iterable[tuple[float, float]]) -> list[tuple[float, float, int]]:
    """(x, mean, how many) from left to right."""
    at: dict[float, list[float]] = {}
    for x, value in points:
        at.setdefault(x, []).append(value)
    return [(x, math.fsum(values) / len(values), len(values)) for x, values in sorted(at.items())]


def azimuths_of(each: Mapping[str, Any]) -> dict[int, float | None]:
    """Where each view of an object is seen from, in degrees, by its number; a pair knows it of its first."""
    known = {pair["views"][0]: pair.get("azimuth_deg") for pair in each["pairs"]}
    return known | {image["view"]: image.get("azimuth_deg") for image in each["images"]}


def wrapped(azimuth: float) -> float:
    """In (-180, 180]."""
    return 180.0 - (180.0 - azimuth) % 360.0


def midway(one: float, other: float) -> float:
    """The azimuth halfway along the shorter way from one to the other."""
    return wrapped(one + wrapped(other - one) / 2)


def sector(azimuth: float) -> float:
    """The middle of the sector in which ``azimuth`` lies."""
    return min(math.floor((azimuth + 180) / SECTOR), 360 / SECTOR - 1) * SECTOR - 180 + SECTOR / 2
