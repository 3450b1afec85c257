"""A sheet of procedural objects, to look at after changing a family or the renderer.

    python tools/show_objects.py --out sheet.png --families chair sofa --objects 8 --views 3

One row a family; each object from some azimuths at falling elevations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from objects import FAMILIES, over_white, random_object, render_batch
from PIL import Image

from viewfusion.geometry import Pose

ELEVATIONS = (0.5, 0.25, 0.8)


def sheet(families: list[str], objects: int, views: int, size: int, first_seed: int) -> torch.Tensor:
    """(rows * size, objects * views * size, 3) uint8."""
    rows = []
    for family in families:
        drawn = [random_object(first_seed + number, family) for number in range(objects)]
        poses = [Pose(0.7 + 2.1 * view, ELEVATIONS[view % 3], 1.5) for view in range(views)]
        images = over_white(render_batch([obj for obj in drawn for _ in poses], poses * objects, size))
        rows.append(torch.cat(list(images), 1))
    return torch.cat(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES), metavar="FAMILY")
    parser.add_argument("--objects", type=int, default=8)
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    pixels = sheet(args.families, args.objects, args.views, args.size, args.first_seed)
    Image.fromarray(pixels.numpy()).save(args.out)


if __name__ == "__main__":
    main()
