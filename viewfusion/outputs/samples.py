"""Seed sweeps: the folders of runs that differ in their seed go in, one picture to choose from comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from viewfusion.geometry import Pose

from .cameras import view_file
from .contact_sheet import labelled_grid, pose_labels
from .files import explained, write_png

MOST_COLUMNS = 8


def write_samples(path: Path, runs: Mapping[int, Path], poses: Sequence[Pose], title: str = "") -> None:
    """A contact sheet with a row for each seed: the input, then evenly chosen views in output order.

    The pictures are read from the folders, so a run that was finished long ago gives the same row.

    Args:
        path: the file to make.
        runs: the folder of each seed's finished turn, in the order of the rows.
        poses: of the views of each.

    Raises:
        ViewFusionError: a picture cannot be read, or the file cannot be written.
    """
    columns = min(MOST_COLUMNS, len(poses))
    chosen = [round(i * len(poses) / columns) for i in range(columns)]
    labels = pose_labels([poses[index] for index in chosen], [index == 0 for index in chosen])
    pictures = [_read(folder / view_file(index)) for folder in runs.values() for index in chosen]
    rows = [f"seed {seed}" for seed in runs]
    write_png(path, labelled_grid(pictures, labels * len(runs), columns, title, rows))


def _read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    with explained(path, "cannot be read"), Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
