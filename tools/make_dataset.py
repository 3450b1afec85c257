"""Render procedural objects into shards for tools/train_nano.py.

    python tools/make_dataset.py --out DIR --objects 9000 --views 6 --workers 2

Each shard ``objects-00042.npz`` holds ``images`` (M, V, size, size, 3) uint8 on white and ``poses``
(M, V, 3) azimuth, elevation (radians), radius. A finished shard is never made again.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from objects import random_object, render
from shards import save_shard

from viewfusion.geometry import Pose

SHARD = 250
HELD_OUT_SEEDS = 1_000_000_000
"""Objects from this seed on are never trained on."""


def random_poses(rng: np.random.Generator, views: int) -> list[Pose]:
    """Cameras of one object: most share an elevation, as the views of a turntable do."""
    base = rng.uniform(0, 45)
    radius = rng.uniform(1.4, 1.8)
    poses = []
    for _ in range(views):
        elevation = base + rng.normal(0, 3) if rng.random() < 0.6 else rng.uniform(-10, 70)
        distance = max(1.3, radius + rng.normal(0, 0.05))
        poses.append(Pose(rng.uniform(-math.pi, math.pi), math.radians(elevation), distance))
    return poses


def over_white(rgba: torch.Tensor) -> torch.Tensor:
    """(H, W, 4) uint8 straight alpha -> (H, W, 3) uint8 over white."""
    alpha = rgba[..., 3:].float() / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha)).round().byte()


def write_shard(shard: int, out: Path, views: int, size: int, first_seed: int) -> str:
    """Render one shard, put in place by a rename; return its name."""
    path = out / f"objects-{shard:05d}.npz"
    if path.exists():
        return path.name
    torch.set_num_threads(1)
    images = np.empty((SHARD, views, size, size, 3), np.uint8)
    poses = np.empty((SHARD, views, 3), np.float32)
    for row in range(SHARD):
        seed = first_seed + shard * SHARD + row
        obj = random_object(seed)
        for view, pose in enumerate(random_poses(np.random.default_rng((seed, 1)), views)):
            images[row, view] = over_white(render(obj, pose, size)).numpy()
            poses[row, view] = pose.azimuth, pose.elevation, pose.radius
    save_shard(path, images, poses)
    return path.name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=9000)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    work = functools.partial(
        write_shard, out=args.out, views=args.views, size=args.size, first_seed=args.first_seed
    )
    shards = math.ceil(args.objects / SHARD)
    with multiprocessing.Pool(args.workers) as pool:
        for done, name in enumerate(pool.imap_unordered(work, range(shards)), 1):
            print(f"{done}/{shards} {name}", flush=True)


if __name__ == "__main__":
    main()
