"""Objects as arrays, and many of them packed side by side for the renderer.

Solids of one *group* flow together where they are near each other; groups meet with hard edges.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from .primitives import POWER, extent

REACH = 4
"""Times the smoothness, how near a solid must be to another to bend its surface by a visible amount."""


@dataclass(frozen=True, eq=False)
class ProceduralObject:
    """P solids in G groups, float32, centred on the origin and scaled to the cameras of Zero123."""

    family: str
    solids: np.ndarray  # (P, FIELDS)
    rotations: np.ndarray  # (P, 3, 3) solid's frame -> world
    centres: np.ndarray  # (P, 3)
    materials: np.ndarray  # (P, MATERIAL)
    groups: np.ndarray  # (P,) int64, from 0, ascending
    smoothness: np.ndarray  # (G,) how softly a group's solids flow together
    light: np.ndarray  # (LIGHT,)


@dataclass(frozen=True)
class Scene:
    """B objects of up to P solids; a solid that is not there has a box without size."""

    solids: torch.Tensor  # (B, P, FIELDS)
    rotations: torch.Tensor  # (B, P, 3, 3) solid's frame -> world
    centres: torch.Tensor  # (B, P, 3)
    materials: torch.Tensor  # (B, P, MATERIAL)
    groups: torch.Tensor  # (B, P) int64, ascending
    smoothness: torch.Tensor  # (B, P) of each solid's group
    lows: torch.Tensor  # (B, P, 3) corners, in the solid's frame, of the box outside which it plays no part
    highs: torch.Tensor  # (B, P, 3)
    lights: torch.Tensor  # (B, LIGHT)

    def to(self, device: torch.device | str) -> Scene:
        return Scene(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


def pack(objects: list[ProceduralObject]) -> Scene:
    """The scene of ``objects``, on the CPU."""
    most = max(len(obj.solids) for obj in objects)
    columns = zip(*(_columns(obj) for obj in objects), strict=True)
    tables = [torch.from_numpy(np.stack([_fill(each, most) for each in column])) for column in columns]
    return Scene(*[*tables, torch.from_numpy(np.stack([obj.light for obj in objects]))])


def _columns(obj: ProceduralObject) -> tuple[np.ndarray, ...]:
    """One object's entries of a Scene, less its light."""
    smoothness = obj.smoothness[obj.groups] * (np.bincount(obj.groups) > 1)[obj.groups]
    low, high = extent(obj.solids).transpose(1, 0, 2)
    swell = REACH * smoothness[:, None]
    arrays = (obj.solids, obj.rotations, obj.centres, obj.materials, obj.groups)
    return (*arrays, smoothness, low - swell, high + swell)


def _fill(array: np.ndarray, rows: int) -> np.ndarray:
    """``array`` with rows of zeros below."""
    filled = np.zeros((rows, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def world_extent(
    solids: np.ndarray, rotations: np.ndarray, centres: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) lower and (P, 3) upper corners of upright boxes around solids, exact where nothing is cut.

    A prism is a box of ``x, y, z`` less its edges, swollen by a disc of ``corner`` and a ball of ``edge``.
    """
    low, high = extent(solids).transpose(1, 0, 2)
    middle, half = centres + np.einsum("pij,pj->pi", rotations, (low + high) / 2), (high - low) / 2
    turned = np.abs(rotations)
    edge = solids[:, 4:5]
    corner = np.maximum(solids[:, 3:4] + np.abs(solids[:, 8:9]) * solids[:, 2:3] - edge, 0)
    core = half - np.concatenate([corner + edge, corner + edge, edge], 1)
    flat = np.hypot(rotations[..., 0], rotations[..., 1])
    prism = np.einsum("pij,pj->pi", turned, np.maximum(core, 0)) + corner * flat + edge
    ellipsoid = np.sqrt(np.einsum("pij,pj->pi", turned**2, half**2))
    boxed = np.einsum("pij,pj->pi", turned, half)
    cut = np.abs(solids[:, 9:12]).sum(1, keepdims=True) > 0
    power = solids[:, POWER : POWER + 1]
    reach = np.where(power > 0, np.where(power <= 2, ellipsoid, boxed), prism)
    reach = np.where(cut, boxed, np.minimum(reach, boxed))
    return middle - reach, middle + reach
