"""Procedural objects and their closed-form ray caster: the data zero123-nano learns from.

Enters: a random generator. Leaves: RGBA renderings of one object from any pose of ``viewfusion.geometry``.
An object is a list of parts; every part is an affine image of a unit box, ball or capped cylinder, so a
ray meets it in closed form (a convex body: the intersection of one interval per constraint).
"""

from __future__ import annotations

import colorsys
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from viewfusion.geometry import FOV, Pose, camera_to_world

BOX, BALL, CYLINDER = 0, 1, 2
SOLID, STRIPES, CHECKS = 0, 1, 2


@dataclass
class ObjectBuilder:
    """Collects parts: centres, half sizes and rotations in a z-up frame, two colours and a pattern each."""

    rng: np.random.Generator
    shapes: list[int] = field(default_factory=list)
    centres: list[np.ndarray] = field(default_factory=list)
    halves: list[np.ndarray] = field(default_factory=list)
    rotations: list[np.ndarray] = field(default_factory=list)
    colours: list[np.ndarray] = field(default_factory=list)
    patterns: list[tuple[int, int, float]] = field(default_factory=list)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def material(self) -> tuple[np.ndarray, tuple[int, int, float]]:
        """Two colours (2, 3) in [0, 1] and a pattern (kind, axis, frequency)."""
        kind = int(self.rng.choice([SOLID, STRIPES, CHECKS], p=[0.75, 0.15, 0.1]))
        colours = np.stack([self._colour(), self._colour()])
        return colours, (kind, int(self.rng.integers(3)), self.uniform(1.5, 4.0))

    def _colour(self) -> np.ndarray:
        hue = self.rng.random()
        if self.chance(0.3):  # greys, white, black
            saturation, value = self.uniform(0, 0.1), self.uniform(0.08, 0.92)
        elif self.chance(0.4):  # wood, leather, earth
            hue, saturation, value = self.uniform(0.03, 0.12), self.uniform(0.3, 0.8), self.uniform(0.2, 0.8)
        else:
            saturation, value = self.uniform(0.4, 1.0), self.uniform(0.3, 0.95)
        return np.asarray(colorsys.hsv_to_rgb(hue, saturation, value))

    def add(self, shape, centre, half, material, euler=(0.0, 0.0, 0.0)) -> None:
        self.shapes.append(shape)
        self.centres.append(np.asarray(centre, dtype=np.float64))
        self.halves.append(np.maximum(np.asarray(half, dtype=np.float64), 0.012))
        self.rotations.append(_rotation(*euler))
        self.colours.append(material[0])
        self.patterns.append(material[1])

    def bar(self, start, end, thickness, material, shape=CYLINDER) -> None:
        """A rod or beam between two points."""
        start, end = np.asarray(start, float), np.asarray(end, float)
        axis = end - start
        length = float(np.linalg.norm(axis))
        yaw, pitch = math.atan2(axis[1], axis[0]), math.acos(np.clip(axis[2] / max(length, 1e-9), -1, 1))
        self.add(shape, (start + end) / 2, (thickness, thickness, length / 2), material, (0, pitch, yaw))


def _rotation(roll: float, pitch: float, yaw: float) -> np.ndarray:
    def about(axis: int, angle: float) -> np.ndarray:
        i, j = [k for k in range(3) if k != axis]
        matrix = np.eye(3)
        matrix[i, i] = matrix[j, j] = math.cos(angle)
        sign = -1.0 if axis == 1 else 1.0
        matrix[i, j], matrix[j, i] = -sign * math.sin(angle), sign * math.sin(angle)
        return matrix

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)


def _legs(b: ObjectBuilder, width: float, depth: float, top: float, material) -> None:
    """Four legs (straight, splayed) or one pedestal from the floor, z = 0, up to ``top``."""
    thickness = b.uniform(0.02, 0.06)
    if b.chance(0.2):
        b.bar((0, 0, 0), (0, 0, top), b.uniform(0.03, 0.08), material)
        b.add(CYLINDER, (0, 0, 0.02), (width * 0.7, depth * 0.7, 0.025), material)
        return
    splay = b.uniform(0.0, 0.12) if b.chance(0.4) else 0.0
    shape = BOX if b.chance(0.5) else CYLINDER
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (width - thickness), sy * (depth - thickness)
            b.bar((x * (1 + splay), y * (1 + splay), 0), (x, y, top), thickness, material, shape)


