"""Shoes, houses, toys, tools."""

from __future__ import annotations

import math

import numpy as np

from ..builder import Builder, cut
from ..textures import Material

LYING = (0.0, math.pi / 2, 0.0)  # turns z to x


def shoe(b: Builder) -> None:
    """Sneakers, boots, high heels, loafers; toes to +x; one or a pair."""
    kind, pair = b.pick("sneaker", "sneaker", "boot", "heel", "loafer"), b.chance(0.25)
    leather = b.material("leather", "fabric", "plastic", "white")
    sole, accent = b.material("white", "rubber", "wood"), b.material("plastic", "white", "rubber")
    y = 0.2 if pair else 0.0
    high = {"boot": b.u(0.35, 0.55), "sneaker": b.u(0.12, 0.22)}.get(kind, 0.06)
    with b.mirrored("y" if pair else ""):
        if kind == "heel":
            high_heel(b, y, leather, sole)
        else:
            low_shoe(b, kind, y, high, leather, sole, accent)


def low_shoe(
    b: Builder, kind: str, y: float, high: float, leather: Material, sole: Material, accent: Material
) -> None:
    """A flat sole, a flowing upper, an opening, laces."""
    thick = b.u(0.025, 0.05)
    b.ball((0.17, y, thick), (0.28, 0.15, thick), sole, 3.5)
    b.ball((-0.17, y, thick), (0.25, 0.125, thick), sole, 3.5)
    with b.joined(0.045):
        b.ball((0.24, y, 0.1), (0.19, 0.13, 0.085), leather)
        b.ball((0.05, y, 0.12), (0.22, 0.115, 0.12), leather)
        b.ball((-0.22, y, 0.14), (0.18, 0.11, 0.13), leather)
        b.disc((-0.2, y, 0.16 + high / 2), 0.125, high / 2 + 0.06, leather, top=0.105)
    top = 0.22 + high
    b.disc((-0.2, y, top), 0.105, 0.014, b.material("rubber", "fabric"))
    b.ring((-0.2, y, top), 0.105, 0.022, accent)
    if kind == "loafer":
        b.box((0.08, y, 0.2), (0.05, 0.1, 0.025), accent, edge=0.02, turn=(0, 0.35, 0))
        return
    for share in (0.0, 0.5, 1.0):
        b.rod(
            (0.16 - 0.17 * share, y - 0.06, 0.19 + 0.08 * share),
            (0.16 - 0.17 * share, y + 0.06, 0.19 + 0.08 * share),
            0.016,
            accent,
        )
    if kind == "sneaker" and b.chance(0.6):
        b.box((-0.03, y, 0.13), (0.022, 0.135, 0.08), accent, turn=(0, 0.5, 0))
        b.box((0.06, y, 0.12), (0.022, 0.135, 0.07), accent, turn=(0, 0.5, 0))


def high_heel(b: Builder, y: float, leather: Material, sole: Material) -> None:
    with b.joined(0.025):
        b.ball((0.24, y, 0.065), (0.19, 0.105, 0.065), leather, 2.3)
        b.rod((0.16, y, 0.06), (-0.18, y, 0.27), 0.06, leather)
        b.ball((-0.23, y, 0.32), (0.12, 0.095, 0.1), leather, 2.4)
    b.ball((-0.17, y, 0.4), (0.14, 0.075, 0.04), sole, turn=(0, 0.35, 0))
    b.ball((0.14, y, 0.13), (0.1, 0.085, 0.035), b.material("skin", "white"), turn=(0, 0.5, 0))
    b.rod((-0.29, y, 0.3), (-0.31, y, 0.0), 0.05, sole, tip=0.022)


