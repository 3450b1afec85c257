"""Surfaces: what colours they have, and which colour shows where.

Enters: rows of ``MATERIAL`` numbers and points in each solid's frame. Leaves: colours. A material is two
colours and how they mix. Noise is a hash of whole numbers, so every machine and device sees the same grain.
"""

from __future__ import annotations

import colorsys
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

SOLID, GRADIENT, STRIPES, CHECKS, DOTS, NOISE, BLOTCHES, PHOTO = range(8)
MATERIAL = ("r", "g", "b", "r2", "g2", "b2", "kind", "fx", "fy", "fz", "phase", "gloss", "photo")
PHOTO_SIZE = 256
FREE_PHOTOS = ("brick.png", "grass.png", "gravel.png", "coffee.png", "chelsea.png")
"""CC0 pictures in scikit-image's wheel: brick and gravel from CC0Textures.com (Bricks25, Gravel04), grass by
linolafett, coffee by Rachel Michetti, the cat Chelsea by Stefan van der Walt."""

Material = tuple[float, ...]
Range = tuple[float, float]


@dataclass(frozen=True)
class Palette:
    """Ranges of hue, saturation and value, of gloss, and how likely each kind of texture is."""

    hue: Range
    saturation: Range
    value: Range
    gloss: Range = (0.0, 0.1)
    kinds: tuple[tuple[int, float], ...] = ()  # the rest is plain
    akin: bool = True  # the second colour is a shade of the first, not another


PLAIN_CLOTH = ((STRIPES, 0.15), (CHECKS, 0.12), (NOISE, 0.15), (DOTS, 0.08))
DECORATED = ((STRIPES, 0.12), (GRADIENT, 0.15), (DOTS, 0.08), (CHECKS, 0.05), (BLOTCHES, 0.05))
PALETTES = {
    "wood": Palette((0.05, 0.11), (0.3, 0.75), (0.28, 0.92), (0.0, 0.2), ((NOISE, 0.55), (STRIPES, 0.08))),
    "metal": Palette((0.0, 1.0), (0.0, 0.1), (0.45, 0.9), (0.3, 0.7), ((GRADIENT, 0.1),)),
    "brass": Palette((0.08, 0.13), (0.45, 0.75), (0.5, 0.85), (0.3, 0.7)),
    "plastic": Palette((0.0, 1.0), (0.5, 1.0), (0.5, 1.0), (0.1, 0.5), ((GRADIENT, 0.06),)),
    "paint": Palette((0.0, 1.0), (0.3, 1.0), (0.35, 1.0), (0.1, 0.5), ((GRADIENT, 0.06), (STRIPES, 0.03))),
    "fabric": Palette((0.0, 1.0), (0.08, 0.8), (0.25, 0.95), (0.0, 0.02), PLAIN_CLOTH, akin=False),
    "leather": Palette((0.02, 0.09), (0.2, 0.75), (0.1, 0.65), (0.1, 0.35), ((NOISE, 0.2),)),
    "ceramic": Palette((0.0, 1.0), (0.05, 0.85), (0.4, 0.97), (0.2, 0.5), DECORATED, akin=False),
    "glass": Palette((0.5, 0.62), (0.1, 0.45), (0.12, 0.6), (0.4, 0.8), ((GRADIENT, 0.2),)),
    "rubber": Palette((0.0, 1.0), (0.0, 0.1), (0.04, 0.2), (0.0, 0.1)),
    "white": Palette((0.08, 0.16), (0.0, 0.12), (0.8, 0.98), (0.0, 0.3)),
    "leaf": Palette((0.2, 0.4), (0.4, 0.9), (0.25, 0.8), (0.0, 0.15), ((NOISE, 0.5),)),
    "flower": Palette((0.0, 1.0), (0.6, 1.0), (0.7, 1.0), (0.0, 0.1)),
    "earth": Palette((0.04, 0.09), (0.35, 0.7), (0.1, 0.35), (0.0, 0.0), ((NOISE, 0.5),)),
    "skin": Palette((0.03, 0.08), (0.25, 0.6), (0.35, 0.95), (0.0, 0.1)),
    "hair": Palette((0.03, 0.12), (0.2, 0.7), (0.05, 0.6), (0.0, 0.2)),
    "fur": Palette((0.03, 0.11), (0.05, 0.7), (0.1, 0.9), (0.0, 0.05), ((BLOTCHES, 0.25), (NOISE, 0.2))),
    "stone": Palette((0.05, 0.15), (0.0, 0.25), (0.4, 0.85), (0.0, 0.05), ((NOISE, 0.4), (CHECKS, 0.05))),
    "brick": Palette((0.0, 0.06), (0.4, 0.8), (0.35, 0.75), (0.0, 0.05), ((NOISE, 0.3), (STRIPES, 0.2))),
    "light": Palette((0.11, 0.16), (0.05, 0.5), (0.9, 1.0), (0.2, 0.6)),
    "red light": Palette((0.97, 1.03), (0.8, 1.0), (0.6, 0.95), (0.2, 0.6)),
}
PHOTOGRAPHED = ("wood", "fabric", "leather", "stone", "brick", "earth", "fur", "leaf")