def chair(b: ObjectBuilder) -> None:
    """Faces +x before the random turn: the back rest is at -x."""
    seat, frame = b.material(), b.material()
    back = seat if b.chance(0.6) else frame
    width, depth, height = b.uniform(0.22, 0.36), b.uniform(0.22, 0.34), b.uniform(0.35, 0.6)
    thick, rise, tilt = b.uniform(0.02, 0.08), b.uniform(0.35, 0.75), b.uniform(0.0, 0.2)
    b.add(CYLINDER if b.chance(0.2) else BOX, (0, 0, height), (depth, width, thick), seat)
    _legs(b, depth, width, height, frame)
    if b.chance(0.88):
        top = (-depth - tilt * rise, 0, height + rise)
        if b.chance(0.3):  # slats
            for y in np.linspace(-width * 0.9, width * 0.9, int(b.rng.integers(2, 5))):
                b.bar((-depth, y, height), (top[0], y, top[2]), 0.03, back)
            b.add(BOX, top, (0.04, width, 0.06), back, (0, -tilt, 0))
        else:
            middle = ((-depth + top[0]) / 2, 0, height + rise / 2 + 0.02)
            b.add(BOX, middle, (b.uniform(0.02, 0.07), width, rise / 2), back, (0, -tilt, 0))
    if b.chance(0.35):
        arm = b.uniform(0.15, 0.25)
        for side in (-1, 1):
            b.add(BOX, (0, side * width, height + arm), (depth, 0.04, 0.03), frame)
            b.bar((depth * 0.8, side * width, height), (depth * 0.8, side * width, height + arm), 0.03, frame)


def sofa(b: ObjectBuilder) -> None:
    cloth, wood = b.material(), b.material()
    width, depth, height = b.uniform(0.35, 0.9), b.uniform(0.28, 0.42), b.uniform(0.18, 0.3)
    rise, arm = b.uniform(0.2, 0.45), b.uniform(0.05, 0.14)
    b.add(BOX, (0, 0, height), (depth, width, b.uniform(0.08, 0.15)), cloth)
    b.add(BOX, (-depth, 0, height + rise / 2), (b.uniform(0.06, 0.14), width, rise / 2 + 0.12), cloth)
    for side in (-1, 1):
        if b.chance(0.9):
            b.add(BOX, (0, side * width, height + 0.08), (depth, arm, b.uniform(0.14, 0.25)), cloth)
    _legs(b, depth, width, height, wood)
    if b.chance(0.3):
        cushion = b.material()
        for side in (-1, 1):
            at = (-depth * 0.5, side * width * 0.5, height + 0.25)
            b.add(BALL, at, (0.08, 0.2, 0.16), cushion)


def table(b: ObjectBuilder) -> None:
    top, frame = b.material(), b.material()
    width, depth, height = b.uniform(0.3, 0.6), b.uniform(0.25, 0.45), b.uniform(0.3, 0.75)
    b.add(CYLINDER if b.chance(0.35) else BOX, (0, 0, height), (width, depth, b.uniform(0.02, 0.06)), top)
    _legs(b, width * 0.9, depth * 0.9, height, frame if b.chance(0.6) else top)
    if b.chance(0.3):
        b.add(BOX, (0, 0, height - 0.12), (width * 0.9, depth * 0.9, 0.08), frame)
    if b.chance(0.2):
        b.add(BOX, (0, 0, height * 0.35), (width * 0.85, depth * 0.85, 0.02), top)


def shelf(b: ObjectBuilder) -> None:
    body, front = b.material(), b.material()
    width, depth, height = b.uniform(0.2, 0.45), b.uniform(0.12, 0.3), b.uniform(0.3, 0.6)
    if b.chance(0.5):  # a chest of drawers or a cupboard
        b.add(BOX, (0, 0, height), (depth, width, height), body)
        rows = int(b.rng.integers(1, 4))
        for row in range(rows):
            z = (row + 0.5) * 2 * height / rows
            b.add(BOX, (depth, 0, z), (0.02, width * 0.88, height / rows * 0.85), front)
            b.add(BALL, (depth + 0.04, 0, z), (0.03, 0.03, 0.03), body)
    else:
        for side in (-1, 1):
            b.add(BOX, (0, side * width, height), (depth, 0.02, height), body)
        for z in np.linspace(0.03, 2 * height, int(b.rng.integers(3, 6))):
            b.add(BOX, (0, 0, z), (depth, width, 0.02), body)
        b.add(BOX, (-depth, 0, height), (0.015, width, height), front)