def house(b: Builder) -> None:
    """Cottages, towers, churches, barns, tents, lighthouses, blocks of flats, windmills."""
    kind = b.pick("cottage", "cottage", "cottage", "church", "castle", "tower", "block", "windmill", "tent")
    wall, roof, trim = (
        b.material("white", "brick", "stone", "paint"),
        b.material("brick", "leather", "paint"),
        b.material("white", "wood"),
    )
    if kind == "tent":
        b.box((0, 0, 0.2), (0.32, 0.35, 0.2), b.material("fabric", "plastic"), taper=(1, b.pick(0, 1)))
        b.box((0.05, 0.352, 0.14), (0.1, 0.012, 0.14), b.material("rubber"), taper=(0.9, 0))
        b.box((0, 0, 0.008), (0.4, 0.45, 0.012), b.material("leaf", "earth"))
    elif kind in ("tower", "windmill", "castle"):
        towers(b, kind, wall, roof, trim)
    elif kind == "block":
        depth, width, half = b.u(0.2, 0.3), b.u(0.2, 0.35), b.u(0.3, 0.6)
        b.box((0, 0, half), (depth, width, half), wall)
        b.box((0, 0, 2 * half), (1.05 * depth, 1.05 * width, 0.02), trim)
        glass = b.material("glass", "light")
        for z in np.linspace(0.15, 2 * half - 0.1, b.count(3, 5)):
            b.box((0, 0, z), (depth + 0.012, 0.85 * width, 0.04), glass)
            b.box((0, 0, z), (0.85 * depth, width + 0.012, 0.04), glass)
        for share in (-0.42, 0.0, 0.42):  # walls between the windows
            b.box((0, share * width, half), (depth + 0.02, 0.035, half), wall)
            b.box((share * depth, 0, half), (0.03, width + 0.02, half), wall)
        b.box((depth, 0, 0.05), (0.04, 0.07, 0.08), b.material("wood", "metal"))
    else:
        cottage(b, kind, wall, roof, trim)


def cottage(b: Builder, kind: str, wall: Material, roof: Material, trim: Material) -> None:
    """Walls, a gable or hip roof, doors and windows; a church adds a tower with a spire."""
    depth, width, half = b.u(0.22, 0.34), b.u(0.26, 0.45), b.u(0.13, 0.22)
    steep, hip = b.u(0.1, 0.2), b.chance(0.3)
    b.box((0, 0, half), (depth, width, half), wall)
    b.box(
        (0, 0, 2 * half + steep),
        (1.18 * depth, 1.12 * width, steep),
        roof,
        taper=(0.99, b.u(0.4, 1) if hip else 0),
    )
    if not hip:  # the gable ends show wall
        b.box(
            (0, 0, 2 * half + 0.93 * steep),
            (1.1 * depth, 1.125 * width - 0.03, 0.93 * steep),
            roof,
            taper=(0.99, 0),
        )
        with b.mirrored():
            b.box(
                (0, 1.12 * width, 2 * half + 0.85 * steep),
                (0.95 * depth, 0.014, 0.85 * steep),
                wall,
                taper=(0.99, 0),
            )
    windows(b, depth, width, half, trim)
    if kind == "church":
        y, tall = width + 0.1, b.u(0.3, 0.4)
        b.box((0, y, tall), (0.13, 0.13, tall), wall)
        b.box((0, y, 2 * tall + 0.18), (0.15, 0.15, 0.18), roof, taper=(0.98, 0.98))
        b.box((0, y, 1.6 * tall), (0.14, 0.05, 0.07), b.material("glass", "rubber"))
    elif b.chance(0.7):
        b.box(
            (0.4 * depth, b.pick(-0.5, 0.5) * width, 2 * half + 1.5 * steep),
            (0.045, 0.045, 0.6 * steep + 0.06),
            b.material("brick", "stone"),
        )


def windows(b: Builder, depth: float, width: float, half: float, trim: Material) -> None:
    """A door and windows in front, windows on the other walls."""
    door, glass = b.material("wood", "paint"), b.material("glass", "glass", "light")
    place = b.pick(0.0, -0.5, 0.5) * width
    b.box((depth, place, 0.6 * half), (0.016, 0.065, 0.6 * half), door)
    b.ball((depth + 0.02, place + 0.04, 0.55 * half), 0.013, trim)
    spots = [y for y in (-0.62 * width, 0.0, 0.62 * width) if abs(y - place) > 0.14]
    for x in (depth, -depth):
        for y in spots:
            b.box((x, y, 1.15 * half), (0.014, 0.075, 0.085), trim)
            b.box((x, y, 1.15 * half), (0.02, 0.058, 0.068), glass)
    with b.mirrored():
        b.box((0, width, 1.1 * half), (0.08, 0.014, 0.085), trim)
        b.box((0, width, 1.1 * half), (0.062, 0.02, 0.068), glass)


