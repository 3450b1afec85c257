"""The README's pictures: some runs of generate-360 side by side, still and moving.

    python tools/make_gallery.py out/bucket out/chair --out docs/images/gallery

Writes ``OUT.png``, a row a run: the input and then views evenly spaced around it; and ``OUT.gif``, a column a
run: the input above, below it the turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from viewfusion import ViewFusionError, ViewSet
from viewfusion.outputs import read_run
from viewfusion.outputs.contact_sheet import azimuth_label, labelled_grid
from viewfusion.outputs.video import turn_fps, write_gif


def still(runs: dict[str, ViewSet], shown: int) -> Image.Image:
    """Input and views of each run, labelled with how far they are turned."""
    pictures, labels = [], []
    for name, views in runs.items():
        places = np.linspace(0, len(views), shown, endpoint=False).astype(int)
        pictures += [views[int(place)].rgb for place in places]
        labels += [name, *(azimuth_label(views[int(place)].pose) for place in places[1:])]
    return labelled_grid(pictures, labels, shown, "")


def moving(runs: Sequence[ViewSet], side: int) -> list[np.ndarray]:
    """Frames of the turns side by side, the inputs above; as many as the shortest turn has views."""
    inputs = [enlarged(views[0].rgb, side) for views in runs]
    frames = []
    for place in range(min(len(views) for views in runs)):
        below = [enlarged(views[place].rgb, side) for views in runs]
        frames.append(np.concatenate([np.concatenate(inputs, 1), np.concatenate(below, 1)], 0))
    return frames


def enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, help="path without an ending")
    parser.add_argument("--views", type=int, default=8, help="of the still picture, input included")
    parser.add_argument("--side", type=int, default=96, help="pixels of a view of the moving one")
    args = parser.parse_args()
    try:
        runs = {folder.resolve().name: read_run(folder) for folder in args.runs}
        # 256 colours look alike, in half the bytes.
        picture = still(runs, args.views).quantize(256, dither=Image.Dither.NONE)
        picture.save(args.out.with_suffix(".png"))
        frames = moving(list(runs.values()), args.side)
        write_gif(args.out.with_suffix(".gif"), frames, turn_fps(len(frames)), size=2 * args.side)
    except ViewFusionError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
