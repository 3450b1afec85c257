"""Objects in closed form: a name goes in, solids with colours come out.

Each asks something else of a reconstruction: smoothness and stripes (ball), a hole (torus), edges (box),
parts that meet (figure), thin legs (chair), a hollow that is seen into and a handle (mug). They are matt, as
a texture can hold no highlight, and lit by one light that stands still.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from objects.builder import Builder, cut
from objects.generator import assemble
from objects.scene import ProceduralObject
from objects.textures import CHECKS, GRADIENT, SOLID, STRIPES, Material

LIGHT = (
    *(0.36, 0.48, 0.8), *(0.45, 0.44, 0.42),  # a lamp: where it is, and how bright
    *(0.0, 0.0, 1.0), *(0.0, 0.0, 0.0),
    *(0.6, 0.6, 0.6), *(0.5, 0.5, 0.5), 0.0,
)  # fmt: skip
"""Of :data:`objects.lights.LIGHT`; no highlights."""

RED, BLUE, CREAM, GREEN, GOLD, SKIN, BROWN = (
    (0.78, 0.18, 0.15), (0.16, 0.32, 0.68), (0.93, 0.89, 0.78), (0.2, 0.52, 0.3), (0.9, 0.66, 0.2),
    (0.9, 0.68, 0.54), (0.45, 0.28, 0.16),
)  # fmt: skip

Colour = tuple[float, float, float]


def _paint(
    first: Colour, second: Colour = (0.0, 0.0, 0.0), kind: int = SOLID, cells: Colour = (0.0, 0.0, 0.0)
) -> Material:
    """``cells``: of the pattern, to a unit of length of the finished object."""
    return (*first, *second, float(kind), *cells, 0.25, 0.0, 0.0)


def _ball(b: Builder) -> None:
    b.ball((0, 0, 0), 0.5, _paint(RED, CREAM, STRIPES, (0, 0, 9)))


def _torus(b: Builder) -> None:
    b.ring((0, 0, 0), 0.35, 0.13, _paint(GOLD, BLUE, CHECKS, (7, 7, 7)), turn=(0.35, 0, 0))


def _box(b: Builder) -> None:
    b.box((0, 0, 0), (0.42, 0.3, 0.34), _paint(GREEN, CREAM, CHECKS, (6, 6, 6)), edge=0.07)


def _figure(b: Builder) -> None:
    cloth, skin, trousers = _paint(BLUE, GOLD, STRIPES, (0, 0, 14)), _paint(SKIN), _paint(BROWN)
    b.rod((0, 0, 0.5), (0, 0, 0.78), 0.15, cloth)
    b.ball((0, 0, 1.06), 0.15, skin)
    b.ball((0.14, 0, 1.06), 0.035, _paint(RED))
    with b.mirrored():
        b.rod((0, 0.16, 0.82), (0.06, 0.36, 0.55), 0.06, cloth)
        b.ball((0.08, 0.39, 0.5), 0.07, skin)
        b.rod((0, 0.09, 0.42), (0, 0.12, 0.08), 0.08, trousers)
        b.box((0.06, 0.12, 0.04), (0.13, 0.07, 0.05), _paint(RED), edge=0.03)


def _chair(b: Builder) -> None:
    wood, cushion = _paint(BROWN), _paint(RED, CREAM, CHECKS, (9, 9, 9))
    with b.mirrored("xy"):
        b.box((0.21, 0.21, 0.22), (0.03, 0.03, 0.22), wood)
    b.box((0, 0, 0.46), (0.25, 0.25, 0.025), wood)
    b.box((0.01, 0, 0.5), (0.22, 0.23, 0.025), cushion, edge=0.02)
    with b.mirrored():
        b.box((-0.23, 0.21, 0.75), (0.025, 0.03, 0.27), wood)
    b.box((-0.23, 0, 0.9), (0.02, 0.19, 0.1), _paint(GREEN, CREAM, GRADIENT, (0, 2.5, 0)))
    b.box((-0.23, 0, 0.68), (0.015, 0.19, 0.03), wood)


def _mug(b: Builder) -> None:
    glaze = _paint(BLUE, CREAM, STRIPES, (0, 0, 8))
    b.disc((0, 0, 0.4), 0.32, 0.4, glaze, wall=0.06)
    b.disc((0, 0, 0.03), 0.32, 0.03, _paint(CREAM))
    b.ring(
        (0, 0.3, 0.4), 0.2, 0.045, _paint(GOLD), turn=(math.pi / 2, 0, math.pi / 2), cut=cut("-x")
    )  # about x, its outer half


_SCENES: dict[str, Callable[[Builder], None]] = {
    "ball": _ball,
    "torus": _torus,
    "box": _box,
    "figure": _figure,
    "chair": _chair,
    "mug": _mug,
}
SCENES = tuple(_SCENES)


def scene(name: str) -> ProceduralObject:
    """Centred, and scaled to the cameras of Zero123; the light is part of it.

    Raises:
        KeyError: no such scene.
    """
    builder = Builder(np.random.default_rng(0))
    _SCENES[name](builder)
    return assemble(name, builder, 0.0, LIGHT)