def towers(b: Builder, kind: str, wall: Material, roof: Material, trim: Material) -> None:
    dark = b.material("rubber", "glass")
    if kind == "castle":
        b.box((0, 0, 0.16), (0.26, 0.3, 0.16), wall)
        b.box((0.27, 0, 0.1), (0.014, 0.07, 0.1), b.material("wood"))
        with b.mirrored("xy"):
            b.disc((0.27, 0.3, 0.23), 0.1, 0.23, wall)
            b.disc((0.27, 0.3, 0.56), 0.13, 0.1, roof, top=0.01)
        b.box((0, 0, 0.42), (0.11, 0.11, 0.12), wall)
        b.box((0, 0, 0.62), (0.14, 0.14, 0.08), roof, taper=(0.95, 0.95))
        return
    tall, base = b.u(0.35, 0.5), b.u(0.14, 0.2)
    b.disc((0, 0, tall), base, tall, wall, top=0.75 * base)
    b.box((base * 0.93, 0, 0.09), (0.03, 0.055, 0.09), b.material("wood"))
    b.box((0.85 * base, 0, 1.25 * tall), (0.03, 0.035, 0.05), dark)
    if kind == "windmill":
        b.disc((0, 0, 2 * tall + 0.06), 0.85 * base, 0.08, roof, top=0.02)
        b.rod((0, 0, 1.85 * tall), (base + 0.08, 0, 1.85 * tall), 0.025, dark)
        for c, s, a in b.around(4, b.u(0, 1.5)):
            b.box((base + 0.08, 0.24 * c, 1.85 * tall + 0.24 * s), (0.012, 0.22, 0.05), trim, turn=(a, 0, 0))
        return
    if b.chance(0.6):  # a lighthouse
        red = b.material("flower", "paint")
        for z in (0.45, 1.15):
            b.disc(
                (0, 0, z * tall),
                base * (1.012 - 0.125 * z),
                0.14 * tall,
                red,
                top=base * (0.995 - 0.125 * (z + 0.14)),
            )
        b.disc((0, 0, 2 * tall), 0.95 * base, 0.02, dark)
        b.disc((0, 0, 2 * tall + 0.07), 0.5 * base, 0.06, b.material("light"))
        b.disc((0, 0, 2 * tall + 0.17), 0.65 * base, 0.06, red, top=0.01)
    else:
        b.disc((0, 0, 2 * tall + 0.14), base, 0.16, roof, top=0.01)


def toy(b: Builder) -> None:
    """Teddy bears, snowmen, robots, rockets, rings, blocks, trains, ducks, drums."""
    b.pick(teddy, teddy, snowman, robot, robot, rocket, stack, blocks, train, duck, drum)(b)


def teddy(b: Builder) -> None:
    fur, pale, dark = (
        b.material("fur", "leather", "plastic"),
        b.material("white", "skin"),
        b.material("rubber"),
    )
    with b.joined(0.02):
        b.ball((0, 0, 0.28), (0.18, 0.19, 0.22), fur)
        b.ball((0.02, 0, 0.6), (0.16, 0.17, 0.155), fur)
    b.ball((0.09, 0, 0.28), (0.12, 0.13, 0.15), pale)
    b.ball((0.15, 0, 0.56), (0.07, 0.075, 0.06), pale)
    b.ball((0.215, 0, 0.585), (0.025, 0.035, 0.025), dark)
    with b.mirrored():
        b.ball((0, 0.13, 0.74), (0.04, 0.07, 0.07), fur)
        b.ball((0.03, 0.13, 0.74), (0.025, 0.045, 0.045), pale)
        b.ball((0.15, 0.065, 0.64), 0.022, dark)
        b.rod((0.02, 0.16, 0.42), (0.14, 0.26, 0.3), 0.065, fur)
        b.rod((0.05, 0.1, 0.1), (0.26, 0.16, 0.08), 0.08, fur)
        b.ball((0.33, 0.17, 0.09), (0.02, 0.055, 0.06), pale)
    if b.chance(0.4):
        b.ball((0.14, 0, 0.44), (0.03, 0.08, 0.035), b.material("flower"))


