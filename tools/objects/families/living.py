"""Plants, animals, people. They face +x."""

from __future__ import annotations

import math

from ..builder import Builder, cut
from ..textures import Material


def plant(b: Builder) -> None:
    """Pot plants, cacti, flowers, trees, firs, palms, mushrooms."""
    kind = b.pick("leafy", "leafy", "cactus", "flower", "tree", "fir", "palm", "mushroom")
    leaf, wood = b.material("leaf"), b.material("wood", "earth")
    if kind == "mushroom":
        mushroom(b)
        return
    potted, z = kind in ("leafy", "cactus", "flower") or b.chance(0.3), 0.0
    if potted:
        size, z = b.u(0.13, 0.18), b.u(0.2, 0.28)
        clay = b.material("brick", "ceramic", "white")
        b.disc((0, 0, z / 2), 0.75 * size, z / 2, clay, top=size)
        b.disc((0, 0, z), 1.1 * size, 0.025, clay)
        b.disc((0, 0, z + 0.022), size, 0.012, b.material("earth"))
    {"leafy": leaves, "cactus": cactus, "flower": flowers, "tree": tree, "fir": fir, "palm": palm}[kind](
        b, z, leaf, wood
    )


def leaves(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    """Broad or sword-like leaves from the middle."""
    broad, long = b.chance(0.5), b.u(0.25, 0.42)
    for ring, count in enumerate((b.count(5, 7), b.count(4, 5))):
        lean = b.u(0.7, 1.0) - 0.5 * ring
        for _, _, a in b.around(count, b.u(0, 2)):
            tilt = lean + b.u(-0.15, 0.15)
            out, up = math.sin(tilt) * long, math.cos(tilt) * long
            at = (0.85 * out * math.cos(a), 0.85 * out * math.sin(a), z + 0.9 * up)
            b.ball(at, (0.014, 0.11 if broad else 0.04, 0.8 * long), leaf, 1.6, (0, tilt, a))
            if broad:
                b.rod((0, 0, z), at, 0.012, leaf)


def cactus(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    high, thick = b.u(0.4, 0.6), b.u(0.07, 0.1)
    if b.chance(0.3):
        b.ball((0, 0, z + 0.15), (0.2, 0.2, 0.18), leaf)
    else:
        b.rod((0, 0, z), (0, 0, z + high), thick, leaf)
        for side in (-1, 1)[: b.count(1, 2)]:
            y, up = side * b.u(0.18, 0.22), z + high * b.u(0.35, 0.55)
            b.rod((0, 0, up), (0, y, up), 0.65 * thick, leaf)
            b.rod((0, y, up), (0, y, up + b.u(0.12, 0.22)), 0.65 * thick, leaf)
    if b.chance(0.4):
        b.ball((0, 0, z + high + thick), 0.05, b.material("flower"))


def flowers(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    """One to three stems; each a disc of petals about a middle."""
    petals, middle = b.material("flower", "white"), b.material("light", "earth")
    count = b.count(1, 3)
    for c, s, _ in b.around(count, b.u(0, 2)):
        reach = 0.0 if count == 1 else 0.14
        x, y, up, size = reach * c, reach * s, z + b.u(0.35, 0.55), b.u(0.06, 0.09)
        b.rod((0, 0, z), (x, y, up), 0.014, leaf)
        b.ball((x, y, up), (0.55 * size, 0.55 * size, 0.035), middle)
        for pc, ps, a in b.around(5 if count > 1 else 8):
            b.ball(
                (x + size * pc, y + size * ps, up),
                (0.7 * size, 0.42 * size, 0.016),
                petals,
                turn=(0, -0.3, a),
            )
    with b.mirrored():
        b.ball((0, 0.1, z + 0.12), (0.04, 0.11, 0.014), leaf, turn=(0.5, 0, 0))


def tree(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    high, thick = b.u(0.25, 0.45), b.u(0.04, 0.07)
    b.rod((0, 0, z), (0, 0, z + high + 0.1), thick, wood, tip=0.7 * thick)
    if b.chance(0.3):
        b.ball((0, 0, z + high + 0.25), (0.28, 0.28, b.u(0.25, 0.4)), leaf)
    else:
        with b.joined(0.02):
            for c, s, _ in b.around(b.count(4, 5), b.u(0, 2)):
                b.ball((0.19 * c, 0.19 * s, z + high + b.u(0.1, 0.25)), b.u(0.15, 0.22), leaf)
            b.ball((0, 0, z + high + 0.35), b.u(0.18, 0.24), leaf)
    if b.chance(0.3):
        for c, s, _ in b.around(6, b.u(0, 2)):
            b.ball((0.34 * c, 0.34 * s, z + high + b.u(0.05, 0.3)), 0.045, b.material("flower"))


def fir(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    b.rod((0, 0, z), (0, 0, z + 0.25), 0.05, wood)
    layers, slim = b.count(2, 4), b.u(0.85, 1.15)
    for layer in range(layers):
        share = layer / layers
        b.disc((0, 0, z + 0.3 + 0.62 * share), 0.34 * slim * (1 - 0.65 * share), 0.17, leaf, top=0.02)
    if b.chance(0.25):
        b.ball((0, 0, z + 0.55 + 0.62 * (layers - 1) / layers), 0.05, b.material("light"))


def palm(b: Builder, z: float, leaf: Material, wood: Material) -> None:
    lean, high = b.u(-0.12, 0.12), b.u(0.5, 0.7)
    b.rod((0, 0, z), (lean / 2, 0, z + high / 2), 0.055, wood, tip=0.045)
    b.rod((lean / 2, 0, z + high / 2), (lean, 0, z + high), 0.045, wood, tip=0.035)
    for c, s, a in b.around(b.count(6, 8), b.u(0, 2)):
        b.ball((lean + 0.17 * c, 0.17 * s, z + high + 0.03), (0.2, 0.055, 0.014), leaf, 1.7, (0, 0.1, a))
        b.ball((lean + 0.37 * c, 0.37 * s, z + high - 0.07), (0.14, 0.045, 0.014), leaf, 1.7, (0, 0.85, a))


def mushroom(b: Builder) -> None:
    stem, cap = b.material("white", "skin"), b.material("flower", "brick", "wood")
    places = [(0.0, 0.0, 1.0)] + ([(0.28, 0.1, 0.55)] if b.chance(0.5) else [])
    for x, y, size in places:
        b.rod((x, y, 0), (x, y, 0.4 * size), 0.1 * size, stem, tip=0.08 * size)
        z, radius = 0.36 * size, 0.28 * size
        b.ball((x, y, z), (radius, radius, 0.24 * size), cap, cut=cut("-z"))
        for c, s, _ in b.around(5, b.u(0, 1)):
            b.ball((x + 0.65 * radius * c, y + 0.65 * radius * s, z + 0.17 * size), 0.05 * size, stem)


ANIMALS = {  # half length, girth, leg, neck's rise, head's radius, snout, ears, tail
    "dog": (0.24, 0.12, 0.22, 0.14, 0.1, 0.12, "flap", "up"),
    "cat": (0.22, 0.11, 0.17, 0.1, 0.1, 0.04, "pointed", "long"),
    "horse": (0.3, 0.15, 0.36, 0.36, 0.085, 0.17, "pointed", "hair"),
    "cow": (0.33, 0.18, 0.24, 0.12, 0.11, 0.12, "horns", "thin"),
    "pig": (0.29, 0.19, 0.11, 0.03, 0.13, 0.09, "pointed", "none"),
    "sheep": (0.27, 0.2, 0.17, 0.12, 0.09, 0.09, "flap", "none"),
    "elephant": (0.34, 0.25, 0.26, 0.16, 0.17, 0.0, "fans", "thin"),
    "giraffe": (0.25, 0.14, 0.45, 0.75, 0.08, 0.12, "horns", "thin"),
    "bear": (0.3, 0.19, 0.17, 0.08, 0.13, 0.08, "round", "none"),
    "rabbit": (0.17, 0.14, 0.08, 0.1, 0.11, 0.04, "long", "bob"),
}


def animal(b: Builder) -> None:
    """Four-legged ones by the table above; birds, fish, turtles apart."""
    kind = b.pick(*ANIMALS, "bird", "bird", "fish", "turtle")
    if kind in ANIMALS:
        quadruped(b, kind)
    else:
        {"bird": bird, "fish": fish, "turtle": turtle}[kind](b)


def quadruped(b: Builder, kind: str) -> None:
    length, girth, leg, rise, head, snout = (value * b.u(0.9, 1.1) for value in ANIMALS[kind][:6])
    fur, dark = b.material("fur", "fur", "leather"), b.material("hair", "rubber")
    thin = 0.32 * girth if kind != "elephant" else 0.4 * girth
    z, pose = leg + 0.8 * girth, b.u(-0.06, 0.06)
    nape = (0.8 * length, 0, z + 0.2 * girth)
    at = (length + 0.08 + 0.25 * rise, 0, z + 0.35 * girth + rise)
    with b.joined(0.035):
        b.ball((0.45 * length, 0, z), (0.62 * length, girth, 1.02 * girth), fur)
        b.ball((-0.4 * length, 0, z), (0.65 * length, 0.98 * girth, girth), fur)
        for end in (0.68, -0.72):
            swing = pose if end > 0 else -pose
            for side in (-1, 1):
                b.rod(
                    (end * length, side * 0.55 * girth, z),
                    (end * length + side * swing, side * 0.58 * girth, thin),
                    thin,
                    fur,
                )
        if kind not in ("pig", "rabbit"):
            b.rod(nape, at, max(0.5 * girth, 0.5 * head) if rise < 0.3 else 0.065, fur)
    face(b, kind, at, head, snout, fur, dark)
    tail(b, str(ANIMALS[kind][7]), (-length, 0, z + 0.3 * girth), fur, dark)


def face(b: Builder, kind: str, at, head: float, snout: float, fur: Material, dark: Material) -> None:
    x, _, z = at
    with b.joined(0.02):
        b.ball(at, (1.1 * head, 0.9 * head, head), fur)
        if snout:
            b.rod((x, 0, z - 0.2 * head), (x + head + 0.6 * snout, 0, z - 0.5 * head), 0.5 * head, fur)
        if kind == "elephant":
            b.rod((x + 0.8 * head, 0, z), (x + 1.5 * head, 0, z - 0.25), 0.06, fur)
            b.rod((x + 1.5 * head, 0, z - 0.25), (x + 1.6 * head, 0, 0.12), 0.045, fur)
    if snout:
        nose = b.material("skin") if kind in ("pig", "cow") else dark
        b.ball((x + 1.4 * head + 0.6 * snout, 0, z - 0.45 * head), 0.28 * head + 0.008, nose)
    with b.mirrored():
        b.ball((x + 0.85 * head, 0.5 * head, z + 0.3 * head), 0.022, dark)
        ears(b, str(ANIMALS[kind][6]), (x, z), head, fur)


def ears(b: Builder, kind: str, at: tuple[float, float], head: float, fur: Material) -> None:
    """The left ones; horns and tusks too."""
    x, z = at
    if kind == "pointed":
        base, tip = (
            (x - 0.1 * head, 0.5 * head, z + 0.6 * head),
            (x - 0.1 * head, 0.65 * head, z + 1.6 * head),
        )
        b.rod(base, tip, 0.35 * head, fur, tip=0.01)
        return
    # Where they sit, their radii and their turn, all but the thickness in heads.
    y, up, thick, broad, tall, turn = {
        "flap": (0.95, 0.1, 0.025, 0.35, 0.65, (-0.25, 0, math.pi / 2)),
        "long": (0.45, 1.8, 0.03, 0.35, 1.1, (-0.15, -0.1, 0)),
        "round": (0.75, 0.8, 0.03, 0.4, 0.4, (0, 0, 0)),
        "fans": (1.4, 0.0, 0.03, 0.95, 1.1, (0, 0, -0.4)),
        "horns": (1.2, 0.4, 0.025, 0.45, 0.25, (0, 0, 0)),
    }[kind]
    b.ball((x - 0.2 * head, y * head, z + up * head), (thick, broad * head, tall * head), fur, turn=turn)
    if kind == "fans":
        root, tip = (x + head, 0.35 * head, z - 0.5 * head), (x + 1.9 * head, 0.5 * head, z - 0.7 * head)
        b.rod(root, tip, 0.025, b.material("white"))
    elif kind == "horns":
        root, tip = (x - 0.1 * head, 0.45 * head, z + 0.8 * head), (x, 0.8 * head, z + 1.8 * head)
        b.rod(root, tip, 0.03, b.material("white", "earth"), tip=0.012)


def tail(b: Builder, kind: str, at, fur: Material, dark: Material) -> None:
    x, _, z = at
    if kind == "up":
        b.rod((x + 0.05, 0, z), (x - 0.14, 0, z + 0.15), 0.03, fur)
    elif kind == "long":
        b.rod((x + 0.03, 0, z), (x - 0.16, 0, z + 0.05), 0.026, fur)
        b.rod((x - 0.16, 0, z + 0.05), (x - 0.2, 0, z + 0.25), 0.026, fur)
    elif kind == "hair":
        b.ball((x - 0.07, 0, z - 0.12), (0.045, 0.04, 0.2), dark, turn=(0, 0.3, 0))
    elif kind == "thin":
        b.rod((x + 0.03, 0, z), (x - 0.05, 0, z - 0.25), 0.015, fur)
        b.ball((x - 0.05, 0, z - 0.27), (0.03, 0.03, 0.05), dark)
    elif kind == "bob":
        b.ball((x - 0.01, 0, z), 0.055, b.material("white"))


def bird(b: Builder) -> None:
    """Small birds, ducks, hens, storks, penguins by proportion."""
    plumage, wing, beak = (
        b.material("fur", "paint", "flower"),
        b.material("fur", "paint"),
        b.material("light", "flower"),
    )
    leg, rise, upright = b.u(0.06, 0.3), b.u(0.1, 0.25), b.u(-0.9, -0.1)
    z = leg + 0.16
    x = 0.2 + 0.1 * upright
    top = z + 0.12 + rise - 0.05 * upright
    with b.joined(0.04):
        b.ball((0, 0, z), (0.25, 0.14, 0.15), plumage, turn=(0, upright, 0))
        b.rod((0.13, 0, z + 0.08), (x, 0, top), 0.07, plumage)
        b.ball((x, 0, top), 0.1, plumage)
    b.rod((x + 0.07, 0, top), (x + b.u(0.17, 0.28), 0, top - 0.03), 0.04, beak, tip=0.012)
    b.ball((-0.27, 0, z - 0.24 * upright - 0.2), (0.14, 0.07, 0.02), wing, turn=(0, upright + 0.3, 0))
    with b.mirrored():
        b.ball((-0.03, 0.13, z + 0.02), (0.2, 0.03, 0.1), wing, turn=(0, upright - 0.1, 0.08))
        b.ball((x + 0.06, 0.07, top + 0.03), 0.02, b.material("rubber"))
        b.rod((0, 0.06, z - 0.1), (0.02, 0.07, 0.01), 0.016, beak)
        b.ball((0.05, 0.07, 0.012), (0.06, 0.035, 0.012), beak)


def fish(b: Builder) -> None:
    scales, fin = b.material("flower", "metal", "paint"), b.material("flower", "paint")
    length, high = b.u(0.32, 0.45), b.u(0.13, 0.24)
    b.ball((0, 0, 0), (length, b.u(0.07, 0.11), high), scales, b.u(1.8, 2.2))
    for tilt in (-0.6, 0.6):
        b.ball(
            (-length - 0.08, 0, -0.1 * math.copysign(1, tilt)), (0.16, 0.015, 0.07), fin, turn=(0, tilt, 0)
        )
    b.ball((-0.05, 0, high), (0.17, 0.014, 0.09), fin, turn=(0, -0.2, 0))
    b.ball((-0.1, 0, -high), (0.1, 0.014, 0.06), fin, turn=(0, 0.3, 0))
    b.ball((0.95 * length, 0, -0.02), (0.035, 0.04, 0.03), fin)
    with b.mirrored():
        b.ball((0.62 * length, 0.065, 0.25 * high), 0.045, b.material("white"))
        b.ball((0.65 * length, 0.1, 0.26 * high), 0.022, b.material("rubber"))
        b.ball((0.1, 0.11, -0.05), (0.1, 0.014, 0.05), fin, turn=(0.3, 0.4, -0.3))


def turtle(b: Builder) -> None:
    shell, skin = b.material("leaf", "wood", "earth"), b.material("leaf", "skin")
    b.ball((0, 0, 0.1), (0.34, 0.28, b.u(0.18, 0.26)), shell, cut=cut("-z"))
    b.disc((0, 0, 0.1), 0.3, 0.03, skin, edge=0.02)
    b.rod((0.25, 0, 0.12), (0.42, 0, 0.2), 0.05, skin)
    b.ball((0.45, 0, 0.22), (0.09, 0.07, 0.07), skin)
    b.rod((-0.3, 0, 0.09), (-0.42, 0, 0.05), 0.035, skin, tip=0.01)
    with b.mirrored():
        b.ball((0.5, 0.05, 0.25), 0.018, b.material("rubber"))
        b.rod((0.2, 0.2, 0.1), (0.26, 0.28, 0.03), 0.055, skin)
        b.rod((-0.2, 0.2, 0.1), (-0.24, 0.27, 0.03), 0.055, skin)


def person(b: Builder) -> None:
    """Standing, walking, waving, sitting; trousers or a dress; hair, hats."""
    skin, shirt, legs = b.material("skin"), b.material("fabric"), b.material("fabric", "paint")
    hair, shoe = b.material("hair"), b.material("leather", "rubber", "white")
    hip, torso, broad, head = b.u(0.4, 0.48), b.u(0.3, 0.36), b.u(0.1, 0.14), b.u(0.085, 0.12)
    pose, limb = b.pick("stand", "walk", "wave", "sit"), b.u(0.04, 0.05)
    hip = 0.25 if pose == "sit" else hip
    neck = hip + torso
    with b.joined(0.02):
        b.ball((0, 0, hip + 0.72 * torso), (0.075, 1.15 * broad, 0.33 * torso), shirt, 2.4)
        b.ball((0, 0, hip + 0.3 * torso), (0.07, 0.95 * broad, 0.42 * torso), shirt, 2.6)
    dress = pose in ("stand", "wave") and b.chance(0.3)
    if dress:
        b.disc((0, 0, 0.75 * hip), 0.2, 0.42 * hip, shirt, top=0.09)
    b.rod((0, 0, neck - 0.04), (0, 0, neck + 0.06), 0.035, skin)
    face_up(b, neck + 0.03 + head, head, skin, hair)
    for side in (-1, 1):
        swing = {"walk": side * 0.17, "sit": 0.3}.get(pose, 0.0)
        leg(b, hip, side * 0.55 * broad, swing, limb, skin if dress else legs, shoe, pose == "sit")
        raised = pose == "wave" and side > 0
        arm(b, (0, side * 1.12 * broad, neck - 0.06), side, -swing, raised, shirt, skin)


def leg(
    b: Builder, hip: float, y: float, swing: float, limb: float, m: Material, shoe: Material, bent: bool
) -> None:
    knee = (0.3, y, hip) if bent else (0.55 * swing + 0.02 * abs(swing), y, 0.52 * hip)
    foot = (0.32, y, 0.05) if bent else (swing, y, 0.05)
    b.rod((0, y, hip), knee, 1.2 * limb, m)
    b.rod(knee, foot, 0.95 * limb, m)
    b.ball((foot[0] + 0.035, y, 0.035), (0.09, 0.045, 0.04), shoe, 2.4)


def arm(b: Builder, shoulder, side: int, swing: float, raised: bool, shirt: Material, skin: Material) -> None:
    x, y, z = shoulder
    elbow = (0, y + side * 0.13, z + 0.05) if raised else (0.4 * swing, y + side * 0.05, z - 0.14)
    hand = (0.03, y + side * 0.17, z + 0.22) if raised else (swing + 0.04, y + side * 0.06, z - 0.28)
    b.rod((x, y, z), elbow, 0.04, shirt)
    b.rod(elbow, hand, 0.032, b.pick(shirt, skin))
    b.ball(hand, 0.04, skin)


def face_up(b: Builder, z: float, head: float, skin: Material, hair: Material) -> None:
    """Head with eyes, hair and sometimes a hat."""
    b.ball((0, 0, z), (head, 0.88 * head, 1.1 * head), skin)
    style = b.pick("short", "long", "bald", "hat", "cap")
    if style in ("short", "long", "hat", "cap"):
        b.ball(
            (-0.14 * head, 0, z + 0.18 * head), (head, 0.97 * head, 1.08 * head), hair, cut=cut("-z", -0.05)
        )
    if style == "long":
        b.ball((-0.5 * head, 0, z - 0.5 * head), (0.6 * head, 0.9 * head, 1.3 * head), hair)
    if style == "hat":
        felt = b.material("fabric", "leather")
        b.disc((0, 0, z + 0.75 * head), 1.6 * head, 0.014, felt)
        b.disc((0, 0, z + 1.2 * head), 0.95 * head, 0.5 * head, felt, top=0.8 * head)
    if style == "cap":
        felt = b.material("fabric", "plastic")
        b.ball((0, 0, z + 0.35 * head), (1.08 * head, head, 0.9 * head), felt, cut=cut("-z"))
        b.ball((head, 0, z + 0.4 * head), (0.6 * head, 0.7 * head, 0.014), felt)
    with b.mirrored():
        b.ball((0.86 * head, 0.36 * head, z + 0.12 * head), 0.017, b.material("rubber"))
    b.ball((head, 0, z - 0.12 * head), 0.02, skin)