def lamp(b: ObjectBuilder) -> None:
    metal, shade = b.material(), b.material()
    height, size = b.uniform(0.5, 1.1), b.uniform(0.16, 0.32)
    b.add(CYLINDER, (0, 0, 0.03), (b.uniform(0.12, 0.25),) * 2 + (0.03,), metal)
    b.bar((0, 0, 0), (0, 0, height), b.uniform(0.02, 0.06), metal)
    b.add(BALL if b.chance(0.3) else CYLINDER, (0, 0, height), (size, size, b.uniform(0.12, 0.26)), shade)
    if b.chance(0.4):
        b.add(BALL, (0, 0, height * 0.3), (0.1, 0.1, height * 0.22), metal)


def vehicle(b: ObjectBuilder) -> None:
    """Car, van, truck: faces +x."""
    body, tyre, glass = b.material(), b.material(), b.material()
    tyre = (np.full((2, 3), b.uniform(0.05, 0.2)), (SOLID, 0, 1.0))
    length, width, height = b.uniform(0.5, 0.75), b.uniform(0.2, 0.3), b.uniform(0.08, 0.14)
    radius = b.uniform(0.09, 0.15)
    b.add(BOX, (0, 0, radius + height), (length, width, height), body)
    roof, where = b.uniform(0.08, 0.2), b.uniform(-0.3, 0.1) * length
    z = radius + 2 * height + roof
    if b.chance(0.6):
        b.add(BOX, (where, 0, z), (length * b.uniform(0.35, 0.6), width * 0.85, roof * 0.85), glass)
        b.add(BOX, (where, 0, z + roof * 0.85), (length * 0.4, width * 0.85, 0.02), body)
    else:  # a cab and a load
        b.add(BOX, (length * 0.65, 0, z), (length * 0.3, width * 0.95, roof), glass)
        b.add(BOX, (-length * 0.35, 0, z), (length * 0.6, width, roof * b.uniform(0.6, 1.5)), b.material())
    for x in (-0.6 * length, 0.6 * length):
        for side in (-1, 1):
            at = (x, side * width, radius)
            b.add(CYLINDER, at, (radius, radius, 0.05), tyre, (math.pi / 2, 0, 0))


def plane(b: ObjectBuilder) -> None:
    body, wing = b.material(), b.material()
    length, thick = b.uniform(0.5, 0.7), b.uniform(0.07, 0.14)
    b.add(BALL, (0, 0, 0), (length, thick, thick), body)
    x, sweep = b.uniform(-0.1, 0.2), b.uniform(0.0, 0.5)
    for side in (-1, 1):
        tip = b.uniform(0.35, 0.65)
        b.add(BOX, (x - sweep * 0.2, side * tip / 2, 0), (0.12, tip / 2, 0.018), wing, (0, 0, side * sweep))
        b.add(BOX, (-length * 0.85, side * 0.12, 0.03), (0.06, 0.13, 0.015), wing)
    b.add(BOX, (-length * 0.85, 0, 0.14), (0.07, 0.015, 0.13), wing)


def vessel(b: ObjectBuilder) -> None:
    """Mug, bottle, vase, pot."""
    main, second = b.material(), b.material()
    radius, height = b.uniform(0.15, 0.35), b.uniform(0.2, 0.5)
    kind = b.rng.integers(3)
    if kind == 0:  # mug with a handle of short rods
        b.add(CYLINDER, (0, 0, height), (radius, radius, height), main)
        b.add(CYLINDER, (0, 0, 2 * height), (radius * 0.85, radius * 0.85, 0.015), second)
        points = [
            (radius + 0.6 * radius * math.sin(t), 0, height + 0.6 * height * math.cos(t))
            for t in np.linspace(0, math.pi, 5)
        ]
        for start, end in itertools.pairwise(points):
            b.bar(start, end, 0.045, main)
    elif kind == 1:  # bottle
        neck = b.uniform(0.3, 0.5) * radius
        b.add(CYLINDER, (0, 0, height), (radius, radius, height), main)
        b.add(BALL, (0, 0, 2 * height), (radius, radius, radius * 0.8), main)
        b.bar((0, 0, 2 * height), (0, 0, 2 * height + radius * b.uniform(1.0, 2.0)), neck, second)
        b.add(CYLINDER, (0, 0, height), (radius * 1.01, radius * 1.01, height * 0.5), second)
    else:  # vase or teapot
        b.add(BALL, (0, 0, height), (radius, radius, height), main)
        b.add(CYLINDER, (0, 0, 0.1 * height), (radius * 0.6, radius * 0.6, 0.1 * height), second)
        b.add(CYLINDER, (0, 0, 1.9 * height), (radius * 0.5, radius * 0.5, height * 0.25), second)
        if b.chance(0.5):
            b.bar((radius * 0.8, 0, height), (radius * 1.7, 0, height * 1.5), 0.05, main)
            b.bar((-radius * 0.8, 0, height * 1.4), (-radius * 1.5, 0, height), 0.04, second)


