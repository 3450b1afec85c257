"""Settings of mesh metrics: the ``mesh:`` part of a protocol goes in, checked values come out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viewfusion.errors import ViewFusionError, did_you_mean

from .alignment import STEPS
from .distances import CHAMFERS


@dataclass(frozen=True)
class Alignment:
    """What :func:`.alignment.aligned` does to each mesh before anything is measured."""

    prediction: tuple[str, ...]
    truth: tuple[str, ...]
    longest_side: float


@dataclass(frozen=True)
class Surface:
    """Points drawn on the surface: ``count`` of each mesh, the same for the same ``seed``."""

    count: int
    seed: int


@dataclass(frozen=True)
class DepthMaps:
    """Points seen by a ring of cameras.

    Args:
        views: cameras, evenly spaced from azimuth 0.
        elevation: radians.
        radius: distance of the cameras to the origin.
        size: pixels a side; the optical axis passes through the middle.
        focal: focal length in pixels.
        voxel: side of the cubes in which points are averaged.
    """

    views: int
    elevation: float
    radius: float
    size: int
    focal: float
    voxel: float


@dataclass(frozen=True)
class Volume:
    """The grid of the volume IoU.

    Args:
        cells: along each axis of a cube around the origin.
        side: length of the cube's side.
        sampled_at: where in a cell, along each axis, it is told whether it is inside: 0.5 is its middle,
            0 its lowest corner.
    """

    cells: int
    side: float
    sampled_at: float = 0.5


@dataclass(frozen=True)
class MeshSettings:
    """All that decides the numbers, given the meshes.

    Args:
        chamfer: a name in ``CHAMFERS``.
        f_score: the squared distance below which samples agree; None: no F-score.
        volume: None: no volume IoU.
    """

    alignment: Alignment
    points: Surface | DepthMaps
    chamfer: str
    f_score: float | None
    volume: Volume | None

    @classmethod
    def from_data(cls, data: Any) -> MeshSettings:
        """Of the plain values in a protocol.

        Raises:
            ViewFusionError: a key is missing or unknown, or a value is not what it must be.
        """
        part = _Part(data, "mesh", ("alignment", "points", "chamfer", "f_score", "volume"))
        f_score = None
        if data["f_score"] is not None:
            f_score = _Part(data["f_score"], "mesh.f_score", ("squared_distance",)).positive(
                "squared_distance"
            )
        volume = None
        if data["volume"] is not None:
            grid = _Part(data["volume"], "mesh.volume", ("cells", "side", "sampled_at"))
            cells, side = grid.whole("cells", 4, 256), grid.positive("side")
            volume = Volume(cells, side, grid.number("sampled_at", 0.0, 1.0))
        return cls(
            _alignment(data["alignment"]),
            _points(data["points"]),
            part.one_of("chamfer", tuple(CHAMFERS)),
            f_score,
            volume,
        )


def _alignment(data: Any) -> Alignment:
    part = _Part(data, "mesh.alignment", ("prediction", "truth", "longest_side"))
    return Alignment(part.steps("prediction"), part.steps("truth"), part.positive("longest_side"))


def _points(data: Any) -> Surface | DepthMaps:
    where, kinds = "mesh.points", ("surface", "depth_maps")
    kind = data.get("kind") if isinstance(data, Mapping) else None
    if kind == "surface":
        part = _Part(data, where, ("kind", "count", "seed"))
        return Surface(part.whole("count", 1, 10_000_000), part.whole("seed", 0, 2**63 - 1))
    if kind == "depth_maps":
        keys = ("kind", "views", "elevation_deg", "radius", "size", "focal", "voxel")
        part = _Part(data, where, keys)
        return DepthMaps(
            part.whole("views", 1, 360),
            math.radians(part.number("elevation_deg", -90.0, 90.0)),
            part.positive("radius"),
            part.whole("size", 1, 2048),
            part.positive("focal"),
            part.positive("voxel"),
        )
    raise ViewFusionError(
        f"protocol: {where}.kind must be one of {', '.join(kinds)}, got {kind!r}{did_you_mean(kind, kinds)}"
    )


class _Part:
    """One mapping of a protocol, with exactly the keys it should have; ``where`` names it in messages."""

    def __init__(self, data: Any, where: str, keys: Sequence[str]) -> None:
        if not isinstance(data, Mapping):
            raise ViewFusionError(f"protocol: {where} must hold {', '.join(keys)}, got {str(data)[:80]!r}")
        for key in data:
            if key not in keys:
                raise ViewFusionError(
                    f"protocol: {where}.{str(key)[:80]} is unknown; known: {', '.join(keys)}"
                    f"{did_you_mean(key, keys)}"
                )
        missing = [key for key in keys if key not in data]
        if missing:
            raise ViewFusionError(
                f"protocol: {where} lacks {', '.join(missing)}; a protocol states all values"
            )
        self._data, self._where = data, where

    def number(self, key: str, low: float, high: float) -> float:
        value = self._data[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._refusal(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def positive(self, key: str) -> float:
        return self.number(key, 1e-6, 1e6)

    def whole(self, key: str, low: int, high: int) -> int:
        value = self._data[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._refusal(key, f"a whole number from {low} to {high}")
        return value

    def one_of(self, key: str, known: Sequence[str]) -> str:
        value = self._data[key]
        if value not in known:
            raise self._refusal(key, f"one of {', '.join(known)}", did_you_mean(value, known))
        return str(value)

    def steps(self, key: str) -> tuple[str, ...]:
        value = self._data[key]
        if not isinstance(value, Sequence) or any(step not in STEPS for step in value):
            raise self._refusal(key, f"a list of {', '.join(STEPS)}, in their order")
        return tuple(value)

    def _refusal(self, key: str, wanted: str, hint: str = "") -> ViewFusionError:
        came = str(self._data[key])[:80]
        return ViewFusionError(f"protocol: {self._where}.{key} must be {wanted}, got {came!r}{hint}")
