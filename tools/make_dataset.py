"""Render procedural objects into shards for tools/train_nano.py.

    python tools/make_dataset.py --out DIR --objects 9000 --views 6 --workers 2

Each shard ``objects-00042.npz`` holds ``images`` (M, V, size, size, 3) uint8 on white and ``poses``
(M, V, 3) azimuth, elevation (radians), radius. A finished shard is never made again. Objects are those of
``objects.random_object``; training on a GPU can make its own instead, see ``objects.endless_batches``.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from objects import (
    SPLITS,
    free_photos,
    load_photos,
    over_white,
    random_object,
    random_poses,
    render_batch,
)
from shards import save_shard

SHARD = 250


def write_shard(
    shard: int, out: Path, views: int, size: int, first_seed: int, photos: torch.Tensor | None = None
) -> str:
    """Render one shard, put in place by a rename; return its name."""
    path = out / f"objects-{shard:05d}.npz"
    if path.exists():
        return path.name
    torch.set_num_threads(1)
    images = np.empty((SHARD, views, size, size, 3), np.uint8)
    poses = np.empty((SHARD, views, 3), np.float32)
    for row in range(SHARD):
        seed = first_seed + shard * SHARD + row
        obj = random_object(seed, photos=0 if photos is None else len(photos))
        cameras = random_poses(np.random.default_rng((seed, 1)), views)
        images[row] = over_white(render_batch([obj] * views, cameras, size, photos=photos)).numpy()
        poses[row] = [(pose.azimuth, pose.elevation, pose.radius) for pose in cameras]
    save_shard(path, images, poses)
    return path.name


def chosen_photos(names: list[str] | None) -> torch.Tensor | None:
    """The pictures that ``--photos`` names."""
    if not names:
        return None
    try:
        return load_photos(free_photos() if names == ["skimage"] else [Path(name) for name in names])
    except (ImportError, OSError) as error:
        raise SystemExit(f"--photos: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=9000)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--photos",
        nargs="+",
        metavar="PICTURE",
        help="pictures that some materials show; or skimage: the CC0 ones of the installed scikit-image",
    )
    args = parser.parse_args()
    if not 0 < args.objects <= SPLITS["validation"]:
        parser.error(f"--objects must be from 1 to {SPLITS['validation']}, got {args.objects}")
    args.out.mkdir(parents=True, exist_ok=True)
    work = functools.partial(
        write_shard,
        out=args.out,
        views=args.views,
        size=args.size,
        first_seed=SPLITS[args.split],
        photos=chosen_photos(args.photos),
    )
    shards = math.ceil(args.objects / SHARD)
    with multiprocessing.Pool(args.workers) as pool:
        for done, name in enumerate(pool.imap_unordered(work, range(shards)), 1):
            print(f"{done}/{shards} {name}", flush=True)


if __name__ == "__main__":
    main()