def snowman(b: Builder) -> None:
    snow, dark, scarf = b.material("white"), b.material("rubber"), b.material("flower", "fabric")
    b.ball((0, 0, 0.24), (0.26, 0.26, 0.24), snow)
    b.ball((0, 0, 0.58), 0.19, snow)
    b.ball((0, 0, 0.85), 0.14, snow)
    b.ring((0, 0, 0.74), 0.12, 0.035, scarf)
    b.rod((0.12, 0, 0.85), (0.28, 0, 0.83), 0.03, b.material("flower"), tip=0.005)
    b.disc((0, 0, 0.97), 0.19, 0.014, dark)
    b.disc((0, 0, 1.06), 0.11, 0.09, dark)
    for z in (0.5, 0.6):
        b.ball((0.18, 0, z), 0.022, dark)
    with b.mirrored():
        b.ball((0.12, 0.05, 0.89), 0.02, dark)
        b.rod((0, 0.15, 0.6), (0.03, 0.42, 0.72), 0.014, b.material("wood"))


def robot(b: Builder) -> None:
    metal, accent, eye = (
        b.material("metal", "paint", "plastic"),
        b.material("plastic", "metal"),
        b.material("light", "flower"),
    )
    soft, broad = b.u(0, 0.04), b.u(0.13, 0.2)
    b.box((0, 0, 0.45), (0.12, broad, 0.18), metal, edge=soft)
    b.box((0, 0, 0.76), (0.11, 0.13, 0.1), metal, edge=soft)
    b.box((0.12, 0, 0.48), (0.014, 0.6 * broad, 0.09), accent)
    b.disc((0, 0, 0.65), 0.05, 0.05, accent)
    b.box((0.115, 0, 0.7), (0.012, 0.07, 0.013), accent)
    if b.chance(0.6):
        b.rod((0, 0, 0.85), (0, 0, 0.95), 0.013, accent)
        b.ball((0, 0, 0.97), 0.03, eye)
    with b.mirrored():
        b.ball((0.11, 0.055, 0.79), 0.035, eye)
        b.rod((0, broad + 0.05, 0.57), (b.u(-0.1, 0.2), broad + 0.08, b.u(0.25, 0.4)), 0.04, accent)
        b.box((0, 0.09, 0.15), (0.055, 0.055, 0.14), accent)
        b.box((0.03, 0.09, 0.03), (0.1, 0.075, 0.03), metal)


def rocket(b: Builder) -> None:
    body, accent = b.material("white", "metal", "paint"), b.material("flower", "plastic")
    thick, half = b.u(0.12, 0.17), b.u(0.25, 0.35)
    b.disc((0, 0, 0.15 + half), thick, half, body)
    b.disc((0, 0, 0.15 + 2 * half + 0.14), thick, 0.14, accent, top=0.01)
    b.disc((0, 0, 0.09), 0.6 * thick, 0.07, b.material("metal", "rubber"), top=0.4 * thick)
    for c, s, a in b.around(b.pick(3, 4)):
        b.box(
            (1.25 * thick * c, 1.25 * thick * s, 0.2),
            (0.11, 0.014, 0.16),
            accent,
            taper=(0.6, 0),
            turn=(0, -0.35, a),
        )
    for z in (0.3, 0.3 + 0.7 * half):
        b.disc((thick, 0, z + 0.3 * half), 0.05, 0.02, b.material("glass"), turn=LYING)


def stack(b: Builder) -> None:
    """Rings on a peg, smaller to the top."""
    count = b.count(4, 6)
    b.disc((0, 0, 0.03), 0.3, 0.03, b.material("wood", "plastic"), edge=0.02)
    z = 0.06
    for share in np.linspace(1, 0.45, count):
        thick = 0.065
        b.ring((0, 0, z + thick), 0.2 * share + 0.03, thick, b.material("plastic", "flower"))
        z += 1.85 * thick
    b.rod((0, 0, 0), (0, 0, z + 0.03), 0.035, b.material("wood", "light"))
    b.ball((0, 0, z + 0.07), 0.065, b.material("plastic", "flower"))


