"""Chairs, sofas, tables, lamps, shelves. All stand at z = 0 and face +x; half sizes throughout."""

from __future__ import annotations

import math

import numpy as np

from ..builder import Builder
from ..textures import Material


def legs(b: Builder, depth: float, width: float, top: float, m: Material) -> None:
    """What carries a seat or a board of half sizes ``depth``, ``width`` at height ``top``."""
    thick = b.u(0.018, 0.042)
    x, y = depth - thick, width - thick
    kind = b.pick("straight", "straight", "round", "splayed", "tapered", "pedestal", "sled", "crossed")
    if kind == "pedestal":
        pedestal(b, min(depth, width), top, m)
        return
    with b.mirrored("y" if kind in ("sled", "crossed") else "xy"):
        if kind == "straight":
            b.box((x, y, top / 2), (thick, thick, top / 2), m)
        elif kind == "round":
            b.rod((x, y, thick), (x, y, top), thick, m)
        elif kind == "splayed":
            b.rod((1.2 * x, 1.15 * y, 0), (0.8 * x, 0.8 * y, top), 0.7 * thick, m, tip=1.2 * thick)
        elif kind == "tapered":
            b.box((x, y, top / 2), (thick, thick, top / 2), m, taper=(-0.6, -0.6))
        elif kind == "sled":
            thin = 0.7 * thick
            b.rod((-x, y, thin), (x, y, thin), thin, m)
            for end in (-x, x):
                b.rod((end, y, thin), (end, y, top), thin, m)
        else:
            b.beam((-x, y, 0), (x, y, top), (thick, thick), m)
            b.beam((x, 0.98 * y, 0), (-x, 0.98 * y, top), (thick, thick), m)


def pedestal(b: Builder, reach: float, top: float, m: Material) -> None:
    """A column on a plate, on crossed feet, or on an office chair's star."""
    b.disc((0, 0, top / 2), b.u(0.02, 0.05), top / 2, m)
    kind, thick = b.pick("plate", "cross", "star"), b.u(0.018, 0.03)
    if kind == "plate":
        b.disc((0, 0, 0.02), reach * b.u(0.6, 0.9), 0.02, m, top=reach * b.u(0.3, 0.6))
        return
    for c, s, _ in b.around(4 if kind == "cross" else 5, b.u(0, 1)):
        b.rod((0, 0, 0.09), (0.9 * reach * c, 0.9 * reach * s, 0.05), thick, m)
        if kind == "star":
            b.ball((0.9 * reach * c, 0.9 * reach * s, 0.03), 0.03, m)


def chair(b: Builder) -> None:
    """A kitchen, dining, office or arm chair, or a bar stool."""
    seat, frame = b.material("fabric", "wood", "plastic", "leather"), b.material("wood", "metal", "plastic")
    width, depth, height = b.u(0.2, 0.28), b.u(0.2, 0.26), b.u(0.38, 0.52)
    stool = b.chance(0.08)
    height += 0.25 * stool
    thick = b.u(0.018, 0.055)
    if b.chance(0.2):
        b.disc((0, 0, height), width, thick, seat, edge=thick * b.u(0, 1))
    else:
        b.box((0, 0, height), (depth, width, thick), seat, edge=thick * b.u(0, 1))
    legs(b, depth, width, height, frame)
    if not stool:
        back(b, depth, width, height, b.pick(seat, seat, frame), frame)
    if b.chance(0.35) and not stool:
        arm = b.u(0.16, 0.22)
        with b.mirrored():
            b.box((0, width, height + arm), (0.95 * depth, 0.03, 0.018), b.pick(seat, frame), edge=0.012)
            b.rod((0.8 * depth, width, height), (0.8 * depth, width, height + arm), 0.018, frame)


def back(b: Builder, depth: float, width: float, height: float, m: Material, frame: Material) -> None:
    """A chair's back: panel, shell, slats, ladder, or a hoop with spindles."""
    rise, lean = b.u(0.35, 0.6), b.u(0.02, 0.14)
    top, z = -depth - lean, height + rise
    kind = b.pick("panel", "panel", "raised", "slats", "ladder", "hoop")
    if kind in ("panel", "raised"):
        low = 0.12 if kind == "raised" else 0.0
        half = (b.u(0.015, 0.045), width * b.u(0.85, 1))
        b.beam((-depth - lean * low / rise, 0, height + low), (top, 0, z), half, m, edge=b.u(0, 0.02))
    if kind in ("raised", "ladder", "slats"):
        with b.mirrored():
            b.rod((-depth, 0.88 * width, height), (top, 0.88 * width, z), 0.022, frame)
    if kind == "ladder":
        for share in np.linspace(0.35, 0.95, b.count(2, 4)):
            b.box((-depth - share * lean, 0, height + share * rise), (0.015, 0.88 * width, 0.04), m)
    if kind in ("slats", "hoop"):
        for y in np.linspace(-0.6, 0.6, b.count(3, 5)) * width:
            b.rod((-depth, y, height), (top, y, z), 0.014, frame)
    if kind == "slats":
        b.box((top, 0, z), (0.02, width, 0.05), m, edge=0.015)
    if kind == "hoop":
        turn = (0, math.pi / 2 - lean / rise, 0)
        b.ring((top + lean * 0.3, 0, z - 0.88 * width), 0.88 * width, 0.022, m, turn)
        with b.mirrored():
            b.rod((-depth, 0.85 * width, height), (top + 0.3 * lean, 0.87 * width, z - 0.8 * width), 0.02, m)


