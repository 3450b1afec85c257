"""Cars, trucks, planes, boats. All face +x."""

from __future__ import annotations

import math

import numpy as np

from ..builder import Builder, cut
from ..textures import Material


def wheels(b: Builder, places: list[float], y: float, radius: float, thick: float) -> None:
    """A pair of wheels at each x."""
    tyre, hub = b.material("rubber"), b.material("metal", "metal", "plastic")
    with b.mirrored():
        for x in places:
            b.wheel((x, y, radius), radius, thick, tyre, hub)


def lights(b: Builder, front: float, rear: float, y: float, z: float) -> None:
    """Head and tail lights."""
    white, red, round_ones = b.material("light"), b.material("red light"), b.chance(0.5)
    with b.mirrored():
        if round_ones:
            b.ball((front, y, z), 0.035, white)
        else:
            b.box((front, y, z), (0.015, 0.05, 0.022), white)
        b.box((rear, y, z + 0.01), (0.015, 0.04, 0.025), red)


CARS = {  # half length, cabin's middle, its half length, tapers, height of the cabin, of the body
    "saloon": (0.62, -0.06, 0.34, 0.36, 0.13, 0.105),
    "hatchback": (0.5, -0.1, 0.37, 0.26, 0.14, 0.11),
    "estate": (0.6, -0.15, 0.43, 0.2, 0.13, 0.11),
    "jeep": (0.52, -0.12, 0.38, 0.08, 0.15, 0.14),
    "van": (0.55, -0.06, 0.48, 0.14, 0.17, 0.14),
    "sports": (0.62, -0.08, 0.3, 0.5, 0.1, 0.085),
    "beetle": (0.5, -0.06, 0.34, 0.4, 0.14, 0.12),
    "pickup": (0.64, 0.08, 0.22, 0.2, 0.14, 0.11),
}


def car(b: Builder) -> None:
    """Body, windows, roof, wheels, lights, bumpers."""
    kind = b.pick(*CARS)
    length, middle, cabin, taper, tall, half = (value * b.u(0.93, 1.07) for value in CARS[kind])
    width, radius = b.u(0.24, 0.28), b.u(0.1, 0.125) + (0.02 if kind == "jeep" else 0)
    paint, glass, dark = b.material("paint"), b.material("glass"), b.material("rubber")
    floor = 0.8 * radius
    b.box((0, 0, floor + half), (length, width, half), paint, edge=b.u(0.25, 0.9) * half)
    z = floor + 2 * half + tall - 0.02
    if kind == "beetle":
        b.ball((middle, 0, floor + 1.8 * half), (cabin + 0.06, 0.92 * width, 2 * tall), glass, 2.3)
        b.ball((middle, 0, floor + 1.9 * half), (cabin, 0.86 * width, 2 * tall + 0.02), paint, 2.3)
    else:
        b.box((middle, 0, z), (cabin, 0.93 * width, tall), glass, taper=(taper, 0.2), edge=0.02)
        roof = (1 - taper) * cabin
        b.box((middle, 0, z + tall), (roof, 0.75 * width, 0.022), paint, edge=0.015)
        pillars = b.pick((0.0,), (-0.45, 0.3))
        for share in pillars:
            b.box((middle + share * cabin, 0, z), (0.022, 0.945 * width, 0.99 * tall), paint, taper=(0, 0.2))
    if kind == "pickup":
        b.box((-0.58 * length, 0, floor + 2 * half), (0.36 * length, 0.82 * width, 0.012), dark)
        with b.mirrored():
            b.box((-0.56 * length, 0.92 * width, floor + 2 * half), (0.42 * length, 0.02, 0.05), paint)
    if kind == "jeep" and b.chance(0.5):
        b.disc((-length - 0.03, 0, floor + 1.4 * half), 0.9 * radius, 0.035, dark, turn=(0, math.pi / 2, 0))
    wheels(b, [0.62 * length, -0.62 * length], width - 0.02, radius, 0.045)
    lights(b, length - 0.005, -length + 0.005, 0.68 * width, floor + 1.25 * half)
    for end in (length, -length):
        b.box((end, 0, floor + 0.5 * half), (0.025, 0.85 * width, 0.03), b.pick(dark, paint), edge=0.012)


