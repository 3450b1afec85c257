"""What the network is trained on: rendered views of objects, and what is drawn of them.

Enters: a folder of ``objects-*.npz`` (tools/make_dataset.py). Leaves: images, poses, and :class:`Moves`:
input views with the views they should become.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from viewfusion.zero123.model import Zero123


@dataclass(frozen=True)
class Views:
    """Rendered views of M objects, V each.

    Args:
        images: (M, V, H, W, 3) uint8 over white.
        poses: (M, V, 3) azimuth, elevation, radius.
    """

    images: torch.Tensor
    poses: torch.Tensor

    @classmethod
    def load(cls, folder: Path) -> Views:
        """Every shard in ``folder``; broken ones, and ones of another shape, are named and left out.

        Raises:
            SystemExit: no shard is whole.
        """
        whole: list[dict[str, np.ndarray]] = []
        paths = sorted(folder.glob("objects-?????.npz"))
        for path in paths:
            try:
                shard = read_shard(path)
                if whole and shard["images"].shape[1:] != whole[0]["images"].shape[1:]:
                    raise ValueError(f"its views are {shard['images'].shape[1:]}")
                whole.append(shard)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                print(f"left out: {path.name}: {error}", flush=True)
        if not whole:
            raise SystemExit(f"no whole objects-*.npz in {folder}; make them with tools/make_dataset.py")
        if len(whole) < len(paths):
            print(f"{len(paths) - len(whole)} of {len(paths)} shards left out", flush=True)
        return cls(
            *(torch.from_numpy(np.concatenate([s[name] for s in whole])) for name in ("images", "poses"))
        )


def read_shard(path: Path) -> dict[str, np.ndarray]:
    """The two arrays of one shard, checked."""
    with np.load(path) as shard:
        images, poses = shard["images"], shard["poses"]
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images (M, V, H, H, 3) uint8 expected, got {images.shape} {images.dtype}")
    if poses.shape != (*images.shape[:2], 3) or not np.isfinite(poses).all():
        raise ValueError(f"finite poses {(*images.shape[:2], 3)} expected, got {poses.shape}")
    return {"images": images, "poses": poses.astype(np.float32)}


def to_float(images: torch.Tensor) -> torch.Tensor:
    """(..., H, W, 3) uint8 -> (..., 3, H, W) float in [-1, 1]."""
    return images.movedim(-1, -3).float() / 127.5 - 1


@dataclass(frozen=True)
class Moves:
    """B input views, and T views each that they should become.

    Args:
        images: (B, 3, H, W) the inputs, in [-1, 1].
        cond_latents: (B, 4, h, w) theirs, unscaled.
        latents: (B, T, 4, h, w) the targets', unscaled.
        pose_embeddings: (B, T, 4) Zero123's.
    """

    images: torch.Tensor
    cond_latents: torch.Tensor
    latents: torch.Tensor
    pose_embeddings: torch.Tensor

    def to(self, device: torch.device | str) -> Moves:
        parts = (self.images, self.cond_latents, self.latents, self.pose_embeddings)
        return Moves(*(part.to(device) for part in parts))


class MoveSource(Protocol):
    """Where training moves come from."""

    def draw(self, inputs: int, targets: int) -> Moves:
        """``inputs`` input views with ``targets`` target views each."""


class StoredMoves:
    """Moves between the stored views of an object, and between their mirror images.

    Args:
        views: see :class:`Views`.
        latents: (2, M, V, 4, h, w) unscaled latents of the views and of their mirror images.
    """

    def __init__(self, views: Views, latents: torch.Tensor) -> None:
        self.views, self.latents = views, latents

    def draw(self, inputs: int, targets: int) -> Moves:
        """``inputs`` objects with ``targets`` views each, none of which is the input view."""
        objects, views = self.views.images.shape[:2]
        rows, mirrored = torch.randint(objects, (inputs,)), torch.rand(inputs) < 0.5
        order = torch.rand(inputs, views).argsort(1)
        return self.of(rows, mirrored, order[:, 0], order[:, 1 : 1 + targets])

    def of(
        self, rows: torch.Tensor, mirrored: torch.Tensor, source: torch.Tensor, targets: torch.Tensor
    ) -> Moves:
        """The moves of objects (B,), mirrored or not (B,), from views (B,) to views (B, T)."""
        images = to_float(self.views.images[rows, source])
        images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        poses = self.views.poses
        change = poses[rows[:, None], targets] - poses[rows, source][:, None]
        azimuth = torch.where(mirrored[:, None], -change[..., 0], change[..., 0])  # it turns the other way
        moves = torch.stack([-change[..., 1], azimuth.sin(), azimuth.cos(), change[..., 2]], -1)
        side = mirrored.long()
        cond, latents = self.latents[side, rows, source], self.latents[side[:, None], rows[:, None], targets]
        return Moves(images, cond.float(), latents.float(), moves)


@torch.no_grad()
def encode_all(model: Zero123, images: torch.Tensor) -> torch.Tensor:
    """(2, M, V, 4, h, w) float16 unscaled latents of (M, V, H, W, 3) images and of their mirror images."""
    flat = images.flatten(0, 1)
    result = torch.empty(2, len(flat), *model.latent_shape, dtype=torch.float16)
    for start in range(0, len(flat), 64):
        batch = to_float(flat[start : start + 64]).to(model.device)
        for side in (0, 1):
            latents = model.encode_cond_latents(batch.flip(-1) if side else batch)
            result[side, start : start + 64] = latents.half().cpu()
    return result.unflatten(1, images.shape[:2])