def sofa(b: Builder) -> None:
    """One to four seats; straight, or a corner sofa; blocks or cushions."""
    cloth, wood = b.material("fabric", "fabric", "leather"), b.material("wood", "metal")
    seats = b.count(1, 4)
    width, depth, foot = 0.13 + 0.21 * seats, b.u(0.3, 0.38), b.u(0.03, 0.12)
    thick, rise, arm = b.u(0.1, 0.14), b.u(0.2, 0.34), b.u(0.05, 0.11)
    soft, seat = b.u(0.01, 0.05), foot + 2 * thick
    b.box((0, 0, foot + thick), (depth, width, thick), cloth, edge=soft)
    b.box(
        (0.12 - depth, 0, seat + rise / 2), (0.1, width, rise / 2 + 0.1), cloth, edge=soft, turn=(0, -0.12, 0)
    )
    inner = (width - arm) / seats
    cushion = cloth if b.chance(0.6) else b.material("fabric")
    for y in (np.arange(seats) - (seats - 1) / 2) * 2 * inner:
        b.box((0.1, y, seat + 0.03), (depth - 0.1, 0.96 * inner, 0.05), cushion, edge=0.04)
        if b.chance(0.5):
            b.box(
                (0.26 - depth, y, seat + 0.2),
                (0.06, 0.9 * inner, 0.15),
                cushion,
                edge=0.05,
                turn=(0, -0.2, 0),
            )
    with b.mirrored():
        b.box((0.9 * depth, 0.9 * width, foot / 2), (0.03, 0.03, foot / 2), wood)
    if b.chance(0.85):
        sofa_arms(b, (depth, width, foot + thick, seat), (arm, thick), cloth, soft)
    if seats > 1 and b.chance(0.2):  # round the corner
        b.box((depth + 0.2, 0.6 * width, foot + thick), (0.3, 0.4 * width, thick), cloth, edge=soft)
    if b.chance(0.35):
        b.ball((0.0, 0.6 * width, seat + 0.18), (0.05, 0.14, 0.13), b.material("fabric"), 3, (0, -0.4, 0.3))


def sofa_arms(b: Builder, place, size: tuple[float, float], cloth: Material, soft: float) -> None:
    """Blocks, rolled on top in some; ``place`` is the seat's depth, width, middle and top."""
    depth, width, middle, seat = place
    arm, thick = size
    high, rolled = b.u(0.1, 0.18), b.chance(0.4)
    with b.mirrored():
        half = (depth, arm, thick + high / 2)
        b.box((0, width, middle + high / 2), half, cloth, edge=min(soft, arm))
        if rolled:
            end = seat + high
            b.rod((-0.9 * depth, width, end), (0.97 * depth, width, end), 1.2 * arm, cloth)


def table(b: Builder) -> None:
    """Dining, coffee and side tables, desks with drawers, benches."""
    top, frame = (
        b.material("wood", "wood", "glass", "stone", "plastic"),
        b.material("wood", "metal", "plastic"),
    )
    depth, width, height = b.u(0.24, 0.45), b.u(0.3, 0.7), b.u(0.3, 0.7)
    thick, kind = b.u(0.014, 0.035), b.pick("board", "board", "round", "desk")
    if kind == "round":
        depth = width = b.u(0.3, 0.5)
        b.disc((0, 0, height), depth, thick, top, edge=thick * b.u(0, 1))
        depth = width = 0.75 * depth
    else:
        b.box((0, 0, height), (depth, width, thick), top, edge=thick * b.u(0, 1))
    if kind == "desk":
        drawers(b, (0, 0.68 * width, height / 2), (0.9 * depth, 0.28 * width, height / 2), frame, top)
        b.box((0, -0.9 * width, height / 2), (0.9 * depth, 0.025, height / 2), frame)
        return
    legs(b, 0.92 * depth, 0.92 * width, height, frame if b.chance(0.6) else top)
    if b.chance(0.35) and kind == "board":  # the apron
        b.box((0, 0, height - 0.05), (0.85 * depth, 0.85 * width, 0.035), frame)
    if b.chance(0.15):
        b.box((0, 0, 0.35 * height), (0.85 * depth, 0.85 * width, 0.015), top)