def blocks(b: Builder) -> None:
    """A tower or gate of building blocks."""
    half, z = 0.12, 0.0
    for _ in range(b.count(2, 3)):
        for y in (-0.16, 0.16) if b.chance(0.5) else (0.0,):
            b.box(
                (b.u(-0.03, 0.03), y, z + half),
                (half, half, half),
                b.material("plastic", "wood"),
                0.012,
                turn=(0, 0, b.u(-0.3, 0.3)),
            )
        z += 2 * half
    b.box((0, 0, z + 0.04), (0.12, 0.3, 0.04), b.material("plastic", "wood"), edge=0.01)
    last = b.pick("roof", "ball", "arch", "cone")
    m = b.material("plastic")
    if last == "roof":
        b.box((0, 0, z + 0.2), (0.12, 0.24, 0.12), m, taper=(0, 1))
    elif last == "ball":
        b.ball((0, 0, z + 0.2), 0.12, m)
    elif last == "cone":
        b.disc((0, 0, z + 0.22), 0.14, 0.14, m, top=0.01)
    else:
        b.ring((0, 0, z + 0.08), 0.16, 0.07, m, LYING, cut("+x"))


def train(b: Builder) -> None:
    paint, accent, dark = (
        b.material("plastic", "paint"),
        b.material("plastic", "flower"),
        b.material("rubber"),
    )
    b.box((0, 0, 0.16), (0.48, 0.16, 0.05), dark)
    b.disc((0.14, 0, 0.33), 0.14, 0.28, paint, turn=LYING)
    b.disc((0.43, 0, 0.33), 0.12, 0.02, accent, turn=LYING)
    b.box((-0.3, 0, 0.4), (0.17, 0.17, 0.2), accent)
    b.box((-0.3, 0, 0.47), (0.1, 0.175, 0.08), b.material("glass"))
    b.box((-0.3, 0, 0.61), (0.21, 0.2, 0.025), paint)
    b.disc((0.3, 0, 0.53), 0.04, 0.1, dark, top=0.065)
    b.ball((0.08, 0, 0.46), 0.06, accent)
    b.box((0.52, 0, 0.1), (0.07, 0.14, 0.07), accent, taper=(0.9, 0))
    wheel, hub = b.material("plastic", "rubber"), b.material("metal", "light")
    with b.mirrored():
        for x, radius in ((-0.3, 0.14), (0.02, 0.1), (0.3, 0.1)):
            b.wheel((x, 0.18, radius), radius, 0.03, wheel, hub)


def duck(b: Builder) -> None:
    yellow, beak = b.material("light", "plastic", "flower"), b.material("flower")
    with b.joined(0.03):
        b.ball((0, 0, 0.2), (0.32, 0.22, 0.2), yellow)
        b.ball((-0.27, 0, 0.34), (0.12, 0.09, 0.05), yellow, turn=(0, 0.6, 0))
        b.ball((0.17, 0, 0.5), 0.16, yellow)
    b.ball((0.34, 0, 0.48), (0.1, 0.075, 0.03), beak)
    with b.mirrored():
        b.ball((0.28, 0.08, 0.55), 0.028, b.material("rubber"))
        b.ball((-0.05, 0.2, 0.24), (0.15, 0.04, 0.09), yellow, turn=(0, 0.25, 0.1))


def drum(b: Builder) -> None:
    b.disc((0, 0, 0.2), 0.3, 0.18, b.material("plastic", "paint"))
    rim, stick = b.material("brass", "white", "plastic"), b.material("wood")
    for z in (0.03, 0.37):
        b.ring((0, 0, z), 0.3, 0.028, rim)
    b.disc((0, 0, 0.38), 0.29, 0.012, b.material("white"))
    for tilt in (-0.6, 0.5):
        c, s = 0.3 * math.cos(tilt), 0.3 * math.sin(tilt)
        b.rod((-c, -s, 0.42), (c, s, 0.46), 0.018, stick)
        b.ball((c, s, 0.46), 0.04, stick)


def tool(b: Builder) -> None:
    """What hangs in a shed, lies in a kitchen drawer or leans in a corner."""
    kinds = (
        hammer,
        axe,
        screwdriver,
        saw,
        shovel,
        brush,
        pan,
        spoon,
        pencil,
        magnifier,
        umbrella,
        guitar,
    )
    b.pick(*kinds)(b)


