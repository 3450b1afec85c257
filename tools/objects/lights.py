"""Light: a key, a fill, sky and ground, fixed to the object's world so that turning shows it.

Enters: a random generator. Leaves: rows of ``LIGHT`` numbers, and shaded colours.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional

LIGHT = ("key_at", "key", "fill_at", "fill", "sky", "ground", "shine")  # three numbers each, shine one
ROOM, STUDIO, OUTDOORS = "room", "studio", "outdoors"
SHARPNESS = 24  # Blinn's exponent

Light = tuple[float, ...]


def draw_light(rng: np.random.Generator) -> Light:
    """Room: even light, a lamp. Studio: key, fill, gloss. Outdoors: a blue sky, a dark ground, the sun."""
    model = (ROOM, STUDIO, OUTDOORS)[int(rng.integers(3))]
    share = {ROOM: 0.5 + 0.25 * rng.random(), STUDIO: 0.42 + 0.2 * rng.random(), OUTDOORS: 0.55}[model]
    warmth = 0.12 * rng.random() - 0.04
    key = _tinted(1.1 - share, warmth)
    key_at, fill_at = _direction(rng, 0.6), _direction(rng, 0.1)
    fill = _tinted(0.25 * rng.random() if model == STUDIO else 0.0, 0.0)
    sky = _tinted(share, -0.1 if model == OUTDOORS else 0.0)
    ground = tuple(channel * (0.65 if model == OUTDOORS else 0.88) for channel in _tinted(share, 0.03))
    return (*key_at, *key, *fill_at, *fill, *sky, *ground, 0.3 if model == ROOM else 1.0)


def _tinted(strength: float, warmth: float) -> tuple[float, float, float]:
    return strength * (1 + warmth), strength, strength * (1 - warmth)


def _direction(rng: np.random.Generator, height: float) -> tuple[float, float, float]:
    """A unit vector, rather upwards."""
    x, y, z = (float(value) for value in rng.normal(size=3))
    z = height + abs(z)
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def shade(
    lights: torch.Tensor, base: torch.Tensor, gloss: torch.Tensor, normal: torch.Tensor, view: torch.Tensor
) -> torch.Tensor:
    """Lit colours (3, N): Lambert for key and fill, Blinn's highlight, sky above and ground below.

    Args:
        lights: (19, N); base: (3, N) colours; gloss: (N,); normal, view: (3, N) unit, in the world.
    """
    key_at, key, fill_at, fill, sky, ground = lights[:18].unflatten(0, (6, 3))
    up = 0.5 + 0.5 * normal[2]
    diffuse = sky * up + ground * (1 - up)
    diffuse = diffuse + key * (key_at * normal).sum(0).clamp(min=0)
    diffuse = diffuse + fill * (fill_at * normal).sum(0).clamp(min=0)
    half_way = functional.normalize(key_at - view, dim=0)
    highlight = (half_way * normal).sum(0).clamp(min=0) ** SHARPNESS
    return (base * diffuse + gloss * lights[18] * key * highlight).clamp(0, 1)
