"""Mugs, bottles, vases: what holds something. Handles point to +x."""

from __future__ import annotations

import math

from ..builder import Builder, cut
from ..textures import Material

UPRIGHT = (math.pi / 2, 0.0, 0.0)  # turns a ring about z into one in the x-z plane


def handle(b: Builder, radius: float, z: float, size: float, thick: float, m: Material) -> None:
    """A half ring on the wall of a vessel, or an angular one."""
    if b.chance(0.7):
        b.ring((radius, 0, z), size, thick, m, UPRIGHT, cut("-x", -0.01))
        return
    out = radius + 0.9 * size
    b.rod((radius - 0.01, 0, z + 0.7 * size), (out, 0, z + 0.7 * size), thick, m)
    b.rod((radius - 0.01, 0, z - 0.7 * size), (out, 0, z - 0.7 * size), thick, m)
    b.rod((out, 0, z + 0.7 * size), (out, 0, z - 0.7 * size), thick, m)


def mug(b: Builder) -> None:
    """Mugs, tea cups on saucers, beer mugs, camping cups, teapots."""
    kind = b.pick("mug", "mug", "mug", "teacup", "teacup", "beer", "teapot")
    clay, drink = b.material("ceramic", "plastic", "white"), b.material("earth", "leather")
    if kind == "teapot":
        teapot(b, clay)
        return
    radius, half = b.u(0.22, 0.32), b.u(0.2, 0.36)
    top, wall, thick = radius * b.u(0.95, 1.12), b.u(0.03, 0.05), b.u(0.028, 0.045)
    if kind == "teacup":
        half, radius = 0.17, 0.16
        top = 0.3
        b.disc((0, 0, -0.03), 0.2, 0.025, clay, top=0.42, edge=0.01)
    if kind == "beer":
        half, clay, drink = 0.4, b.material("glass", "light"), b.material("white")
        radius = top = 0.24
    b.disc((0, 0, half), radius, half, clay, top=top, wall=wall, edge=0.4 * wall)
    b.disc((0, 0, 0.03), 0.97 * radius, 0.03, clay)
    b.disc((0, 0, half * b.u(1.2, 1.7)), 0.5 * (radius + top) - 0.5 * wall, 0.012, drink)
    handle(b, 0.5 * (radius + top) - 0.4 * wall, half * 1.05, half * b.u(0.5, 0.65), thick, clay)
    if kind == "mug" and b.chance(0.4):
        middle = (radius + top) / 2 + 0.004
        b.disc((0, 0, half), middle, half * b.u(0.15, 0.45), b.material("plastic", "ceramic"), wall=0.02)
    if kind == "mug" and b.chance(0.25):
        b.ball((-0.98 * radius, 0, half), (0.03, 0.11, 0.11), b.material("plastic"))


def teapot(b: Builder, clay: Material) -> None:
    radius, squash = 0.3, b.u(0.75, 1.0)
    z = radius * squash
    with b.joined(0.025):
        b.ball((0, 0, z), (radius, radius, z), clay)
        b.rod((-0.2, 0, 0.75 * z), (-0.5, 0, 1.7 * z), 0.085, clay, tip=0.035)
        b.disc((0, 0, 0.03), 0.17, 0.03, clay)
    handle(b, 0.25, 1.05 * z, 0.19, 0.028, clay)
    b.ball((0, 0, 1.9 * z), (0.15, 0.15, 0.05), b.pick(clay, b.material("ceramic")))
    b.ball((0, 0, 1.9 * z + 0.07), 0.04, b.pick(clay, b.material("wood")))


