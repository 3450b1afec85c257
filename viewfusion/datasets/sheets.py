"""One picture of many objects: finished folders of renderings go in, a contact sheet to look at comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.contact_sheet import labelled_grid
from viewfusion.outputs.files import write_png
from viewfusion.preprocessing import over_white, read_image

from .layouts import picture_files

MOST_ROWS, MOST_COLUMNS, MOST_SIDE = 40, 8, 256


def write_sheet(path: Path, folders: Sequence[Path]) -> None:
    """A row for each object, evenly chosen where they are many, with up to eight of its views.

    Raises:
        ViewFusionError: the file cannot be written.
    """
    rows = _evenly(folders, MOST_ROWS)
    files = [picture_files(folder) for folder in rows]
    columns = min(MOST_COLUMNS, *(len(each) for each in files))
    chosen = [file for each in files for file in _evenly(each, columns)]
    title = f"{len(rows)} of {len(folders)} objects" if len(rows) < len(folders) else ""
    names = [folder.name for folder in rows]
    pictures = [_square(_on_white(file)) for file in chosen]
    write_png(path, labelled_grid(pictures, [file.stem for file in chosen], columns, title, names))


def _on_white(file: Path) -> Image.Image:
    try:
        return Image.fromarray(over_white(read_image(file)))
    except ViewFusionError:  # nothing of the object is in this view
        return Image.new("RGB", (MOST_SIDE, MOST_SIDE), "white")


def _square(image: Image.Image) -> np.ndarray:
    """(S, S, 3) uint8; S is 256, or the size of what is smaller."""
    if image.width > MOST_SIDE:
        image = image.resize((MOST_SIDE, MOST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _evenly(things: Sequence[Path], most: int) -> list[Path]:
    count = min(most, len(things))
    return [things[i * len(things) // count] for i in range(count)]