def figure(b: ObjectBuilder) -> None:
    """Person, robot, or four-legged animal: faces +x."""
    skin, shirt, trousers = b.material(), b.material(), b.material()
    limb = b.uniform(0.04, 0.08)
    if b.chance(0.5):
        hip, torso, head = b.uniform(0.35, 0.5), b.uniform(0.18, 0.26), b.uniform(0.09, 0.17)
        wide = b.uniform(0.11, 0.2)
        shape = BALL if b.chance(0.5) else BOX
        b.add(shape, (0, 0, hip + torso), (wide * 0.6, wide, torso), shirt)
        b.add(shape, (0, 0, hip + 2 * torso + head), (head, head, head * 1.15), skin)
        b.add(BALL, (head, 0, hip + 2 * torso + head), (0.04, 0.03, 0.03), skin)
        swing = b.uniform(-0.2, 0.2)
        for side in (-1, 1):
            b.bar((side * swing, side * wide * 0.6, 0), (0, side * wide * 0.5, hip + 0.05), limb, trousers)
            hand = (-side * swing, side * (wide + b.uniform(0.05, 0.25)), hip + b.uniform(0.0, 0.3))
            b.bar((0, side * wide, hip + 1.8 * torso), hand, limb * 0.8, shirt)
    else:
        leg, body, girth = b.uniform(0.15, 0.35), b.uniform(0.28, 0.45), b.uniform(0.11, 0.2)
        b.add(BALL if b.chance(0.7) else BOX, (0, 0, leg + girth), (body, girth, girth), shirt)
        neck = (body + 0.12, 0, leg + 2 * girth + b.uniform(0.0, 0.3))
        b.bar((body * 0.75, 0, leg + girth), neck, limb, shirt)
        b.add(BALL, neck, (0.15, 0.09, 0.1), skin)
        for side in (-1, 1):
            b.add(BALL, (neck[0] - 0.05, side * 0.07, neck[2] + 0.1), (0.03, 0.03, 0.06), trousers)
            for x in (-body * 0.65, body * 0.65):
                b.bar((x, side * girth * 0.6, 0), (x, side * girth * 0.5, leg + girth), limb, trousers)
        b.bar(
            (-body * 0.9, 0, leg + girth), (-body - 0.15, 0, leg + girth + b.uniform(-0.1, 0.25)), 0.03, skin
        )


def house(b: ObjectBuilder) -> None:
    wall, roof, trim = b.material(), b.material(), b.material()
    width, depth, height = b.uniform(0.25, 0.45), b.uniform(0.25, 0.45), b.uniform(0.2, 0.35)
    b.add(BOX, (0, 0, height), (depth, width, height), wall)
    pitch = b.uniform(0.5, 0.8)
    slope = depth * 1.2 / math.cos(pitch) / 2
    for side in (-1, 1):
        at = (side * depth * 0.55, 0, 2 * height + math.tan(pitch) * depth * 0.55)
        b.add(BOX, at, (slope, width * 1.1, 0.03), roof, (0, side * pitch, 0))
    b.add(BOX, (depth, b.uniform(-0.1, 0.1), 0.15), (0.02, 0.07, 0.15), trim)
    b.add(BOX, (depth * 0.5, width * 0.5, 2 * height + 0.3), (0.05, 0.05, 0.2), trim)