def truck(b: Builder) -> None:
    """A cab and what it pulls: box, tank, flat bed, tipper, crane; or a bus, or a tractor."""
    kind = b.pick("box", "box", "tank", "tipper", "flat", "bus", "tractor", "fire", "fire")
    if kind == "tractor":
        tractor(b)
        return
    paint, glass, dark = b.material("paint"), b.material("glass"), b.material("rubber")
    load = b.material("white", "paint", "metal")
    if kind == "fire":
        load = b.material("red light", "red light", "paint")
        paint = b.pick(load, b.material("white"))
    length, width, radius = b.u(0.6, 0.85), b.u(0.2, 0.25), b.u(0.085, 0.11)
    base = 1.5 * radius
    wheels(b, [0.78 * length, -0.45 * length, -0.75 * length], width - 0.02, radius, 0.045)
    if kind == "bus":
        tall = b.u(0.2, 0.27)
        b.box((0, 0, radius + tall), (length, width, tall), paint, edge=0.03)
        b.box((0, 0, radius + 1.3 * tall), (0.93 * length, 1.02 * width, 0.3 * tall), glass)
        b.box((length, 0, radius + 1.25 * tall), (0.012, 0.85 * width, 0.4 * tall), glass)
        for x in np.linspace(-0.6, 0.6, 4) * length:
            b.box((x, 0, radius + 1.3 * tall), (0.015, 1.03 * width, 0.3 * tall), paint)
        lights(b, length, -length, 0.75 * width, radius + 0.4 * tall)
        return
    cab, tall = b.u(0.15, 0.2), b.u(0.19, 0.24)
    x = length - cab
    b.box((0, 0, base), (length, 0.6 * width, 0.035), dark)
    b.box((x, 0, base + tall), (cab, width, tall), paint, edge=0.025, taper=(b.pick(0, 0.15), 0))
    b.box(
        (x + cab * 0.95, 0, base + 1.4 * tall), (0.02, 0.86 * width, 0.36 * tall), glass, turn=(0, -0.04, 0)
    )
    b.box((x + 0.2 * cab, 0, base + 1.4 * tall), (0.55 * cab, 1.01 * width, 0.33 * tall), glass)
    lights(b, length, -length, 0.75 * width, base + 0.35 * tall)
    if kind == "fire":
        b.box((x, 0, base + 0.35 * tall), (1.02 * cab, 1.015 * width, 0.35 * tall), load)
        b.box((x, 0, base + 2 * tall), (0.05, 0.8 * width, 0.025), b.material("red light", "glass"))
        b.box((length, 0, base + 0.35 * tall), (0.03, 0.5 * width, 0.05), b.material("metal"))
    cargo(b, kind, (-cab, length - cab - 0.02, width, base + 0.03), load)


def cargo(b: Builder, kind: str, place: tuple[float, float, float, float], m: Material) -> None:
    x, length, width, z = place
    tall = b.u(0.2, 0.32)
    if kind == "tank":
        b.disc((x, 0, z + 0.2), 0.2, length, m, edge=0.06, turn=(0, math.pi / 2, 0))
        for share in (-0.5, 0.5):
            b.disc(
                (x + share * length, 0, z + 0.2), 0.206, 0.02, b.material("metal"), turn=(0, math.pi / 2, 0)
            )
    elif kind == "tipper":
        b.box((x, 0, z + 0.15), (length, width, 0.15), m, taper=(-0.12, -0.12), turn=(0, b.pick(0, 0.25), 0))
        b.ball((x, 0, z + 0.27), (0.85 * length, 0.8 * width, 0.13), b.material("earth", "stone"))
    elif kind == "flat":
        b.box((x, 0, z + 0.02), (length, width, 0.02), m)
        for share in np.linspace(-0.6, 0.6, b.count(2, 3)):
            half = b.u(0.08, 0.15)
            b.box(
                (x + share * length, 0, z + 0.04 + half),
                (0.2 * length, 0.8 * width, half),
                b.material("wood", "plastic"),
            )
    else:
        b.box((x, 0, z + tall), (length, 1.02 * width, tall), m, edge=0.012)
        if kind == "fire":
            fire_engine(b, place, tall)
        elif b.chance(0.5):
            b.box((x, 0, z + 1.1 * tall), (0.7 * length, 1.03 * width, 0.25 * tall), b.material("paint"))


