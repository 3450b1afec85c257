"""Elevation: a framed photo and what makes views near it go in, how high its camera stood comes out.

The estimator of One-2-3-45 (Liu et al. 2023, section 3.2): four views are made about 10 degrees around the
photo, points found again in them, and the cameras posed with each elevation in turn. The elevation under
which the rays of the points meet best is the photo's. The model is known here only as a callable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...geometry import DEFAULT_RADIUS, Pose
from .confidence import ENOUGH, cells_of, find_least
from .picture import curve_picture
from .points import points_found_again
from .triangulation import Move, freedoms, misfits, misfits_at_rest

__all__ = ["ElevationEstimate", "MakeViews", "curve_picture", "estimate_elevation", "nearby_poses"]

MakeViews = Callable[[Pose, Sequence[Pose]], "list[np.ndarray]"]
"""The photo's pose and others near it go in, pictures of the others come out: (H, H, 3) uint8 over white."""

FALLBACK_DEG = 30.0
"""Used without confidence; Zero123's own default."""

STEP = math.radians(10.0)
MOVES: tuple[Move, ...] = ((0.0, 0.0), (STEP, 0.0), (-STEP, 0.0), (0.0, STEP), (0.0, -STEP))
"""Of the photo, and of the views made: to both sides, up and down."""

CANDIDATES_DEG = np.arange(-60.0, 60.5)
"""Elevations tried: polar angles from 150 to 30 degrees."""

FEWEST_POINTS = 8
"""With less there is nothing to resample."""


@dataclass(frozen=True)
class ElevationEstimate:
    """How high the camera of a photo stood, and what that is worth.

    Args:
        elevation_deg: to be used: what was measured or, without confidence, the fallback.
        measured_deg: None where nothing could be measured.
        confidence: 0 (none) to 1.
        doubt: why the fallback is used, in words; empty where it is not.
        points: how many were found again.
        agreement, depth, turn: what the confidence is made of; see :mod:`.confidence`.
        curve: (elevation in degrees, mean misfit of the points from 0 to 1) of every candidate.
        network_evaluations: rows sent through the UNet for the views.
    """

    elevation_deg: float
    measured_deg: float | None
    confidence: float
    doubt: str = ""
    points: int = 0
    agreement: float = 0.0
    depth: float = 0.0
    turn: float = 0.0
    curve: tuple[tuple[float, float], ...] = ()
    network_evaluations: int = 0

    @property
    def confident(self) -> bool:
        return not self.doubt

    @property
    def warning(self) -> str:
        """For people; empty where there is nothing to warn of."""
        if self.confident:
            return ""
        measured = "" if self.measured_deg is None else f"; {self.measured_deg:g} would fit best"
        return (
            f"the elevation is not known ({self.doubt}{measured}) and taken to be {self.elevation_deg:g} "
            "degrees; give elevation_deg=DEGREES if you know better"
        )

    def to_dict(self, with_curve: bool = True) -> dict[str, Any]:
        """As JSON has it."""
        values = asdict(self)
        curve = values.pop("curve")
        return {**values, "curve": [list(point) for point in curve]} if with_curve else values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ElevationEstimate:
        """What :meth:`to_dict` gave.

        Raises:
            TypeError, ValueError: it is something else.
        """
        curve = tuple((float(degrees), float(misfit)) for degrees, misfit in values["curve"])
        estimate = cls(**{**values, "curve": curve})
        told = estimate.to_dict(with_curve=False)
        words, measured = told.pop("doubt"), told.pop("measured_deg")
        numbers = [
            *told.values(),
            *(each for point in curve for each in point),
            *([] if measured is None else [measured]),
        ]
        if not (isinstance(words, str) and all(isinstance(number, int | float) for number in numbers)):
            raise TypeError("numbers and words wanted")
        if not (all(map(math.isfinite, numbers)) and abs(estimate.elevation_deg) <= 90):
            raise ValueError("no elevation")
        return estimate


def nearby_poses(fallback_deg: float = FALLBACK_DEG, radius: float = DEFAULT_RADIUS) -> list[Pose]:
    """Of the photo, then of the views to make, if the photo stood at ``fallback_deg``.

    Zero123 is told the moves between them only, Stable Zero123 the elevation too.
    """
    least = math.radians(90.0) - STEP
    base = min(least, max(-least, math.radians(fallback_deg)))
    return [Pose(turn, base + rise, radius) for turn, rise in MOVES]


def estimate_elevation(
    photo: np.ndarray,
    make_views: MakeViews,
    fallback_deg: float = FALLBACK_DEG,
    radius: float = DEFAULT_RADIUS,
) -> ElevationEstimate:
    """The elevation of the camera of ``photo`` (H, H, 3) uint8 over white, framed.

    Args:
        make_views: asked once, for the poses of :func:`nearby_poses`.
        fallback_deg: used without confidence.
        radius: of the photo's camera.
    """
    source, *targets = nearby_poses(fallback_deg, radius)
    points = points_found_again([photo, *make_views(source, targets)])
    return estimate_from_points(points, fallback_deg, radius)


def estimate_from_points(
    points: np.ndarray, fallback_deg: float = FALLBACK_DEG, radius: float = DEFAULT_RADIUS
) -> ElevationEstimate:
    """What ``points`` (T, 5, 2), as :func:`points_found_again` gives them for :data:`MOVES`, say."""
    if len(points) < FEWEST_POINTS:
        few = "no point of it was" if not len(points) else f"only {len(points)} points of it were"
        return ElevationEstimate(fallback_deg, None, 0.0, f"{few} found again", len(points))
    columns = [misfits(points, MOVES, math.radians(each), radius) for each in CANDIDATES_DEG]
    misfit, at_rest = np.stack(columns, axis=1), misfits_at_rest(points)
    found = find_least(misfit, at_rest, freedoms(points), cells_of(points), CANDIDATES_DEG)
    sure, measured = found.confidence >= ENOUGH, round(found.least_deg, 1)
    return ElevationEstimate(
        measured if sure else fallback_deg,
        measured,
        round(found.confidence, 3),
        "" if sure else found.doubt,
        len(points),
        round(found.agreement, 3),
        round(found.depth, 3),
        round(found.turn, 3),
        tuple((float(d), round(float(m), 4)) for d, m in zip(CANDIDATES_DEG, found.curve, strict=True)),
    )
