"""Scores of a mesh: a prediction, the truth and a protocol's settings go in, numbers and notes come out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .alignment import aligned
from .depth_maps import depth_samples
from .distances import CHAMFERS, f_score, matched, normal_consistency
from .occupancy import occupied, volume_iou
from .samples import Samples, surface_samples
from .settings import DepthMaps, MeshSettings, Volume
from .topology import topology
from .triangles import Triangles, cleaned

MESH_METRICS = ("chamfer", "f_score", "precision", "recall", "volume_iou", "normal_consistency")

_ODD_SIZE = 3.0
"""A prediction so many times larger or smaller than the truth is most likely in other units."""


def score_meshes(
    prediction: Triangles,
    truth: Triangles,
    settings: MeshSettings | Mapping[str, Any],
    rotation: float = 0.0,
) -> tuple[dict[str, float | None], list[str]]:
    """The metrics that ``settings`` ask for, by names of :data:`MESH_METRICS`, and what a reader should know.

    The same arguments give the same numbers, and the order of vertices and faces does not matter. A score is
    None where it has no meaning, and a note says why.

    Args:
        settings: the ``mesh:`` part of a protocol.
        rotation: radians, counter-clockwise seen from above, for what the protocol rotates: for
            mesh-viewfusion the azimuth of the input view in the truth's frame, for mesh-syncdreamer the
            object's turn.

    Raises:
        ViewFusionError: settings are wrong, a mesh has no area, or a package is missing.
    """
    chosen = settings if isinstance(settings, MeshSettings) else MeshSettings.from_data(settings)
    _check_rotation(chosen, rotation)
    steps, longest = chosen.alignment, chosen.alignment.longest_side
    ours = _placed("prediction", prediction, steps.prediction, rotation, longest)
    theirs = _placed("truth", truth, steps.truth, rotation, longest)
    notes = [*ours.notes, *theirs.notes, *_size_notes(ours.mesh, theirs.mesh)]
    scores, found = _distance_scores(ours, theirs, chosen)
    notes += found
    if chosen.volume is not None:
        scores["volume_iou"], found = _volume_score(ours, theirs, chosen.volume)
        notes += found
    return {name: scores[name] for name in MESH_METRICS if name in scores}, notes


@dataclass(frozen=True, eq=False)
class _Placed:
    """A mesh where the protocol wants it; ``name`` begins its notes."""

    name: str
    mesh: Triangles
    notes: list[str]


def _placed(name: str, mesh: Triangles, steps: tuple[str, ...], rotation: float, longest: float) -> _Placed:
    with _named(name):
        clean, notes = cleaned(mesh)
        placed = aligned(clean, steps, rotation, longest)
    return _Placed(name, placed, [f"{name}: {note}" for note in notes])


@contextmanager
def _named(name: str) -> Iterator[None]:
    """An error of one of the two meshes says of which."""
    try:
        yield
    except ViewFusionError as error:
        raise ViewFusionError(f"{name}: {error}") from None


def _check_rotation(settings: MeshSettings, rotation: float) -> None:
    if not math.isfinite(rotation):
        raise ViewFusionError(f"a rotation is a finite number of radians, got {rotation}")
    turns = "rotate" in (*settings.alignment.prediction, *settings.alignment.truth)
    if rotation and not turns:
        raise ViewFusionError(
            f"a rotation of {math.degrees(rotation):g} degrees was given, but this protocol rotates nothing"
        )


def _size_notes(prediction: Triangles, truth: Triangles) -> list[str]:
    ratio = float(np.ptp(prediction.vertices, axis=0).max() / np.ptp(truth.vertices, axis=0).max())
    if 1 / _ODD_SIZE <= ratio <= _ODD_SIZE:
        return []
    return [
        f"prediction: its longest side is {ratio:.3g} of the truth's, which looks like other units; this "
        "protocol does not scale it"
    ]


def _distance_scores(
    ours: _Placed, theirs: _Placed, settings: MeshSettings
) -> tuple[dict[str, float | None], list[str]]:
    names = ["chamfer", "normal_consistency"]
    names += ["f_score", "precision", "recall"] if settings.f_score is not None else []
    # A stream of its own for each, so that equal meshes are not sampled at equal points.
    samples = [_sampled(each.mesh, settings, stream) for stream, each in enumerate((ours, theirs))]
    unseen = [
        f"{each.name}: no camera of the protocol sees it, so it has no distances"
        for each, found in zip((ours, theirs), samples, strict=True)
        if not len(found.points)
    ]
    if unseen:
        return dict.fromkeys(names), unseen
    matches = matched(*samples)
    scores: dict[str, float | None] = {
        "chamfer": CHAMFERS[settings.chamfer](matches),
        "normal_consistency": normal_consistency(matches),
    }
    if settings.f_score is not None:
        scores["f_score"], scores["precision"], scores["recall"] = f_score(matches, settings.f_score)
    return scores, []


def _sampled(mesh: Triangles, settings: MeshSettings, stream: int) -> Samples:
    points = settings.points
    if isinstance(points, DepthMaps):
        return depth_samples(mesh, points)
    return surface_samples(mesh, points.count, np.random.default_rng([points.seed, stream]))


def _volume_score(ours: _Placed, theirs: _Placed, grid: Volume) -> tuple[float | None, list[str]]:
    volumes, notes = [], []
    for each in (ours, theirs):
        joins = topology(each.mesh)
        with _named(each.name):
            inside = occupied(each.mesh, grid, joins)
        said = joins.notes()
        if np.abs(each.mesh.vertices).max() > grid.side / 2:
            said.append(f"reaches out of the grid of {grid.side:g} a side; the volume there does not count")
        if not inside.any():
            said.append("encloses no cell of the grid: it has no volume")
        notes += [f"{each.name}: {note}" for note in said]
        volumes.append(inside)
    return volume_iou(*volumes), notes