def composition(b: ObjectBuilder) -> None:
    """A free pile of primitives, half of them mirrored in the plane y = 0."""
    palette = [b.material() for _ in range(int(b.rng.integers(1, 4)))]
    mirrored = b.chance(0.5)
    for _ in range(int(b.rng.integers(2, 6))):
        material = palette[int(b.rng.integers(len(palette)))]
        centre = b.rng.uniform(-0.35, 0.35, 3)
        half = b.rng.uniform(0.06, 0.35, 3)
        shape = int(b.rng.integers(3))
        if mirrored:
            for side in (-1, 1):
                b.add(shape, centre * (1, side, 1), half, material)
        else:
            tilt = tuple(b.rng.uniform(-0.6, 0.6, 3)) if b.chance(0.4) else (0.0, 0.0, 0.0)
            b.add(shape, centre, half, material, tilt)


FAMILIES: dict[str, tuple[Callable[[ObjectBuilder], None], float]] = {
    "chair": (chair, 0.2),
    "sofa": (sofa, 0.1),
    "table": (table, 0.08),
    "shelf": (shelf, 0.06),
    "lamp": (lamp, 0.05),
    "vehicle": (vehicle, 0.12),
    "plane": (plane, 0.04),
    "vessel": (vessel, 0.1),
    "figure": (figure, 0.1),
    "house": (house, 0.03),
    "composition": (composition, 0.12),
}


@dataclass(frozen=True)
class ProceduralObject:
    """Parts as arrays (float32): P parts, centred on the origin, scaled to the cameras of Zero123."""

    family: str
    shapes: torch.Tensor  # (P,) BOX, BALL or CYLINDER
    world_to_part: torch.Tensor  # (P, 3, 3) into the frame where the part is a unit body
    centres: torch.Tensor  # (P, 3)
    colours: torch.Tensor  # (P, 2, 3) in [0, 1]
    patterns: torch.Tensor  # (P, 3) kind, axis, frequency
    light: torch.Tensor  # (3,) unit, towards the light
    ambient: float


def random_object(seed: int, family: str | None = None) -> ProceduralObject:
    """The object of ``seed``: same seed, same object, on any machine."""
    rng = np.random.default_rng(seed)
    names = list(FAMILIES)
    drawn = rng.choice(len(names), p=[FAMILIES[name][1] for name in names])
    name = family or names[drawn]
    builder = ObjectBuilder(rng)
    FAMILIES[name][0](builder)
    turn = _rotation(0, 0, builder.uniform(-math.pi, math.pi))
    rotations = np.stack([turn @ rotation for rotation in builder.rotations])
    halves = np.stack(builder.halves)
    centres = np.stack(builder.centres) @ turn.T
    reach = np.abs(rotations * halves[:, None, :]).sum(-1)  # half extent of each part's bounding box
    low, high = (centres - reach).min(0), (centres + reach).max(0)
    # Longest side 1 as in the renderings Zero123 was trained on; deep diagonals kept inside the frame.
    scale = min(1.0 / (high - low).max(), 1.25 / float(np.linalg.norm(high - low)))
    light = np.array([*rng.normal(size=2), 0.6 + abs(rng.normal())])
    return ProceduralObject(
        name,
        torch.tensor(builder.shapes),
        torch.tensor(rotations.transpose(0, 2, 1) / (halves * scale)[:, :, None]).float(),
        torch.tensor((centres - (low + high) / 2) * scale).float(),
        torch.tensor(np.stack(builder.colours)).float(),
        torch.tensor(np.asarray(builder.patterns, dtype=np.float64)).float(),
        torch.tensor(light / np.linalg.norm(light)).float(),
        builder.uniform(0.45, 0.75),
    )


def render(
    obj: ProceduralObject, pose: Pose, size: int, supersample: int = 2, fov: float = FOV
) -> torch.Tensor:
    """(size, size, 4) uint8 straight-alpha RGBA of ``obj`` seen from ``pose``."""
    n = size * supersample
    matrix = torch.from_numpy(camera_to_world(pose)).float()
    steps = (2 * (torch.arange(n) + 0.5) / n - 1) * math.tan(fov / 2)
    rays = torch.stack(torch.broadcast_tensors(steps[None, :], -steps[:, None], -torch.ones(1, 1)), -1)
    directions = rays.reshape(-1, 3) @ matrix[:3, :3].T
    colour, hit = _shade(obj, matrix[:3, 3], directions)
    colour = (colour * hit[:, None]).reshape(size, supersample, size, supersample, 3).mean((1, 3))
    alpha = hit.float().reshape(size, supersample, size, supersample).mean((1, 3))
    straight = colour / alpha.clamp(min=1e-6)[..., None]
    return (torch.cat([straight, alpha[..., None]], -1) * 255).round().clamp(0, 255).byte()


