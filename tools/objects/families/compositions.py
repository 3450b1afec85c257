"""Free piles of solids: what no family makes."""

from __future__ import annotations

import math

from ..builder import Builder, Triple
from ..textures import Material

PALETTES = ("plastic", "paint", "wood", "metal", "fabric", "ceramic", "stone", "fur")


def composition(b: Builder) -> None:
    """Two to eight solids near each other; some mirrored, some upright in a column, some flowing together."""
    palette = [b.material(*PALETTES) for _ in range(b.count(1, 3))]
    form = b.pick("free", "mirrored", "column", "joined", "joined mirrored")
    count = b.count(2, 4 if "joined" in form else 5)
    smoothness = b.u(0.015, 0.06)
    with b.mirrored("y" if "mirrored" in form else ""):
        if "joined" in form:
            with b.joined(smoothness):
                for _ in range(count):
                    solid(b, place(b, 0.22), b.pick(*palette), soft=True)
        else:
            z = 0.0
            for _ in range(count):
                half = b.u(0.06, 0.2)
                at = (0.0, 0.0, z + half) if form == "column" else place(b, 0.32)
                solid(b, at, b.pick(*palette), half=half, tilted=form != "column")
                z += 1.8 * half


def place(b: Builder, spread: float) -> Triple:
    return [b.u(-spread, spread) for _ in range(3)]


def solid(b: Builder, at: Triple, m: Material, half: float | None = None, tilted=True, soft=False) -> None:
    """Any primitive of any proportions."""
    x, y = b.u(0.07, 0.3), b.u(0.07, 0.3)
    z = b.u(0.07, 0.3) if half is None else half
    turn = [b.u(-0.6, 0.6) for _ in range(3)] if tilted and b.chance(0.5) else [0.0, 0.0, 0.0]
    kind = b.pick("box", "ball", "disc", "cone", "ring", "rod", "pillow", "roof", "tube")
    if kind in ("box", "roof"):
        taper = b.pick((1, 0), (1, 1), (0.5, 0.5)) if kind == "roof" else (0, 0)
        b.box(at, (x, y, z), m, edge=b.pick(0, 0.03) + 0.02 * soft, taper=taper, turn=turn)
    elif kind == "disc":
        b.disc(at, x, z, m, edge=b.pick(0, 0.03), turn=turn)
    elif kind == "cone":
        b.disc(at, x, z, m, top=x * b.u(0.05, 0.6), turn=turn)
    elif kind == "tube":
        b.disc(at, x, z, m, wall=min(0.05, x), turn=turn)
    elif kind == "ring":
        b.ring(at, max(x, 0.1), b.u(0.025, 0.07), m, [turn[0] + b.pick(0, math.pi / 2), turn[1], turn[2]])
    elif kind == "rod":
        b.rod(at, (at[0] + x * b.pick(-1, 1), at[1] + y - 0.15, at[2] + z), b.u(0.03, 0.1), m)
    else:
        b.ball(at, (x, y, z), m, b.u(1.2, 6) if kind == "pillow" else 2.0, turn)