def grip(b: Builder, length: float, thick: float) -> None:
    """A handle along z from 0 to ``length``."""
    m = b.material("wood", "wood", "plastic", "rubber")
    b.rod((0, 0, 0), (0, 0, length), thick, m)
    if b.chance(0.4):
        b.rod((0, 0, 0), (0, 0, 0.35 * length), 1.25 * thick, b.material("rubber", "plastic"))


def hammer(b: Builder) -> None:
    metal = b.material("metal", "rubber")
    grip(b, 0.75, b.u(0.03, 0.04))
    b.box((0, 0, 0.75), (0.07, 0.05, 0.05), metal, edge=0.01)
    b.disc((0.13, 0, 0.75), b.u(0.05, 0.075), 0.07, metal, turn=LYING)
    if b.chance(0.5):
        b.disc((-0.13, 0, 0.75), 0.06, 0.07, metal, turn=LYING)
    else:
        for side in (-0.03, 0.03):
            b.rod((-0.06, side, 0.76), (-0.22, 1.3 * side, 0.7), 0.03, metal, tip=0.012)


def axe(b: Builder) -> None:
    metal = b.material("metal")
    grip(b, 0.85, 0.032)
    b.box((0.11, 0, 0.75), (0.12, 0.022, 0.12), metal, taper=(0, 0.7), turn=(0, 0, 0))
    b.box((0.2, 0, 0.75), (0.06, 0.014, 0.17), b.material("metal", "paint"), edge=0.01)


def screwdriver(b: Builder) -> None:
    handle = b.material("plastic", "wood")
    b.disc((0, 0, 0.17), 0.08, 0.17, handle, edge=0.05)
    b.disc((0, 0, 0.36), 0.055, 0.04, b.material("plastic", "rubber"), top=0.035)
    metal = b.material("metal")
    b.rod((0, 0, 0.36), (0, 0, 0.85), 0.024, metal)
    b.box((0, 0, 0.88), (0.04, 0.02, 0.05), metal, taper=(-0.2, 0.7))


def saw(b: Builder) -> None:
    wood = b.material("wood", "plastic")
    b.box((0.1, 0, 0.1), (0.42, 0.012, 0.1), b.material("metal"), turn=(0, 0.06, 0))
    for x in np.linspace(-0.25, 0.45, 8):
        b.box(
            (x, 0, -0.01 + 0.05 * (x - 0.1)),
            (0.03, 0.012, 0.03),
            b.material("metal"),
            turn=(0, math.pi / 4, 0),
        )
    b.ring((-0.42, 0, 0.12), 0.11, 0.04, wood, (math.pi / 2, 0, 0))
    b.box((-0.33, 0, 0.12), (0.06, 0.03, 0.11), wood, edge=0.02)


def shovel(b: Builder) -> None:
    metal = b.material("metal", "paint")
    b.rod((0, 0, 0.25), (0, 0, 0.95), 0.026, b.material("wood"))
    b.rod((0, -0.08, 0.97), (0, 0.08, 0.97), 0.028, b.material("wood", "plastic"))
    b.box((0, 0, 0.16), (0.018, 0.13, 0.14), metal, edge=0.012, turn=(0, 0.06, 0))
    b.ball((-0.008, 0, 0.04), (0.016, 0.13, 0.12), metal)
    b.rod((0, 0, 0.24), (0, 0, 0.36), 0.036, metal)


def brush(b: Builder) -> None:
    """A paint brush or a broom."""
    wood, hair = b.material("wood", "paint"), b.material("hair", "light", "flower")
    wide = b.pick(0.12, 0.22)
    b.rod((0, 0, 0.35), (0, 0, 0.75 if wide < 0.2 else 1.05), 0.032, wood)
    b.box((0, 0, 0.3), (0.05, wide, 0.06), b.material("metal", "wood"), edge=0.01)
    b.box((0, 0, 0.13), (0.045, wide, 0.13), hair, taper=(0.2, -0.15))