def fire_engine(b: Builder, place: tuple[float, float, float, float], tall: float) -> None:
    """Shutters and a stripe on the sides, a ladder on the roof."""
    x, length, width, z = place
    metal, stripe = b.material("metal"), b.material("white", "light")
    for share in np.linspace(-0.62, 0.62, b.count(2, 4)):
        b.box((x + share * length, 0, z + 1.25 * tall), (0.17 * length, 1.035 * width, 0.45 * tall), metal)
    b.box((x, 0, z + 0.5 * tall), (length, 1.04 * width, 0.09 * tall), stripe)
    if b.chance(0.7):
        rail, top = b.material("metal", "light"), z + 2 * tall + 0.03
        with b.mirrored():
            b.beam((x - length, 0.09, top), (x + length + 0.1, 0.09, top + 0.07), (0.016, 0.014), rail)
        for share in np.linspace(-0.8, 0.9, 6):
            b.box((x + share * length, 0, top + 0.035 * (1 + share)), (0.014, 0.09, 0.014), rail)


def tractor(b: Builder) -> None:
    paint, glass, tyre, hub = (
        b.material("paint"),
        b.material("glass"),
        b.material("rubber"),
        b.material("paint", "light"),
    )
    b.box((0.2, 0, 0.33), (0.3, 0.11, 0.12), paint, edge=0.03)
    b.box((-0.2, 0, 0.28), (0.2, 0.16, 0.08), paint, edge=0.02)
    b.box((-0.2, 0, 0.5), (0.17, 0.17, 0.17), glass, taper=(0.2, 0.1))
    b.box((-0.2, 0, 0.68), (0.17, 0.18, 0.018), paint)
    b.rod((0.3, 0.05, 0.4), (0.3, 0.05, 0.65), 0.02, b.material("metal", "rubber"))
    with b.mirrored():
        b.wheel((-0.25, 0.24, 0.24), 0.24, 0.07, tyre, hub)
        b.wheel((0.36, 0.18, 0.13), 0.13, 0.05, tyre, hub)
        b.ball((0.5, 0.07, 0.36), 0.025, b.material("light"))


def plane(b: Builder) -> None:
    """Airliners, propeller planes, biplanes, jets, helicopters."""
    kind = b.pick("airliner", "airliner", "propeller", "biplane", "jet", "helicopter")
    if kind == "helicopter":
        helicopter(b)
        return
    body, wing, glass = (
        b.material("white", "paint", "metal"),
        b.material("paint", "metal"),
        b.material("glass"),
    )
    length, thick = b.u(0.55, 0.7), b.u(0.065, 0.085) if kind in ("airliner", "jet") else b.u(0.085, 0.11)
    b.rod((-0.45 * length, 0, 0), (0.8 * length, 0, 0), thick, body)
    b.rod((-0.42 * length, 0, 0), (-1.05 * length, 0, 0.5 * thick), thick, body, tip=0.3 * thick)
    nose = 0.8 * length
    if kind == "jet":
        b.rod((nose, 0, 0), (nose + 0.35, 0, -0.01), 0.95 * thick, body, tip=0.01)
    span, sweep = b.u(0.5, 0.65), {"airliner": 0.45, "jet": 0.55}.get(kind, 0.03)
    chord = 0.24 if kind == "jet" else b.u(0.1, 0.14)
    wings(b, (0.05 * length, -0.3 * thick), span, chord, sweep, wing)
    if kind == "biplane":
        wings(b, (0.05 * length, 0.26), span, chord, 0.0, wing)
        with b.mirrored():
            b.rod((0.05, 0.6 * span, -0.02), (0.05, 0.6 * span, 0.26), 0.014, wing)
            b.rod((0.05, 0.1, 0.05), (0.05, 0.12, 0.26), 0.014, wing)
    wings(b, (-0.92 * length, 0.5 * thick), 0.36 * span, 0.55 * min(chord, 0.14), sweep, wing)
    high = b.u(0.11, 0.15)
    b.box(
        (-0.95 * length, 0, 0.6 * thick + high), (0.09, 0.014, high), wing, taper=(0.5, 0), turn=(0, -0.45, 0)
    )
    if kind == "airliner":
        airliner(b, length, thick, span, glass)
        return
    b.ball((0.35 * length, 0, 0.8 * thick), (0.16, 0.75 * thick, 0.07), glass)
    if kind != "jet":
        propeller(b, (nose + thick, 0, 0), 0.2, b.material("rubber", "metal"))
        with b.mirrored():
            b.wheel((0.4 * length, 0.13, -0.19), 0.05, 0.02, b.material("rubber"), wing)
            b.rod((0.4 * length, 0.05, -0.05), (0.4 * length, 0.12, -0.18), 0.014, wing)


