"""Objects as arrays, and many of them packed side by side for the renderer.

A *group* is what one ray march meets: a single solid, or several joined smoothly. Groups meet each other
with hard edges.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from .primitives import POWER, extent

PRISM, SUPERQUADRIC, JOINED = 0, 1, 2
FAR_AWAY = 50.0


@dataclass(frozen=True)
class ProceduralObject:
    """P solids in G groups, float32, centred on the origin and scaled to the cameras of Zero123."""

    family: str
    solids: np.ndarray  # (P, FIELDS)
    rotations: np.ndarray  # (P, 3, 3) solid's frame -> world
    centres: np.ndarray  # (P, 3)
    materials: np.ndarray  # (P, MATERIAL)
    groups: np.ndarray  # (P,) int64, from 0, ascending
    smoothness: np.ndarray  # (G,) radius within which a group's solids flow together
    light: np.ndarray  # (LIGHT,)


@dataclass(frozen=True)
class Scene:
    """B objects, padded: row P of every list of solids is a copy, far away; unused groups have no size."""

    solids: torch.Tensor  # (B, P + 1, FIELDS)
    rotations: torch.Tensor  # (B, P + 1, 3, 3) solid's frame -> world
    centres: torch.Tensor  # (B, P + 1, 3)
    materials: torch.Tensor  # (B, P + 1, MATERIAL)
    members: torch.Tensor  # (B, G, K) solids of each group
    kinds: torch.Tensor  # (B, G) PRISM, SUPERQUADRIC or JOINED
    smoothness: torch.Tensor  # (B, G)
    box_rotations: torch.Tensor  # (B, G, 3, 3) the frame of the box around each group -> world
    box_centres: torch.Tensor  # (B, G, 3)
    box_halves: torch.Tensor  # (B, G, 3)
    lights: torch.Tensor  # (B, LIGHT)

    def to(self, device: torch.device | str) -> Scene:
        return Scene(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


def pack(objects: list[ProceduralObject]) -> Scene:
    """The scene of ``objects``, on the CPU."""
    solids = max(len(obj.solids) for obj in objects)
    groups = max(len(obj.smoothness) for obj in objects)
    largest = max(int(np.bincount(obj.groups).max()) for obj in objects)
    rows = [_padded(obj, solids, groups, largest) for obj in objects]
    return Scene(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))


def _padded(obj: ProceduralObject, solids: int, groups: int, largest: int) -> tuple[np.ndarray, ...]:
    """One object's entries of a Scene."""
    count = len(obj.solids)
    box = _group_boxes(obj)
    sizes = np.bincount(obj.groups)
    first = np.concatenate([[0], sizes.cumsum()[:-1]])
    members = np.full((groups, largest), solids)
    members[obj.groups, np.arange(count) - first[obj.groups]] = np.arange(count)
    kinds = np.where(sizes > 1, JOINED, np.where(obj.solids[first, POWER] > 0, SUPERQUADRIC, PRISM))
    return (
        *(_fill(each, solids + 1, each[0]) for each in (obj.solids, obj.rotations)),
        _fill(obj.centres, solids + 1, FAR_AWAY),
        _fill(obj.materials, solids + 1),
        members,
        _fill(kinds, groups),
        _fill(obj.smoothness, groups),
        *(_fill(each, groups) for each in box),
        obj.light,
    )


def _fill(array: np.ndarray, rows: int, value: float | np.ndarray = 0.0) -> np.ndarray:
    """``array`` with rows of ``value`` below."""
    filled = np.empty((rows, *array.shape[1:]), array.dtype)
    filled[: len(array)], filled[len(array) :] = array, value
    return filled


def _group_boxes(obj: ProceduralObject) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations (G, 3, 3), centres (G, 3) and half sizes (G, 3) of boxes around the groups.

    A single solid's box is its own, turned as it is; that of a smooth join stands upright.
    """
    low, high = extent(obj.solids).transpose(1, 0, 2)
    middle = obj.centres + np.einsum("pij,pj->pi", obj.rotations, (low + high) / 2)
    starts = np.flatnonzero(np.diff(obj.groups, prepend=-1))
    single = np.bincount(obj.groups) == 1
    world_low, world_high = world_extent(obj.solids, obj.rotations, obj.centres)
    joined_low = np.minimum.reduceat(world_low, starts) - obj.smoothness[:, None]
    joined_high = np.maximum.reduceat(world_high, starts) + obj.smoothness[:, None]
    rotations = np.where(single[:, None, None], obj.rotations[starts], np.eye(3, dtype=np.float32))
    centres = np.where(single[:, None], middle[starts], (joined_low + joined_high) / 2)
    halves = np.where(single[:, None], (high - low)[starts] / 2, (joined_high - joined_low) / 2)
    return rotations.astype(np.float32), centres.astype(np.float32), halves.astype(np.float32)


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
