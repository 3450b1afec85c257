"""Looking at a reconstruction: a field or a mesh and a camera go in, pictures of it and how alike they are to
views come out."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from .pictures import Picture, picture_of
from .rendering import render_view

if TYPE_CHECKING:
    from .scene import Scene
    from .textured import TexturedMesh
    from .training import Training

MOST_DB = 100.0
"""PSNR of pictures that are the same."""

Look = Callable[[np.ndarray, np.ndarray, tuple[int, int]], Picture]
"""(camera (4, 4) OpenGL camera-to-world in scene units, intrinsics (3, 3) in pixels, (height, width)) -> what
it sees."""


def look_of_field(training: Training) -> Look:
    """Looks at a field, as it is at the time, by volume rendering."""

    def look(camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> Picture:
        where, matrix = (torch.from_numpy(each).to(training.device) for each in (camera, intrinsics))
        shown = {
            name: part.numpy() for name, part in render_view(training.render, where, matrix, size).items()
        }
        return Picture(np.clip(shown["rgb"], 0, 1), np.clip(shown["mask"][0], 0, 1), shown["normals"])

    return look


def look_of_mesh(mesh: TexturedMesh, scene: Scene) -> Look:
    """Looks at a finished mesh."""
    return partial(picture_of, mesh.scaled(1 / scene.scale))


def look_at(scene: Scene, look: Look, index: int, longest: int | None = None) -> Picture:
    """What is seen from the camera of a view.

    Args:
        longest: pixels on the longer side, where fewer than the view's are enough.
    """
    matrix, size = reduced(scene.intrinsics.numpy(), scene.size, longest or max(scene.size))
    return look(scene.cameras[index].numpy(), matrix, size)


def reduced(
    intrinsics: np.ndarray, size: tuple[int, int], longest: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Intrinsics and (height, width) of the picture with at most ``longest`` pixels on its longer side."""
    share = min(1.0, longest / max(size))
    smaller = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    return np.diag([smaller[1] / size[1], smaller[0] / size[0], 1.0]) @ intrinsics, smaller


def colours(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8 of a picture."""
    return levels(picture.image)


def normals(picture: Picture) -> np.ndarray:
    """(H, W, 3) uint8 of its normals: x, y, z from -1 to 1 as red, green, blue from 0 to 1, over white."""
    return levels((picture.normals + picture.mask) / 2 + 1 - picture.mask)


def levels(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of (3, H, W) in [0, 1]."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: white where two such pictures agree, the darker the more they differ."""
    return (255 - np.abs(one.astype(np.int16) - other)).astype(np.uint8)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """In dB, of pictures in [0, 1], white around the object included; :data:`MOST_DB` at most."""
    error = float(np.mean((np.asarray(one, np.float64) - other) ** 2))
    return min(MOST_DB, -10 * math.log10(error)) if error else MOST_DB


def mask_iou(one: np.ndarray, other: np.ndarray) -> float:
    """Of what is more than half the object's; 1 where neither has any."""
    first, second = one > 0.5, other > 0.5
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 1.0
