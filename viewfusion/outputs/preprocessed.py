"""A photo's preprocessing: pictures of its steps go in, a folder that says what they were made of comes out.

Beside the pictures lies ``preprocess.json``, written last, by which the next call knows them: of the same
photo and options they stay, of others they are replaced. A run may use the folder afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError

from .files import explained, remove_partial, write_json, write_png
from .locking import FolderLock
from .ownership import can_be_opened, read_json

RECORD = "preprocess.json"
PICTURES = ("rgba.png", "rgb.png", "cutout.png", "preview.png")
SCHEMA = 1


def is_preprocessed(folder: Path, made_of: dict[str, Any]) -> bool:
    """Whether all pictures are in ``folder``, whole and made of that.

    Args:
        made_of: photo, options and version, as JSON has it.
    """
    with explained(folder, "cannot be used"):
        same = _is_ours(folder) and read_json(folder / RECORD).get("made_of") == made_of
        return same and all(can_be_opened(folder / name) for name in PICTURES)


def is_made_by_preprocessing(file: Path) -> bool:
    """Whether preprocessing has made this picture, so that a run may replace it."""
    return file.name in PICTURES and _is_ours(file.parent)


def write_preprocessed(
    folder: Path,
    made_of: dict[str, Any],
    results: dict[str, Any],
    pictures: Mapping[str, np.ndarray | Image.Image],
) -> None:
    """Make or replace the pictures and their record in ``folder``, which is made where it is missing.

    Args:
        made_of: as of :func:`is_preprocessed`.
        results: what else the record says.
        pictures: by their names, which are :data:`PICTURES`.

    Raises:
        ViewFusionError: the folder is a run's, holds other people's files of these names, is being written
            to or cannot be.
    """
    with explained(folder, "cannot be made"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise ViewFusionError(f"{folder} is a file, not a folder; choose another --out") from None
    lock = FolderLock(folder)
    try:
        with explained(folder, "cannot be used"):
            _refuse_others(folder)
        remove_partial(folder)
        # Killed on the way, the next call knows by this whose the pictures are.
        write_json(folder / RECORD, {"schema": SCHEMA, "made_of": None})
        for name, picture in pictures.items():
            write_png(folder / name, picture, quick=name == "cutout.png")
        write_json(folder / RECORD, {"schema": SCHEMA, "made_of": made_of, **results})
    finally:
        lock.release()


def _is_ours(folder: Path) -> bool:
    """Whether the record in it is one of ours, be it of pictures that are not all there yet."""
    record = read_json(folder / RECORD)
    return record.get("schema") == SCHEMA and "made_of" in record


def _refuse_others(folder: Path) -> None:
    if (folder / "manifest.json").exists() or (folder / ".resume").exists():
        raise ViewFusionError(f"{folder} holds a run, with the preview of its photo; choose another --out")
    # A link that leads nowhere is somebody's too.
    strange = [name for name in (*PICTURES, RECORD) if os.path.lexists(folder / name)]
    if strange and not _is_ours(folder):
        raise ViewFusionError(
            f"{folder / strange[0]} is there already and somebody else's; choose another --out or remove it"
        )