def bottle(b: Builder) -> None:
    """Wine, milk and water bottles, flasks, jars, cans, sprays, tubes."""
    kind = b.pick("wine", "wine", "milk", "square", "spray", "jar", "can")
    glass, cap = b.material("glass", "plastic", "white", "leaf"), b.material("plastic", "metal", "wood")
    label = b.material("white", "fabric", "plastic")
    radius, half = b.u(0.13, 0.18), b.u(0.25, 0.36)
    if kind in ("jar", "can"):
        jar(b, kind, radius, 0.6 * half, glass, cap, label)
        return
    shoulder, neck = radius * b.u(0.6, 1.4), radius * b.u(0.28, 0.42)
    tall = b.u(0.06, 0.16) if kind == "wine" else 0.04
    if kind == "square":
        b.box((0, 0, half), (0.75 * radius, radius, half), glass, edge=0.04)
        b.box((0, 0, 0.9 * half), (0.77 * radius, 0.85 * radius, 0.5 * half), label)
        b.disc((0, 0, 2 * half + shoulder / 2), 0.75 * radius, shoulder / 2, glass, top=neck)
    else:
        b.disc((0, 0, half), radius, half, glass, edge=0.03)
        if b.chance(0.8):
            b.disc((0, 0, half * b.u(0.75, 1.05)), 1.015 * radius, half * b.u(0.3, 0.6), label)
        if b.chance(0.5):
            b.disc((0, 0, 2 * half + shoulder / 2 - 0.02), radius, shoulder / 2, glass, top=neck)
        else:
            b.ball((0, 0, 2 * half - 0.02), (radius, radius, shoulder), glass, cut=cut("-z"))
    z = 2 * half + 0.9 * shoulder
    b.disc((0, 0, z + tall - 0.02), neck, tall, glass)
    if kind == "spray":
        b.box((0.03, 0, z + 0.12), (0.1, 0.045, 0.045), cap, edge=0.02)
        b.rod((0.06, 0, z + 0.1), (0.1, 0, z), 0.018, cap)
        b.disc((0, 0, z + 0.06), 1.3 * neck, 0.03, cap)
    else:
        b.disc((0, 0, z + 2 * tall), 1.12 * neck, b.u(0.025, 0.07), cap, edge=0.01)


def jar(
    b: Builder, kind: str, radius: float, half: float, glass: Material, cap: Material, label: Material
) -> None:
    if kind == "can":
        metal = b.material("metal")
        b.disc((0, 0, half), radius, half, b.material("plastic", "paint", "metal"), edge=0.02)
        for z in (0.0, 2 * half):
            b.disc((0, 0, z), 0.9 * radius, 0.025, metal, edge=0.012)
        b.box((0.05, 0, 2 * half + 0.03), (0.05, 0.03, 0.012), metal)
        return
    radius *= 1.3
    b.disc((0, 0, half), radius, half, glass, edge=0.06)
    b.disc((0, 0, 2 * half + 0.03), 0.85 * radius, 0.045, cap, edge=0.012)
    if b.chance(0.7):
        b.disc((0, 0, half), 1.01 * radius, 0.45 * half, label)


def vase(b: Builder) -> None:
    """Bellied, slender, two-handled or angular vases, bowls, jugs."""
    clay = b.material("ceramic", "ceramic", "glass", "stone", "brass")
    kind = b.pick("belly", "belly", "cone", "amphora", "bowl", "jug", "bulb")
    if kind == "bowl":
        bowl(b, clay)
        return
    belly, height = b.u(0.16, 0.26), b.u(0.5, 0.75)
    low, neck = height * b.u(0.3, 0.5), belly * b.u(0.35, 0.55)
    lip = neck * b.u(1.1, 1.8)
    if kind == "cone":
        base = b.u(0.1, 0.24)
        b.disc((0, 0, height / 2), base, height / 2, clay, top=b.u(0.12, 0.26), wall=0.03, edge=0.01)
        b.disc((0, 0, 0.03), 0.95 * base, 0.03, clay)
    else:
        with b.joined(b.u(0.015, 0.05)):
            b.ball((0, 0, low), (belly, belly, 0.95 * low), clay, b.pick(2, 2, 2.6))
            b.disc((0, 0, 0.03), belly * b.u(0.5, 0.7), 0.03, clay)
            b.disc((0, 0, (height + low) / 2), 1.1 * neck, (height - low) / 2, clay, top=0.95 * neck)
            b.disc((0, 0, height), neck, 0.05, clay, top=lip)
            if kind == "bulb":
                b.ball((0, 0, 0.8 * height), 1.7 * neck, clay)
        b.disc((0, 0, height + 0.06), 0.8 * lip, 0.012, b.material("earth", "rubber"))
    size = 0.3 * height
    if kind == "amphora":
        with b.mirrored("x"):
            b.ring((0.8 * neck, 0, 0.78 * height), 0.65 * size, 0.022, clay, UPRIGHT, cut("-x", -0.01))
    elif kind == "jug":
        b.ring((0.8 * neck, 0, 0.75 * height), 0.75 * size, 0.026, clay, UPRIGHT, cut("-x", -0.01))
        b.rod((-0.5 * neck, 0, 0.93 * height), (-1.5 * lip, 0, height + 0.06), 0.05, clay, tip=0.04)
    if kind == "belly" and b.chance(0.5):
        b.ring((0, 0, low), 0.985 * belly, 0.016, b.material("ceramic", "brass"))
    if b.chance(0.25) and kind != "jug":
        bunch(b, height)