def draw_material(rng: np.random.Generator, names: tuple[str, ...], photos: int = 0) -> Material:
    """A material from one of the palettes.

    With ``photos`` to choose from, a third of what is woven, grown or quarried shows one. The numbers drawn
    are as many either way: the shape of an object does not depend on it.
    """
    name = names[int(rng.integers(len(names)))]
    palette = PALETTES[name]
    kind_at, photo_at, phase, size, stretch = rng.random(5)
    kind, axis = SOLID, int(rng.integers(3))
    for each, share in palette.kinds:
        if 0 <= kind_at < share:
            kind = each
        kind_at -= share
    first = _colour(rng, palette)
    second, shade = _colour(rng, palette), 0.45 + 0.35 * rng.random()
    if palette.akin:
        second = shade * first[0], shade * first[1], shade * first[2]
    gloss = palette.gloss[0] + (palette.gloss[1] - palette.gloss[0]) * rng.random()
    if name in PHOTOGRAPHED and 3 * photo_at < 1 and photos:
        kind = PHOTO
    frequency = _frequency(kind, axis, size, stretch)
    photo = int(3 * photo_at * photos) if kind == PHOTO else 0
    return (*first, *second, float(kind), *frequency, 10 * phase, gloss, float(photo))


def _colour(rng: np.random.Generator, palette: Palette) -> tuple[float, float, float]:
    hue, saturation, value = (
        low + (high - low) * rng.random() for low, high in (palette.hue, palette.saturation, palette.value)
    )
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def _frequency(kind: int, axis: int, size: float, stretch: float) -> tuple[float, ...]:
    """Cells per unit along x, y, z; a whole object is about one unit long."""
    if kind in (STRIPES, GRADIENT):
        along = 5 + 11 * size if kind == STRIPES else 1 + 2 * size
        return tuple(along if i == axis else 0.0 for i in range(3))
    if kind == NOISE:  # grain runs along one axis
        return tuple((2 + 4 * stretch if i == axis else 12 + 14 * size) for i in range(3))
    if kind == PHOTO:
        return (0.8 + 1.5 * size,) * 3
    return (4 + 4 * size,) * 3 if kind == BLOTCHES else (6 + 8 * size,) * 3


