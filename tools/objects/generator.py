"""Seeds to objects: a family, its parts, a turn about z, a scale and a light.

Numbers come from numpy's generator, whose streams are the same on every machine.
"""

from __future__ import annotations

import math

import numpy as np

from viewfusion.datasets import fit_scale

from .builder import Builder
from .families import FAMILIES
from .lights import draw_light
from .primitives import LENGTHS, MASSIVE, UNCUT
from .scene import ProceduralObject, world_extent

SPLITS = {"train": 0, "validation": 500_000_000, "held-out": 1_000_000_000}
"""The first seed of each split; settings are chosen on the second, told figures are of the third."""


def random_object(seed: int, family: str | None = None, photos: int = 0) -> ProceduralObject:
    """The object of ``seed``: same seed, same object, on any machine.

    Args:
        photos: how many photographs materials may choose from; they change materials, never shapes.
    """
    rng = np.random.default_rng(seed)
    names = list(FAMILIES)
    shares = np.array([FAMILIES[name][1] for name in names])
    drawn = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    builder = Builder(rng, photos)
    FAMILIES[family or drawn][0](builder)
    return assemble(family or drawn, builder, rng.uniform(-math.pi, math.pi), draw_light(rng))


def assemble(family: str, b: Builder, turn: float, light: tuple[float, ...]) -> ProceduralObject:
    """The parts of ``b`` turned about z, centred and scaled."""
    world = _rotations(np.array([[0.0, 0.0, turn]]))[0]
    parts = sorted(b.parts, key=lambda part: part.group)
    rotations = world @ _rotations(np.array([part.turn for part in parts], dtype=np.float64))
    centres = np.array([part.at for part in parts], dtype=np.float64) @ world.T
    solids = np.array([part.solid for part in parts], dtype=np.float64)
    low, high = world_extent(solids, rotations, centres)
    low, high = low.min(0), high.max(0)
    scale = fit_scale(low, high)
    solids[:, LENGTHS] *= scale
    solids[:, 5] = np.where(solids[:, 5] > 0.9 * MASSIVE * scale, MASSIVE, solids[:, 5])
    solids[:, 12] = np.where(np.abs(solids[:, 9:12]).sum(1) == 0, UNCUT[3], solids[:, 12])
    used, groups = np.unique([part.group for part in parts], return_inverse=True)
    return ProceduralObject(
        family,
        solids.astype(np.float32),
        rotations.astype(np.float32),
        ((centres - (low + high) / 2) * scale).astype(np.float32),
        np.array([part.material for part in parts], dtype=np.float32),
        groups.astype(np.int64),
        (np.array(b.smoothness)[used] * scale).astype(np.float32),
        np.array(light, dtype=np.float32),
    )


def _rotations(turns: np.ndarray) -> np.ndarray:
    """(P, 3, 3) rotations about x, then y, then z, by ``turns`` (P, 3) radians."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(turns).T, np.sin(turns).T
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)
