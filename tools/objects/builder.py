"""The vocabulary families are written in: add solids to a z-up scene that faces +x and stands at z = 0.

Enters: a random generator. Leaves: lists of parts for ``generator.py``. ``with b.mirrored():`` adds each
solid once more on the other side (y); ``with b.joined():`` lets solids flow into each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from . import primitives
from .primitives import UNCUT, Row
from .textures import Material, draw_material

THINNEST = 0.012
Vector = tuple[float, float, float]
Triple = Vector | list[float]
AXES = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Part:
    at: Vector
    turn: Vector  # about x, then y, then z
    solid: Row
    material: Material
    group: int


def cut(side: str, at: float = 0.0) -> tuple[float, ...]:
    """The plane that takes away what lies on ``side`` ("+z": above) of ``at`` in the solid's frame."""
    sign = 1.0 if side[0] == "+" else -1.0
    normal = [0.0, 0.0, 0.0]
    normal[AXES[side[1]]] = sign
    return (*normal, sign * at)


class Builder:
    def __init__(self, rng: np.random.Generator, photos: int = 0) -> None:
        self.rng, self.photos = rng, photos
        self.parts: list[Part] = []
        self.smoothness: list[float] = []
        self._mirrors, self._group = "", -1

    # What varies.

    def u(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def count(self, low: int, high: int) -> int:
        """low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def material(self, *palettes: str) -> Material:
        return draw_material(self.rng, palettes, self.photos)

    # Solids.

    def box(
        self, at: Triple, half: Triple, m: Material, edge=0.0, taper=(0.0, 0.0), turn=(0, 0, 0), cut=UNCUT
    ):
        """``taper``: the share of x and y gone at the top; (1, 0) is a gable roof, (1, 1) a pyramid."""
        self.add(primitives.box([max(h, THINNEST) for h in half], edge, taper, cut), at, m, turn)

    def ball(self, at: Triple, radii: Triple | float, m: Material, power=2.0, turn=(0, 0, 0), cut=UNCUT):
        """An ellipsoid; a higher ``power`` is boxier."""
        radii = (radii,) * 3 if isinstance(radii, int | float) else radii
        self.add(primitives.superquadric([max(r, THINNEST) for r in radii], power, cut), at, m, turn)

    def disc(
        self, at: Triple, radius, half, m: Material, top=None, edge=0.0, wall=None, turn=(0, 0, 0), cut=UNCUT
    ):
        """A cylinder along z, a cone with ``top`` for its upper radius, a tube with a ``wall``."""
        self.add(primitives.disc(radius, max(half, THINNEST), top, edge, wall, cut), at, m, turn)

    def ring(self, at: Triple, radius: float, thickness: float, m: Material, turn=(0, 0, 0), cut=UNCUT):
        self.add(primitives.ring(radius, max(thickness, THINNEST), cut), at, m, turn)

    def rod(self, start: Triple, end: Triple, radius: float, m: Material, tip: float | None = None) -> None:
        """Round, from point to point; with ``tip`` a cone that ends in that radius, without round ends."""
        middle, half, turn = _between(start, end)
        radius = max(radius, THINNEST)
        solid = primitives.capsule(radius, half) if tip is None else primitives.disc(radius, half, tip)
        self.add(solid, middle, m, turn)

    def beam(self, start: Triple, end: Triple, half: tuple[float, float], m: Material, edge=0.0) -> None:
        """Square-edged, from point to point; half sizes across it, in its plane with z and sideways."""
        middle, length, turn = _between(start, end)
        self.add(primitives.box((*(max(h, THINNEST) for h in half), length), edge), middle, m, turn)

    def wheel(self, at: Triple, radius: float, half_width: float, tyre: Material, hub: Material) -> None:
        """Rolls along x."""
        self.disc(at, radius, half_width, tyre, edge=0.25 * half_width, turn=(math.pi / 2, 0, 0))
        self.disc(at, 0.55 * radius, 1.12 * half_width, hub, turn=(math.pi / 2, 0, 0))

    def around(self, count: int, start: float = 0.0) -> list[tuple[float, float, float]]:
        """(cosine, sine, angle) of evenly spaced directions."""
        angles = [start + 2 * math.pi * i / count for i in range(count)]
        return [(math.cos(a), math.sin(a), a) for a in angles]

    def add(self, solid: Row, at: Triple, material: Material, turn: Triple = (0.0, 0.0, 0.0)) -> None:
        x, y, z = at
        for sx in (1, -1) if "x" in self._mirrors else (1,):
            for sy in (1, -1) if "y" in self._mirrors else (1,):
                turned = (sy * turn[0], sx * turn[1], sx * sy * turn[2])
                flipped = (*solid[:9], sx * solid[9], sy * solid[10], *solid[11:])
                self.parts.append(Part((sx * x, sy * y, z), turned, flipped, material, self._next_group()))

    def _next_group(self) -> int:
        if self._group >= 0:
            return self._group
        self.smoothness.append(0.0)
        return len(self.smoothness) - 1

    @contextmanager
    def mirrored(self, axes: str = "y") -> Iterator[None]:
        """Each solid also with y (or x, or both: four times) of opposite sign."""
        self._mirrors = axes
        yield
        self._mirrors = ""

    @contextmanager
    def joined(self, smoothness: float = 0.03) -> Iterator[None]:
        """One smooth body of all solids inside; at most about ten, for each costs in all of its pixels."""
        self.smoothness.append(smoothness)
        self._group = len(self.smoothness) - 1
        yield
        self._group = -1


def _between(start: Triple, end: Triple) -> tuple[Vector, float, Vector]:
    """Middle, half length and turn that takes z along the way from start to end."""
    (ax, ay, az), (bx, by, bz) = start, end
    x, y, z = bx - ax, by - ay, bz - az
    length = max(math.sqrt(x * x + y * y + z * z), 1e-6)
    middle = ((ax + bx) / 2, (ay + by) / 2, (az + bz) / 2)
    return middle, length / 2, (0.0, math.acos(max(-1.0, min(1.0, z / length))), math.atan2(y, x))
