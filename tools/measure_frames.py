"""How much of the frame training's objects take up: the measure that photos are framed to.

    python tools/measure_frames.py STATE/objects STATE/meshes/train

Prints, for each folder of ``objects-*.npz``, the longest side of the objects as a share of the frame: of the
views at the distance that an unknown camera is taken to have, and of all. A pixel belongs to the object if a
channel lies below 250; white rims are not seen, so a share is short of the truth by a pixel or two there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from nano.views import Views

NEAR = (1.45, 1.55)
WHITE = 250


def longest_sides(images: np.ndarray) -> np.ndarray:
    """(N, H, H, 3) uint8 over white -> (N,) the longest side of each object's box as a share of H."""
    covered = (images < WHITE).any(-1)
    sides = []
    for axis in (1, 2):
        lines = covered.any(axis)
        first, last = lines.argmax(1), lines.shape[1] - lines[:, ::-1].argmax(1)
        sides.append(np.where(lines.any(1), last - first, 0))
    return np.maximum(*sides) / images.shape[1]


def row(name: str, shares: np.ndarray) -> str:
    """One row of a table: the quantiles and the mean."""
    low, middle, high = np.quantile(shares, (0.05, 0.5, 0.95))
    return f"| {name} ({len(shares)}) | {low:.2f} | {middle:.2f} | {high:.2f} | {shares.mean():.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    args = parser.parse_args()
    print("| renderings | 5 % | median | 95 % | mean |\n| --- | --- | --- | --- | --- |")
    for folder in args.folders:
        views = Views.load(folder)
        radii = views.poses[..., 2].flatten().numpy()
        shares = longest_sides(views.images.flatten(0, 1).numpy())
        near = (radii >= NEAR[0]) & (radii <= NEAR[1])
        print(row(f"{folder}, radius {NEAR[0]} to {NEAR[1]}", shares[near]))
        print(row(f"{folder}, all; median radius {np.median(radii):.1f}", shares))


if __name__ == "__main__":
    main()