def airliner(b: Builder, length: float, thick: float, span: float, glass: Material) -> None:
    """Rows of windows, the cockpit's, and engines under the wings."""
    b.box((0.15 * length, 0, 0.3 * thick), (0.55 * length, 0.98 * thick, 0.013), glass)
    b.box((0.8 * length + 0.5 * thick, 0, 0.45 * thick), (0.3 * thick, 0.6 * thick, 0.015), glass)
    engine = b.material("metal", "paint")
    with b.mirrored():
        b.rod((0.02, 0.42 * span, -0.09), (0.15, 0.42 * span, -0.09), 0.045, engine, tip=0.05)


def wings(b: Builder, at: tuple[float, float], span: float, chord: float, sweep: float, m: Material) -> None:
    """A pair: tapered boxes whose z runs along the span, swept back."""
    x, z = at
    with b.mirrored():
        tip = (x - span * math.tan(sweep), span, z + 0.06 * span)
        middle = ((x + tip[0]) / 2, span / 2, (z + tip[2]) / 2)
        half = (chord, 0.014, span / 2 / math.cos(sweep))
        b.box(middle, half, m, taper=(0.6, 0), turn=(-math.pi / 2 + 0.06, 0, sweep))


def propeller(b: Builder, at, radius: float, m: Material) -> None:
    b.ball(at, 0.04, m)
    for c, s, a in b.around(b.pick(2, 3), b.u(0, 3)):
        b.box((at[0] + 0.01, c * radius / 2, s * radius / 2), (0.012, radius / 2, 0.024), m, turn=(a, 0, 0))


def helicopter(b: Builder) -> None:
    paint, dark = b.material("paint"), b.material("rubber", "metal")
    b.ball((0.1, 0, 0.28), (0.28, 0.15, 0.16), paint, 2.3)
    b.ball((0.22, 0, 0.3), (0.185, 0.13, 0.13), b.material("glass"), 2.2)
    b.rod((-0.1, 0, 0.32), (-0.65, 0, 0.38), 0.08, paint, tip=0.025)
    b.box((-0.65, 0, 0.45), (0.06, 0.014, 0.1), paint, taper=(0.4, 0), turn=(0, -0.3, 0))
    b.rod((0.05, 0, 0.4), (0.05, 0, 0.53), 0.025, dark)
    for c, s, a in b.around(b.pick(2, 4), b.u(0, 3)):
        b.box((0.05 + 0.28 * c, 0.28 * s, 0.53), (0.28, 0.025, 0.012), dark, turn=(0, 0, a))
    for c, s, a in b.around(2, b.u(0, 3)):
        b.box((-0.65 + 0.05 * c, 0.03, 0.45 + 0.05 * s), (0.06, 0.012, 0.015), dark, turn=(0, -a, 0))
    with b.mirrored():
        b.rod((-0.15, 0.13, 0.04), (0.35, 0.13, 0.04), 0.016, dark)
        for x in (0.0, 0.2):
            b.rod((x, 0.07, 0.17), (x, 0.13, 0.04), 0.014, dark)


