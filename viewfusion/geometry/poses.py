"""Camera poses on a sphere around the object, and how two of them relate.

Enters: azimuth, elevation (radians) and radius. Leaves: wrapped differences, distances and the four
numbers a Zero123 network is told about a move from one pose to another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Family = Literal["zero123", "stable-zero123"]
FAMILIES: tuple[Family, ...] = ("zero123", "stable-zero123")

DEFAULT_ELEVATION = math.radians(30.0)
"""Elevation assumed for an input photo that states none (Zero123's own default, pi / 6)."""

DEFAULT_RADIUS = 1.5
"""Camera distance assumed for an input photo that states none; Zero123 was trained on 1.5 to 2.2."""

RADII = (1e-3, 1e3)
"""Least and most distance that is taken from people and files: beyond, differences drown in rounding."""


@dataclass(frozen=True)
class Pose:
    """A camera on a sphere around the origin, looking at it, z up.

    Args:
        azimuth: radians, counter-clockwise from +x seen from above; 0 is the input view.
        elevation: radians above the horizon, in [-pi/2, pi/2].
        radius: distance to the origin, > 0, in units of the object's longest side.

    Raises:
        ValueError: a number is not finite, the elevation is past a pole, the radius is not positive.
    """

    azimuth: float
    elevation: float = DEFAULT_ELEVATION
    radius: float = DEFAULT_RADIUS

    def __post_init__(self) -> None:
        for name in ("azimuth", "elevation", "radius"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")
        if abs(self.elevation) > math.pi / 2 + 1e-9:
            raise ValueError(
                f"elevation must be within [-90, 90] degrees, got {math.degrees(self.elevation):g}"
            )
        if self.radius <= 0:
            raise ValueError(f"radius must be positive, got {self.radius:g}")

    @classmethod
    def from_degrees(cls, azimuth_deg: float, elevation_deg: float, radius: float) -> Pose:
        """The one door through which degrees become radians."""
        return cls(math.radians(azimuth_deg), math.radians(elevation_deg), float(radius))

    @property
    def azimuth_deg(self) -> float:
        return math.degrees(self.azimuth)

    @property
    def elevation_deg(self) -> float:
        return math.degrees(self.elevation)

    @property
    def polar(self) -> float:
        """Angle from +z in radians: 90 degrees minus the elevation."""
        return math.pi / 2 - self.elevation


def wrap_angle(angle: float) -> float:
    """``angle`` (radians) wrapped to (-pi, pi]."""
    wrapped = math.pi - (math.pi - angle) % (2 * math.pi)
    return wrapped if wrapped > -math.pi else math.pi  # a rounding past pi gives -pi


def azimuth_distance(a: Pose, b: Pose) -> float:
    """Wrapped azimuth distance in radians, in [0, pi]."""
    return abs(wrap_angle(a.azimuth - b.azimuth))


def angular_distance(a: Pose, b: Pose) -> float:
    """Wrapped azimuth distance plus elevation distance, radians (ViewFusion's single-target measure)."""
    return azimuth_distance(a, b) + abs(a.elevation - b.elevation)


def pose_embedding(target: Pose, references: Sequence[Pose], family: Family = "zero123") -> np.ndarray:
    """What the network is told of the move from each reference to the target.

    Zero123: [delta polar, sin(delta azimuth), cos(delta azimuth), delta radius], target minus reference.
    Stable Zero123 replaces the fourth number by the reference's absolute polar angle.

    Returns:
        (N, 4) float64, radians and units of radius.
    """
    rows = []
    for reference in references:
        turn = target.azimuth - reference.azimuth
        if family == "zero123":
            last = target.radius - reference.radius
        elif family == "stable-zero123":
            last = reference.polar
        else:
            raise ValueError(f"unknown checkpoint family {family!r}; known: {', '.join(FAMILIES)}")
        rows.append((target.polar - reference.polar, math.sin(turn), math.cos(turn), last))
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)