def bowl(b: Builder, clay: Material) -> None:
    """Half a ball with a dark or filled inside; fruit in some."""
    b.ball((0, 0, 0.26), (0.38, 0.38, 0.24), clay, b.u(2, 2.6), cut=cut("+z"))
    b.disc((0, 0, 0.02), 0.16, 0.03, clay)
    b.ring((0, 0, 0.26), 0.365, 0.018, clay)
    if b.chance(0.6):
        for c, s, _ in b.around(b.count(3, 5), b.u(0, 2)):
            b.ball((0.19 * c, 0.19 * s, 0.31), b.u(0.1, 0.13), b.material("flower", "plastic"))
        b.ball((0, 0, 0.39), 0.12, b.material("flower", "plastic"))
    else:
        b.disc((0, 0, 0.262), 0.35, 0.012, b.material("earth", "light", "flower"))


def bunch(b: Builder, z: float) -> None:
    """Stems with blossoms."""
    for c, s, _ in b.around(b.count(3, 5), b.u(0, 3)):
        reach, high = b.u(0.08, 0.2), z + b.u(0.2, 0.4)
        b.rod((0, 0, z), (reach * c, reach * s, high), 0.012, b.material("leaf"))
        b.ball((reach * c, reach * s, high), (0.06, 0.06, 0.045), b.material("flower"))


def bucket(b: Builder) -> None:
    """Pails with a hoop to carry them by, tubs, barrels, baskets, plant pots."""
    kind = b.pick("pail", "pail", "tub", "barrel", "basket")
    m, inside = (
        b.material("wood", "metal", "plastic", "brass", "brick"),
        b.material("earth", "leather", "glass"),
    )
    radius, half = b.u(0.2, 0.27), b.u(0.14, 0.28)
    top = radius * b.u(0.95, 1.4)
    if kind == "barrel":
        m, hoop = b.material("wood", "wood", "paint"), b.material("metal", "rubber")
        b.disc((0, 0, 0.2), 0.27, 0.2, m, top=0.33)
        b.disc((0, 0, 0.6), 0.33, 0.2, m, top=0.27)
        b.disc((0, 0, 0.8), 0.25, 0.014, b.material("wood"))
        for z in (0.1, 0.3, 0.5, 0.7):
            b.ring((0, 0, z), 0.33 - 0.15 * abs(z - 0.4), 0.016, hoop)
        return
    b.disc((0, 0, half), radius, half, m, top=top, wall=0.035, edge=0.01)
    b.disc((0, 0, 0.02), 0.97 * radius, 0.02, m)
    b.disc((0, 0, half * b.u(0.5, 1.7)), (radius + top) / 2 - 0.03, 0.012, inside)
    rim = b.material("metal", "wood", "rubber", "plastic")
    for share in (0.2, 0.75, 1.0)[b.count(0, 3) :]:
        b.ring((0, 0, 2 * half * share), radius + (top - radius) * share, 0.02, rim)
    if kind == "basket" and b.chance(0.6):
        for c, s, _ in b.around(b.count(3, 5), b.u(0, 2)):
            b.ball((0.5 * top * c, 0.5 * top * s, 1.9 * half), b.u(0.08, 0.11), b.material("flower"))
    if kind == "tub":
        with b.mirrored():
            b.ring((0, top, 1.8 * half), 0.07, 0.02, rim, (math.pi / 2, 0, math.pi / 2))
        return
    fallen = b.pick(0.0, 0.0, b.u(0.2, 1.45)) if kind == "pail" else 0.0
    b.ring(
        (0, 0, 2 * half - 0.01), 0.98 * top, b.u(0.014, 0.026), rim, (math.pi / 2 + fallen, 0, 0), cut("-y")
    )
