"""Composites: a number, objects and photographs go in; a photo as somebody might take it and its true alpha
come out. The same number gives the same photo.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from evidence.subjects import Subject
from objects import random_poses
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from viewfusion import ViewFusionError

from .photographs import Photograph

GROUNDS = {"photograph": "photographs", "blurred": "blurred photographs", "plain": "plain light grounds"}
ORDER = ("photograph", "plain", "photograph", "blurred", "photograph", "photograph", "plain", "photograph")
"""Grounds of cases 0, 1, 2 ..., over and over: five eighths are sharp photographs."""

OBJECT_SIDE = 384
"""Pixels a side of an object's rendering, of which the object fills about 0.7."""
SHARES = 0.45, 0.85
"""Least and most of the photo's shorter side that the object's longest side takes."""
ASPECTS = (4 / 3, 3 / 4, 1.0, 3 / 2)
"""Width over height of the photos."""


@dataclass(frozen=True)
class Composite:
    """A photo whose cut-out is known.

    Args:
        jpeg: the photo's file.
        truth: (H, W) uint8 alpha.
        ground: of :data:`GROUNDS`.
        credit: of the photograph behind; empty if there is none.
    """

    jpeg: bytes
    truth: np.ndarray
    ground: str
    credit: str


def composite(number: int, subject: Subject, photos: Sequence[Photograph]) -> Composite:
    """Case ``number``: ``subject`` from a drawn camera, put somewhere before a drawn ground.

    Raises:
        ViewFusionError: the object cannot be rendered.
    """
    rng = np.random.default_rng((77, number))
    kind = ORDER[number % len(ORDER)]
    (pose,) = random_poses(rng, 1)
    (rgba,) = subject.pictures([pose], OBJECT_SIDE)
    if rgba[..., 3].max() < 128:
        raise ViewFusionError(f"{subject.name} is invisible")
    piece = _cropped(rgba)
    size = _size(rng, max(piece.shape[:2]))
    credit = ""
    if kind == "plain":
        ground = _plain_ground(rng, size)
    else:
        photo = photos[int(rng.integers(len(photos)))]
        ground, credit = _photo_ground(rng, photo.open(), size, kind == "blurred"), photo.credit
    colours, alpha = _placed(rng, piece, size)
    share = alpha[..., None] / 255.0
    seen = colours * share + _shaded(rng, ground, alpha) * (1 - share)
    return Composite(_taken(rng, seen), alpha, kind, credit)


def _cropped(rgba: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero(rgba[..., 3].any(axis=axis)) for axis in (1, 0))
    return rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _size(rng: np.random.Generator, longest: int) -> tuple[int, int]:
    """Width and height of a photo of something ``longest`` pixels long."""
    shorter = longest / rng.uniform(*SHARES)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    return math.ceil(shorter * max(1, aspect)), math.ceil(shorter * max(1, 1 / aspect))


def _plain_ground(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float: a light wall or table, a little darker to one side and towards the corners."""
    width, height = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    colour = rng.uniform(205, 250) + rng.normal(0, 4, 3)
    slope = rng.uniform(-10, 10) * x + rng.uniform(-10, 10) * y - rng.uniform(0, 12) * (x**2 + y**2)
    return np.clip(colour + slope[..., None], 0, 255)


def _photo_ground(
    rng: np.random.Generator, photo: Image.Image, size: tuple[int, int], blurred: bool
) -> np.ndarray:
    """(H, W, 3) float: a piece of the photograph, perhaps mirrored, lighter or darker, or out of focus."""
    most = min(photo.width / size[0], photo.height / size[1])
    scale = most * rng.uniform(0.5, 1)
    across, down = size[0] * scale, size[1] * scale
    left, top = rng.uniform(0, photo.width - across), rng.uniform(0, photo.height - down)
    piece = photo.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + across, top + down))
    if rng.random() < 0.5:
        piece = ImageOps.mirror(piece)
    piece = ImageEnhance.Brightness(piece).enhance(rng.uniform(0.7, 1.3))
    piece = ImageEnhance.Color(piece).enhance(rng.uniform(0.5, 1.2))
    if blurred:
        piece = piece.filter(ImageFilter.GaussianBlur(rng.uniform(3, 9)))
    return np.asarray(piece, np.float64)


def _placed(
    rng: np.random.Generator, piece: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) colours and (H, W) alpha of the object near the middle, whole."""
    starts = []
    for length, room in zip(piece.shape, (size[1], size[0]), strict=False):
        free = room - length
        starts.append(round(free / 2 + rng.uniform(-0.3, 0.3) * free))
    out = np.zeros((size[1], size[0], 4), np.uint8)
    out[starts[0] : starts[0] + piece.shape[0], starts[1] : starts[1] + piece.shape[1]] = piece
    return out[..., :3].astype(np.float64), out[..., 3]


def _shaded(rng: np.random.Generator, ground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """``ground`` under the soft shadow of what stands on it: the object's lower half, aside and blurred."""
    rows = np.flatnonzero(alpha.any(axis=1))
    tall = rows[-1] + 1 - rows[0]
    lower = alpha.astype(np.float32).copy()
    lower[: rows[-1] + 1 - tall // 2] = 0
    aside = round(rng.uniform(-0.12, 0.12) * tall), round(rng.uniform(0, 0.06) * tall)
    moved = Image.fromarray(lower.astype(np.uint8)).transform(
        alpha.shape[::-1], Image.Transform.AFFINE, (1, 0, -aside[0], 0, 1, -aside[1])
    )
    soft = np.asarray(moved.filter(ImageFilter.GaussianBlur(0.05 * float(tall))), np.float64) / 255
    return ground * (1 - rng.uniform(0, 0.5) * soft[..., None])


def _taken(rng: np.random.Generator, seen: np.ndarray) -> bytes:
    """A JPEG of it, with the noise of a sensor."""
    noisy = seen + rng.normal(0, rng.uniform(0, 4), seen.shape)
    file = io.BytesIO()
    quality = int(rng.integers(60, 96))
    Image.fromarray(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return file.getvalue()
