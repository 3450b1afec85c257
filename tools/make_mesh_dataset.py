"""Render libraries of textured meshes into shards for tools/train_nano.py.

    python tools/make_mesh_dataset.py LIBRARY... --out DIR --views 6 --workers 2

LIBRARY is a folder of meshes or an archive (.sh3f of Sweet Home 3D, .zip). DIR gets ``train/``,
``validation/`` and ``held-out/`` with shards ``objects-00042.npz`` in the format of tools/make_dataset.py
and, besides, ``names`` (M,), the mesh of each row; ``split.json``; and ``ATTRIBUTION.csv``. A finished shard
is never made again. Archives are unpacked to ``DIR/unpacked``. For the furniture of Debian:

    apt-get download sweethome3d-furniture && dpkg -x sweethome3d-furniture_*.deb furniture
    python tools/make_mesh_dataset.py furniture/usr/share/sweethome3d/furniture/*.sh3f --out DIR
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import multiprocessing
import time
from pathlib import Path

import numpy as np
from mesh_catalogue import SPLITS, Entry, first_names, library_entries, split_of, write_papers
from objects import random_poses
from shards import save_shard

from viewfusion.datasets import Light, Mesh, Renderer, read_mesh
from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import over_white

SHARD = 32
"""Meshes a shard."""


def render_entry(entry: Entry, repeat: int, views: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(V, size, size, 3) uint8 and (V, 3) of one mesh; cameras and light depend on its name and ``repeat``.

    Raises:
        ViewFusionError: the mesh cannot be read.
    """
    digest = hashlib.sha256(entry.name.encode()).digest()
    rng = np.random.default_rng((int.from_bytes(digest[:8], "big"), repeat))
    mesh = upright_mesh(entry)
    for warning in mesh.warnings if repeat == 0 else ():
        print(f"{entry.name}: {warning}", flush=True)
    renderer, light = Renderer(mesh), random_light(rng)
    poses = random_poses(rng, views)
    images = np.stack([over_white(renderer.render(pose, size, light)) for pose in poses])
    return images, np.array([(pose.azimuth, pose.elevation, pose.radius) for pose in poses])


def upright_mesh(entry: Entry) -> Mesh:
    """The mesh of ``entry``, as its catalogue has it stand.

    Raises:
        ViewFusionError: it cannot be read.
    """
    rotation = np.reshape(entry.rotation, (3, 3)) if len(entry.rotation) == 9 else None
    return read_mesh(entry.path, rotation=rotation)


def random_light(rng: np.random.Generator) -> Light:
    """As of the procedural objects."""
    aside = rng.normal(size=2)
    direction = (float(aside[0]), float(aside[1]), 0.6 + abs(float(rng.normal())))
    return Light(direction, float(rng.uniform(0.45, 0.75)))


def write_shard(job: tuple[Path, list[Entry]], views: int, size: int, repeats: int) -> dict[str, str]:
    """Render the meshes of one shard; those that failed, and why."""
    path, found = job
    if path.exists():
        with np.load(path) as shard:
            made = set(shard["names"].tolist())
        return {entry.name: "failed when the shard was made" for entry in found if entry.name not in made}
    rows, failures = [], {}
    for entry in found:
        try:
            rows += [(*render_entry(entry, repeat, views, size), entry.name) for repeat in range(repeats)]
        except ViewFusionError as error:
            failures[entry.name] = str(error)
    if rows:
        images, poses, names = zip(*rows, strict=True)
        save_shard(path, np.stack(images), np.stack(poses), names=np.array(names))
    return failures


def jobs(found: list[Entry], splits: dict[str, str], out: Path) -> list[tuple[Path, list[Entry]]]:
    """Each shard's path and meshes, in the order of their names."""
    listed = []
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        members = sorted((each for each in found if splits[each.name] == split), key=lambda each: each.name)
        for place in range(0, len(members), SHARD):
            path = out / split / f"objects-{place // SHARD:05d}.npz"
            listed.append((path, members[place : place + SHARD]))
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("libraries", type=Path, nargs="+", metavar="LIBRARY")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument(
        "--repeats", type=int, default=1, help="rows of each mesh, with other cameras and light"
    )
    parser.add_argument("--every", type=int, default=1, help="take only every N-th mesh")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    found = library_entries(args.libraries, args.out / "unpacked")[:: args.every]
    names = first_names(found)
    splits = {entry.name: split_of(entry, names) for entry in found}
    work = functools.partial(write_shard, views=args.views, size=args.size, repeats=args.repeats)
    listed, failures, started = jobs(found, splits, args.out), {}, time.perf_counter()
    with multiprocessing.Pool(args.workers) as pool:
        for done, failed in enumerate(pool.imap_unordered(work, listed), 1):
            failures |= failed
            print(f"{done}/{len(listed)} shards, {time.perf_counter() - started:.0f} s", flush=True)
    write_papers(args.out, found, splits, failures)
    for name, why in sorted(failures.items()):
        print(f"skipped {name}: {why}")
    counts = ", ".join(f"{list(splits.values()).count(split)} {split}" for split in SPLITS)
    print(f"{len(found)} meshes ({counts}), {len(failures)} skipped")


if __name__ == "__main__":
    main()