def colour(
    materials: torch.Tensor, point: torch.Tensor, normal: torch.Tensor, photos: torch.Tensor | None
) -> torch.Tensor:
    """Colours (3, N) in [0, 1] of ``materials`` (13, N) at points, with normals (3, N) in the solids' frames.

    Args:
        photos: (T, PHOTO_SIZE, PHOTO_SIZE, 3) in [0, 1], needed if a material shows one.
    """
    kind, cell = materials[6], point * materials[7:10] + materials[10]
    whole = torch.floor(cell)
    slope = 0.5 + (point * materials[7:10]).sum(0)
    grain = 0.65 * noise(cell) + 0.35 * noise(2 * cell + 17)
    mix = torch.zeros_like(kind)
    for each, value in (
        (GRADIENT, slope.clamp(0, 1)),
        (STRIPES, torch.floor((cell - materials[10]).sum(0) + materials[10]) % 2),
        (CHECKS, whole.sum(0) % 2),
        (DOTS, ((cell - whole - 0.5).square().sum(0) < 0.12).float()),
        (NOISE, grain),
        (BLOTCHES, (grain > 0.52).float()),
    ):
        mix = torch.where(kind == each, value, mix)
    mix = mix.expand(3, -1)
    if photos is not None:
        mix = torch.where(kind == PHOTO, _photo(materials, point, normal, photos), mix)
    return materials[:3] + (materials[3:6] - materials[:3]) * mix


def noise(point: torch.Tensor) -> torch.Tensor:
    """(N,) in [0, 1]: random numbers on the whole-numbered grid, smoothly between; points (3, N)."""
    whole = torch.floor(point)
    part = point - whole
    weight = part * part * (3 - 2 * part)
    x, y, z = whole.long()
    total = torch.zeros_like(part[0])
    for corner in range(8):
        i, j, k = corner & 1, corner >> 1 & 1, corner >> 2
        share = (weight[0] if i else 1 - weight[0]) * (weight[1] if j else 1 - weight[1])
        total += share * (weight[2] if k else 1 - weight[2]) * _hash(x + i, y + j, z + k)
    return total


def _hash(x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Numbers in [0, 1] that look random, from whole numbers."""
    mixed = (x * 374761393 + y * 668265263 + z * 1440662683) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 16)) & 0xFFFF) / 65535


def _photo(materials, point, normal, photos: torch.Tensor) -> torch.Tensor:
    """(3, N) the photograph as seen along the axis the surface faces, mirrored at its borders."""
    x, y, z = point * materials[7:10] + materials[10]
    facing = normal.abs().argmax(0)
    u, v = torch.where(facing == 0, y, x), torch.where(facing == 2, y, z)
    size = photos.shape[1]
    at = [(1 - (a % 2 - 1).abs()) * (size - 1) for a in (u, v)]
    low = [a.floor().long().clamp(0, size - 2) for a in at]
    right, down = (a - b for a, b in zip(at, low, strict=True))
    which = materials[12].long()

    def texel(i: int, j: int) -> torch.Tensor:
        return photos[which, low[1] + j, low[0] + i].T

    upper = texel(0, 0) * (1 - right) + texel(1, 0) * right
    lower = texel(0, 1) * (1 - right) + texel(1, 1) * right
    return upper * (1 - down) + lower * down


def free_photos() -> list[Path]:
    """Where the installed scikit-image keeps its CC0 pictures; they are read there, never copied."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the free photographs come with scikit-image: pip install scikit-image")
    paths = [Path(found.origin).parent / "data" / name for name in FREE_PHOTOS]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(f"this scikit-image lacks {', '.join(missing)}; version 0.26 has them")
    return paths


def load_photos(paths: list[Path]) -> torch.Tensor:
    """(T, PHOTO_SIZE, PHOTO_SIZE, 3) in [0, 1] of pictures, cropped square, their contrast stretched.

    A grey picture mixes a material's two colours; a coloured one does so per channel.
    """
    from PIL import Image, ImageOps

    tiles = []
    for path in paths:
        picture = Image.open(path).convert("RGB")
        fitted = ImageOps.autocontrast(ImageOps.fit(picture, (PHOTO_SIZE, PHOTO_SIZE)), cutoff=1)
        tiles.append(torch.from_numpy(np.array(fitted)).float() / 255)
    if not tiles:
        raise ValueError("no photographs to load; name at least one picture")
    return torch.stack(tiles)
