"""Shards of training data: pictures of objects and their poses go in, files to train from come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def save_shard(path: Path, images: np.ndarray, poses: np.ndarray, **more: np.ndarray) -> None:
    """An ``.npz`` put in place by a rename, so that one that is there is whole.

    Args:
        images: (M, V, size, size, 3) uint8 on white.
        poses: (M, V, 3) azimuth, elevation (radians), radius.
        more: arrays that training does not read.
    """
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, images=images, poses=poses.astype(np.float32), **more)
    partial.replace(path)
