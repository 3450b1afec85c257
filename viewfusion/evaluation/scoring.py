"""Scoring: a protocol and the views of one object go in, an entry of ``results.json`` comes out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from viewfusion.errors import ViewFusionError

from .measures import MEASURES, Tools, Turn
from .protocols import Protocol
from .schema import MOST_SHOWN

DECIMALS = 6
"""Of a score; what lies beyond differs from one processor to the next."""


@dataclass(frozen=True)
class Scorer:
    """Takes the metrics of a protocol.

    Args:
        metrics: the names of those that are taken.
        unmeasured: why the others are not, by name.
    """

    protocol: Protocol
    tools: Tools
    metrics: tuple[str, ...]
    unmeasured: dict[str, str]

    def described(self) -> dict[str, Any]:
        """What is taken, for results."""
        settings = self.protocol.metrics
        return {name: MEASURES[name].described(settings[name], self.tools) for name in self.metrics}

    def weights(self) -> dict[str, dict[str, str]]:
        """What the networks of the user's are, by the metrics that look with them."""
        return {name: each["weights"] for name, each in self.described().items() if "weights" in each}

    @torch.inference_mode()
    def entry(self, name: str, turn: Turn, notes: Iterable[str] = ()) -> dict[str, Any]:
        """The scores of one object.

        Raises:
            ViewFusionError: the views cannot be compared.
        """
        taken = {metric: self._values(metric, turn) for metric in self.metrics}
        images = {key: each for key, each in taken.items() if MEASURES[key].of == "images"}
        pairs = {key: each for key, each in taken.items() if MEASURES[key].of == "pairs"}
        count = len(turn.poses)
        return {
            **unmeasured_entry(name),
            "scores": {key: mean(each) for key, each in taken.items()},
            "images": [
                {"view": view, **_direction(turn, view), "scores": _row(images, place)}
                for place, view in enumerate(turn.scored if images else ())
            ],
            "pairs": [
                {"views": [view, (view + 1) % count], **_direction(turn, view), "scores": _row(pairs, view)}
                for view in range(count if pairs else 0)
            ],
            "notes": list(notes),
        }

    def _values(self, metric: str, turn: Turn) -> list[float | None]:
        values = MEASURES[metric].taken(turn, self.tools, self.protocol.metrics[metric])
        return [
            round(value, DECIMALS) if math.isfinite(value) else None
            for value in values.cpu().double().tolist()
        ]


def make_scorer(protocol: Protocol, tools: Tools, without: Iterable[str] = ()) -> Scorer:
    """A :class:`Scorer` of ``protocol``, but for the metrics ``without``, and for optional ones that lack
    what they need.

    Raises:
        ViewFusionError: a metric that is not optional lacks something, or nothing is left.
    """
    unmeasured = dict.fromkeys(without, "left out as asked")
    for name in unmeasured:
        if name not in protocol.metrics:
            known = ", ".join(protocol.metrics)
            raise ViewFusionError(
                f"--without {name[:60]}: {protocol.name} has no such metric; it has {known}"
            )
    for name, settings in protocol.metrics.items():
        if name in unmeasured:
            continue
        try:
            if network := MEASURES[name].network(settings):
                tools.network(network)
        except ViewFusionError as error:
            if not settings.get("optional"):
                raise ViewFusionError(f"{error}; or leave it out with --without {name}") from None
            unmeasured[name] = str(error)
    metrics = tuple(name for name in protocol.metrics if name not in unmeasured)
    if not metrics:
        raise ViewFusionError(
            f"no metric of {protocol.name} can be taken here: {next(iter(unmeasured.values()))}"
        )
    return Scorer(protocol, tools, metrics, unmeasured)


def unmeasured_entry(name: str) -> dict[str, Any]:
    """The entry of an object before any score is in it."""
    entry: dict[str, Any] = {"name": name, "status": "scored", "error": None, "scores": {}}
    return {**entry, "images": [], "pairs": [], "notes": []}


def failed_entry(name: str, error: str) -> dict[str, Any]:
    """The entry of an object that could not be made or scored."""
    return {**unmeasured_entry(name), "status": "failed", "error": error}


def shown_views(turn: Turn) -> list[int]:
    """At most :data:`MOST_SHOWN` views, evenly chosen of those scored."""
    places = list(turn.scored) or list(range(len(turn.poses)))
    return [places[round(i)] for i in np.linspace(0, len(places) - 1, min(MOST_SHOWN, len(places)))]


def comparison(turn: Turn) -> np.ndarray:
    """(rows S, columns S, 3) uint8: :func:`shown_views` of ours, and below the true views and the absolute
    differences, where there are any."""
    chosen = shown_views(turn)
    rows = [turn.ours[chosen]]
    if turn.truth is not None:
        truth = turn.truth[chosen]
        rows += [truth, (rows[0] - truth).abs()]
    pixels = torch.cat([torch.cat(list(row), -1) for row in rows], -2)
    return (pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def mean(values: Iterable[float | None]) -> float | None:
    """Of those that exist."""
    known = [value for value in values if value is not None]
    return round(math.fsum(known) / len(known), DECIMALS) if known else None


def _row(columns: dict[str, list[float | None]], place: int) -> dict[str, float | None]:
    return {name: values[place] for name, values in columns.items()}


def _direction(turn: Turn, view: int) -> dict[str, float]:
    pose = turn.poses[view]
    return {"azimuth_deg": round(pose.azimuth_deg, 6), "elevation_deg": round(pose.elevation_deg, 6)}
