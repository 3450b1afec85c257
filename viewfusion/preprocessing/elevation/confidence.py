"""Confidence: how badly each point fits each elevation goes in, the best elevation and its worth come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ENOUGH = 0.5
"""From this confidence on an estimate is used. It and the ranges below were chosen on rendered objects of the
validation split (see docs/elevation.md)."""

DRAWS = 200
AGREE_DEG = 5.0
"""How near to the estimate that of a resample must lie to agree."""

GAIN, PLACES = (0.1, 0.25), (6, 18)
"""What counts as nothing, and from where on as enough: by how much the best elevation fits better, and places
of the object that were found again."""

CELLS = 16
"""A place is a cell of so many by so many in the frame. Points of one place are not independent."""


@dataclass(frozen=True)
class Finding:
    """The least of a curve, and what it is worth.

    Args:
        curve: (G,) mean misfit of each candidate, 0 to 1.
        least_deg: where it is least, between the candidates too.
        depth: how much better it fits than the median of the curve, from 0, no better, to 1, perfectly.
        turn: how much better than views in which nothing moved.
        agreement: the share of resamples whose least lies within :data:`AGREE_DEG`.
        places: of the object.
        at_end: the least is that of the first or the last candidate.
    """

    curve: np.ndarray
    least_deg: float
    depth: float
    turn: float
    agreement: float
    places: int
    at_end: bool

    @property
    def confidence(self) -> float:
        """0 to 1."""
        if self.at_end:
            return 0.0
        gains = _ramp(self.depth, GAIN) * _ramp(self.turn, GAIN)
        return self.agreement * gains * _ramp(self.places, PLACES)

    @property
    def doubt(self) -> str:
        """What speaks most against it, in words."""
        if self.at_end:
            return "the best elevation is the last one tried"
        reasons = {
            "different parts of the object want different elevations": self.agreement,
            "the views hardly turn the object": _ramp(self.turn, GAIN),
            "no elevation explains the views much better than the others": _ramp(self.depth, GAIN),
            f"only {self.places} places of it were found again": _ramp(self.places, PLACES),
        }
        return min(reasons, key=lambda words: reasons[words])


def find_least(
    misfit: np.ndarray, at_rest: np.ndarray, weights: np.ndarray, cells: np.ndarray, degrees: np.ndarray
) -> Finding:
    """What the points say together.

    Args:
        misfit: (T, G) of each point under each candidate.
        at_rest: (T,) of each point if nothing moved.
        weights: (T,) how much a point counts.
        cells: (T,) the number of its place.
        degrees: (G,) the candidates, evenly spaced, upwards.
    """
    _, place = np.unique(cells, return_inverse=True)
    count = int(place.max()) + 1
    sums, totals = np.zeros((count, len(degrees))), np.bincount(place, weights)
    np.add.at(sums, place, misfit * weights[:, None])
    curve = sums.sum(axis=0) / totals.sum()
    best = int(curve.argmin())
    # The same at each run; whole places are drawn, as their points err together.
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    again = degrees[((drawn @ sums) / (drawn @ totals)[:, None]).argmin(axis=1)]
    return Finding(
        curve,
        _lowest(curve, best, degrees),
        _gain(curve[best], np.median(curve)),
        _gain(curve[best], at_rest @ weights / weights.sum()),
        float(np.mean(np.abs(again - degrees[best]) <= AGREE_DEG)),
        count,
        best in (0, len(degrees) - 1),
    )


def cells_of(points: np.ndarray) -> np.ndarray:
    """(T,) the number of the cell of the frame in which a point (T, V, 2) lies on average."""
    column, row = np.clip(np.nanmean(points, axis=1) * CELLS, 0, CELLS - 1).astype(int).T
    return row * CELLS + column


def _lowest(curve: np.ndarray, best: int, degrees: np.ndarray) -> float:
    """Of the parabola through the least and its neighbours."""
    if best in (0, len(curve) - 1):
        return float(degrees[best])
    before, least, after = curve[best - 1 : best + 2]
    bend = before - 2 * least + after
    shift = 0.5 * (before - after) / bend if bend > 0 else 0.0
    return float(degrees[best] + shift * (degrees[1] - degrees[0]))


def _gain(misfit: float, other: float) -> float:
    return max(0.0, float(1 - misfit / max(1e-9, other)))


def _ramp(value: float, ends: tuple[float, float]) -> float:
    return min(1.0, max(0.0, (value - ends[0]) / (ends[1] - ends[0])))