def boat(b: Builder) -> None:
    """Sailing, motor, rowing and steam boats."""
    kind = b.pick("sail", "sail", "motor", "steamer", "rowing", "tug")
    paint, deck, white = (
        b.material("paint", "wood", "white"),
        b.material("wood"),
        b.material("white", "light"),
    )
    length, width, depth = b.u(0.5, 0.65), b.u(0.15, 0.21), b.u(0.15, 0.2)
    # The hull is half a pillow, pointed at the bow by a second, longer half.
    b.ball((-0.15 * length, 0, depth), (0.85 * length, width, depth), paint, b.u(2.4, 3), cut=cut("+z"))
    b.ball((0, 0, depth), (1.25 * length, 0.97 * width, depth), paint, 1.7, cut=cut("+z"))
    inner = b.material("earth", "wood") if kind == "rowing" else deck
    b.ball((-0.13 * length, 0, depth), (0.78 * length, 0.85 * width, 0.02), inner, 2.4, cut=cut("-z", -0.002))
    if kind == "rowing":
        with b.mirrored():
            b.rod((-0.1, 0.7 * width, depth + 0.04), (-0.35, 0.42, depth - 0.06), 0.014, deck)
            b.ball((-0.38, 0.46, depth - 0.08), (0.07, 0.05, 0.012), deck, turn=(0, 0, -0.9))
        for x in (-0.3, 0.0, 0.25):
            b.box((x * length / 0.6, 0, depth + 0.02), (0.035, 0.85 * width, 0.012), deck)
    elif kind == "sail":
        high = b.u(0.75, 1.0)
        b.rod((0, 0, depth), (0, 0, depth + high), 0.016, deck)
        sail, half = b.material("white", "fabric"), high / 2 - 0.06
        b.box((-0.2, 0, depth + 0.1 + half), (0.21, 0.012, half), sail, taper=(0.98, 0), turn=(0, 0.19, 0))
        b.box(
            (0.24, 0, depth + 0.07 + 0.85 * half),
            (0.2, 0.012, 0.85 * half),
            sail,
            taper=(0.98, 0),
            turn=(0, -0.28, 0),
        )
    else:
        superstructure(b, kind, length, width, depth, white)


def superstructure(b: Builder, kind: str, length: float, width: float, z: float, white: Material) -> None:
    """Cabin, windows, funnel."""
    glass, accent = b.material("glass"), b.material("plastic", "paint")
    x = {"motor": 0.05, "steamer": -0.1, "tug": 0.1}[kind] * length
    long = {"motor": 0.26, "steamer": 0.45, "tug": 0.2}[kind] * length
    b.box((x, 0, z + 0.07), (long, 0.62 * width, 0.07), white, taper=(0.25 * (kind == "motor"), 0.1))
    b.box((x, 0, z + 0.09), (0.93 * long, 0.64 * width, 0.028), glass, taper=(0.2 * (kind == "motor"), 0.05))
    if kind == "motor":
        with b.mirrored():
            b.rod(
                (0.5 * length, 0.5 * width, z + 0.08), (-0.8 * length, 0.8 * width, z + 0.06), 0.012, accent
            )
        b.box((-0.95 * length, 0, z - 0.02), (0.05, 0.05, 0.1), b.material("rubber"), edge=0.02)
        return
    b.box((x + 0.3 * long, 0, z + 0.19), (0.5 * long, 0.5 * width, 0.055), white)
    b.box((x + 0.3 * long, 0, z + 0.2), (0.51 * long, 0.45 * width, 0.022), glass)
    for share in (-0.5, 0.1) if kind == "steamer" else (-0.4,):
        b.disc((x + share * long, 0, z + 0.26), 0.055, 0.13, accent)
        b.disc((x + share * long, 0, z + 0.36), 0.058, 0.03, b.material("rubber", "white"))
    b.rod((0.75 * length, 0, z), (0.75 * length, 0, z + 0.25), 0.013, white)