def _shade(obj: ProceduralObject, origin: torch.Tensor, directions: torch.Tensor):
    """Lambert colour (R, 3) in [0, 1] and hit mask (R,) of rays from one origin."""
    start = torch.einsum("pij,pj->pi", obj.world_to_part, origin - obj.centres)
    moves = torch.einsum("pij,rj->pri", obj.world_to_part, directions)
    depth, axis = _enter(obj.shapes, start, moves)
    nearest, part = depth.min(0)
    hit = torch.isfinite(nearest)
    rows = torch.arange(len(directions))
    point = start[part] + nearest.where(hit, nearest.new_zeros(()))[:, None] * moves[part, rows]
    normal = _normal(obj.shapes[part], axis[part, rows], point)
    world = torch.nn.functional.normalize(torch.einsum("rij,ri->rj", obj.world_to_part[part], normal), dim=-1)
    lambert = (world @ obj.light).clamp(min=0)
    second = _pattern(obj.patterns[part], point)
    base = torch.where(second[:, None], obj.colours[part, 1], obj.colours[part, 0])
    return base * (obj.ambient + (1 - obj.ambient) * lambert)[:, None], hit


def _enter(shapes: torch.Tensor, start: torch.Tensor, moves: torch.Tensor):
    """Where rays enter unit bodies.

    Args:
        shapes: (P,); start: (P, 3) ray origin and moves: (P, R, 3) directions in each part's frame.

    Returns:
        depth (P, R), inf for a miss, and the constraint entered last (P, R): 0..2 a slab, 3 the curved side.
    """
    safe = torch.where(moves.abs() < 1e-9, torch.full_like(moves, 1e-9), moves)
    first, second = (-1 - start[:, None]) / safe, (1 - start[:, None]) / safe
    near, far = torch.minimum(first, second), torch.maximum(first, second)
    slabs = torch.stack([shapes == BOX, shapes == BOX, shapes != BALL], -1)[:, None]
    near, far = near.masked_fill(~slabs, -torch.inf), far.masked_fill(~slabs, torch.inf)
    round_axes = torch.stack([shapes != BOX, shapes != BOX, shapes == BALL], -1)[:, None].float()
    a = (moves.square() * round_axes).sum(-1).clamp(min=1e-12)
    b = (moves * start[:, None] * round_axes).sum(-1)
    c = (start[:, None].square() * round_axes).sum(-1) - 1
    root = b.square() - a * c
    curved = (shapes != BOX)[:, None]
    spread = root.clamp(min=0).sqrt() / a
    missed = curved & (root < 0)
    near = torch.cat([near, (-b / a - spread).masked_fill(~curved, -torch.inf)[..., None]], -1)
    far = torch.cat([far, (-b / a + spread).masked_fill(~curved, torch.inf)[..., None]], -1)
    enter, axis = near.max(-1)
    leave = far.min(-1).values
    return enter.masked_fill((enter >= leave) | (enter <= 0) | missed, torch.inf), axis


def _normal(shapes: torch.Tensor, axis: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """(R, 3) outward normals in the parts' frames at ``point`` (R, 3) on constraint ``axis`` (R,)."""
    flat = torch.nn.functional.one_hot(axis.clamp(max=2), 3) * point.sign()
    side = point * torch.stack([torch.ones_like(shapes), torch.ones_like(shapes), shapes == BALL], -1)
    return torch.where((axis == 3)[:, None], side, flat.to(side))


def _pattern(patterns: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """(R,) bool: the part's second colour shows at ``point`` (R, 3) of the unit body."""
    cells = torch.floor(point * patterns[:, 2:]).long()
    along = cells.gather(1, patterns[:, 1:2].long())[:, 0] % 2 == 1
    checks = cells.sum(-1) % 2 == 1
    return ((patterns[:, 0] == STRIPES) & along) | ((patterns[:, 0] == CHECKS) & checks)