def pan(b: Builder) -> None:
    """A frying pan or a pot with a lid."""
    metal, handle = b.material("rubber", "metal", "paint"), b.material("wood", "rubber")
    half = b.pick(0.05, 0.14)
    b.disc((0, 0, half), 0.28, half, metal, top=0.3, wall=0.03)
    b.disc((0, 0, 0.02), 0.28, 0.02, metal)
    b.rod((0.28, 0, 1.5 * half), (0.75, 0, 1.5 * half + 0.04), 0.032, handle)
    if half > 0.1:
        b.ball((0, 0, 2 * half), (0.3, 0.3, 0.07), b.material("metal", "glass"), cut=cut("-z"))
        b.ball((0, 0, 2 * half + 0.09), 0.035, handle)
    elif b.chance(0.5):  # a fried egg
        b.ball((0.03, 0, 0.05), (0.17, 0.15, 0.02), b.material("white"))
        b.ball((0.03, 0.02, 0.07), (0.06, 0.06, 0.03), b.material("light"))


def spoon(b: Builder) -> None:
    """A spoon or a fork, flat on its back, or a ladle."""
    metal = b.material("metal", "wood", "plastic")
    b.rod((0, 0, 0.3), (0, 0, 0.9), 0.022, metal)
    if b.chance(0.6):
        b.ball((0, 0, 0.17), (0.03, 0.11, 0.16), metal)
        b.ball((0.012, 0, 0.17), (0.028, 0.085, 0.13), b.material("metal", "wood"))
    else:
        b.box((0, 0, 0.27), (0.016, 0.1, 0.045), metal, edge=0.012)
        for y in np.linspace(-0.085, 0.085, 4):
            b.rod((0, y, 0.24), (0.02, y, 0.03), 0.014, metal)


def pencil(b: Builder) -> None:
    paint, tip, turn = (
        b.material("light", "paint", "plastic"),
        b.material("rubber", "flower"),
        b.pick(0.0, 0.35),
    )
    x = math.tan(turn)

    def at(z: float) -> tuple[float, float, float]:
        return (x * z, 0, z)

    thick = b.u(0.04, 0.06)
    b.rod(at(0.2), at(0.8), thick, paint, tip=thick)
    b.rod(at(0.2), at(0.05), thick, b.material("wood"), tip=0.014)
    b.rod(at(0.09), at(0.03), 0.024, tip, tip=0.003)
    b.rod(at(0.8), at(0.86), 1.05 * thick, b.material("metal"), tip=1.05 * thick)
    b.rod(at(0.86), at(0.9), 0.95 * thick, b.material("flower", "skin"))


def magnifier(b: Builder) -> None:
    rim = b.material("metal", "rubber", "brass", "plastic")
    b.ring((0, 0, 0.65), 0.22, 0.03, rim, LYING)
    b.disc((0, 0, 0.65), 0.21, 0.012, b.material("glass"), turn=LYING)
    b.rod((0, 0, 0.05), (0, 0, 0.35), 0.04, b.material("wood", "plastic", "rubber"))
    b.rod((0, 0, 0.33), (0, 0, 0.44), 0.025, rim)


def umbrella(b: Builder) -> None:
    cloth, stick = b.material("plastic", "fabric"), b.material("wood", "metal")
    b.ball((0, 0, 0.6), (0.45, 0.45, b.u(0.2, 0.3)), cloth, cut=cut("-z"))
    b.disc((0, 0, 0.592), 0.43, 0.012, b.material("rubber"))
    b.rod((0, 0, 0.08), (0, 0, 0.95), 0.016, stick)
    b.ring((0.06, 0, 0.08), 0.06, 0.018, stick, (math.pi / 2, 0, 0), cut("-y", 0))


def guitar(b: Builder) -> None:
    wood, dark = b.material("wood", "flower"), b.material("earth", "rubber")
    with b.joined(0.05):
        b.disc((0, 0, 0.2), 0.2, 0.05, wood, turn=LYING)
        b.disc((0, 0, 0.42), 0.15, 0.05, wood, turn=LYING)
    b.disc((0.055, 0, 0.34), 0.065, 0.012, dark, turn=LYING)
    b.box((0.06, 0, 0.74), (0.018, 0.03, 0.3), dark)
    b.box((0.05, 0, 1.09), (0.02, 0.05, 0.07), wood, turn=(0, -0.15, 0))
    b.box((0.065, 0, 0.15), (0.015, 0.07, 0.014), dark)
