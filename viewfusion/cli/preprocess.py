"""``preprocess``: each photo to a folder with its object alone, framed, and a picture to judge that by."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

import viewfusion
from viewfusion.errors import ViewFusionError, printable
from viewfusion.preprocessing import Preparation, over_white, photo_hash, prepare_steps

from .batch import Failures
from .photos import output_folders
from .preparing import draw_preview, preparation_json, result_json
from .progress import counting_bar, say

MOST_PIXELS = 2048


def preprocess(photos: list[Path], out: Path, how: Preparation, size: int, force: bool = False) -> None:
    """Make every photo's folder below ``out``; what is there of the same photo and options stays.

    Args:
        size: of the framed pictures, in pixels a side.
        force: make those anew too.

    Raises:
        ViewFusionError: bad options (nothing was started), or at the end some photo failed.
    """
    if not 16 <= size <= MOST_PIXELS:
        raise ViewFusionError(f"--size must be 16 to {MOST_PIXELS} pixels, got {size}")
    folders = output_folders(photos, out)
    options = {**preparation_json(how), "size": size}
    console = Console(stderr=True, highlight=False)
    failures = Failures("photos", len(folders), partial(say, console))
    with counting_bar(console) as bar:
        task = bar.add_task("", total=len(folders))
        for photo, folder in folders.items():
            bar.update(task, description=printable(photo.name))
            with failures.counted():
                _preprocess_one(photo, folder, how, options, force, console)
            bar.advance(task)
    failures.tell(out)


def _preprocess_one(
    photo: Path, folder: Path, how: Preparation, options: dict[str, Any], force: bool, console: Console
) -> None:
    from viewfusion.outputs import is_preprocessed, write_preprocessed

    made_of = {
        "viewfusion": viewfusion.__version__,
        "photo": {"file": photo.name, "sha256": photo_hash(photo)},
        "options": options,
    }
    if not force and is_preprocessed(folder, made_of):
        say(console, f"{folder} is complete already; nothing to do")
        return
    steps = prepare_steps(photo, options["size"], how)
    prepared = steps.prepared
    for warning in prepared.warnings:
        say(console, f"warning: {photo}: {warning}")
    height, width = steps.cutout.shape[:2]
    pictures: dict[str, np.ndarray | Image.Image] = {
        "rgba.png": prepared.rgba,
        "rgb.png": over_white(prepared.rgba),
        "cutout.png": steps.cutout,
        "preview.png": draw_preview(photo.name, steps),
    }
    results = {**result_json(prepared), "width": width, "height": height, "object_box": list(steps.box)}
    write_preprocessed(folder, made_of, results, pictures)
    say(console, f"{folder / 'preview.png'}: cut out by {prepared.method}, {prepared.confidence:.0%} sure")