def drawers(b: Builder, at, half, body: Material, front: Material) -> None:
    """A block with drawers towards +x."""
    b.box(at, half, body)
    rows, metal = b.count(1, 4), b.material("metal", "brass", "wood")
    tall = half[2] / rows
    handle = b.pick("knob", "bar")
    for row in range(rows):
        z = at[2] - half[2] + (2 * row + 1) * tall
        b.box((at[0] + half[0], at[1], z), (0.012, 0.92 * half[1], 0.86 * tall), front)
        if handle == "knob":
            b.ball((at[0] + half[0] + 0.025, at[1], z), 0.02, metal)
        else:
            b.box((at[0] + half[0] + 0.025, at[1], z), (0.012, 0.3 * half[1], 0.012), metal)


def lamp(b: Builder) -> None:
    """Table and floor lamps, desk lamps with a bent arm, lanterns."""
    metal, shade = (
        b.material("metal", "brass", "wood", "ceramic"),
        b.material("light", "fabric", "white", "paint"),
    )
    height, kind = b.u(0.4, 1.1), b.pick("stand", "stand", "vase", "desk", "tripod")
    size = b.u(0.14, 0.24)
    if kind == "tripod":
        for c, s, _ in b.around(3):
            b.rod((0.24 * c, 0.24 * s, 0), (0, 0, height - 0.1), 0.018, metal)
    else:
        b.disc((0, 0, 0.02), b.u(0.1, 0.16), 0.02, metal, edge=0.01)
    if kind == "desk":
        elbow, head = (-0.12, 0, 0.45 * height + 0.1), (0.2, 0, 0.8 * height + 0.1)
        b.rod((0, 0, 0.02), elbow, 0.016, metal)
        b.rod(elbow, head, 0.016, metal)
        b.disc((0.24, 0, head[2] - 0.05), 0.13, 0.08, shade, top=0.04, wall=0.02, turn=(0, -0.4, 0))
        b.ball((0.25, 0, head[2] - 0.09), 0.05, b.material("light"))
        return
    if kind == "vase":
        height = 0.4
        b.ball((0, 0, 0.2), (0.13, 0.13, 0.19), metal)
    b.rod((0, 0, 0), (0, 0, height), b.u(0.014, 0.028), metal)
    if b.chance(0.2):
        b.ball((0, 0, height), size, shade)
    else:
        tall = b.u(0.09, 0.16)
        b.disc((0, 0, height + 0.3 * tall), size, tall, shade, top=size * b.u(0.45, 1), wall=0.024)
        b.ball((0, 0, height), 0.05, b.material("light"))


def shelf(b: Builder) -> None:
    """Book cases with books, chests of drawers, cupboards, wardrobes."""
    body, front = b.material("wood", "white", "paint"), b.material("wood", "white", "paint")
    width, depth, height = b.u(0.2, 0.42), b.u(0.1, 0.2), b.u(0.25, 0.55)
    kind = b.pick("books", "books", "chest", "cupboard")
    if kind == "chest":
        drawers(b, (0, 0, height), (depth, width, height), body, front)
        b.box((0, 0, 2 * height), (1.06 * depth, 1.04 * width, 0.018), body)
        return
    if kind == "cupboard":
        b.box((0, 0, height), (depth, width, height), body)
        with b.mirrored():
            b.box((depth, 0.49 * width, height), (0.014, 0.45 * width, 0.93 * height), front)
            b.rod((depth + 0.03, 0.08, 0.9 * height), (depth + 0.03, 0.08, 1.15 * height), 0.014, body)
        return
    with b.mirrored():
        b.box((0, width, height), (depth, 0.016, height), body)
    if b.chance(0.75):
        b.box((-depth, 0, height), (0.012, width, height), front)
    boards = b.count(3, 5)
    for row, z in enumerate(np.linspace(0.03, 2 * height, boards)):
        b.box((0, 0, z), (depth, width, 0.016), body)
        if row < boards - 1 and b.chance(0.65):
            books(b, depth, width, z, 2 * height / (boards - 1))


def books(b: Builder, depth: float, width: float, z: float, space: float) -> None:
    """A few blocks of books (or a box) on a board at ``z``."""
    y = b.u(-0.9, -0.2) * width
    for _ in range(b.count(1, 3)):
        half, tall = b.u(0.03, 0.09), space * b.u(0.25, 0.4)
        if y + 2 * half > 0.95 * width:
            return
        b.box((0, y + half, z + tall), (0.75 * depth, half, tall), b.material("plastic", "fabric", "leather"))
        y += 2 * half + 0.01
