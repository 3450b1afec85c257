"""Numbered views: a folder's ``000.png``, ``001.png``, ... go in, their paths in order come out."""

from __future__ import annotations

from pathlib import Path

from viewfusion.errors import ViewFusionError

from .folders import MOST_VIEWS, Folder, check_file, indices, ranges
from .records import Faults


def numbered_views(folder: Folder, faults: Faults, count: int | None = None, gaps: int = 0) -> list[Path]:
    """The pictures 0, 1, ... of a folder; what is missing, too many or twice is added to ``faults``.

    Args:
        count: how many there must be; None: up to the last one there is.
        gaps: how many may be missing.

    Raises:
        ViewFusionError: there is none, or far too many.
    """
    found = indices(folder)
    if not found:
        raise ViewFusionError(f"{folder.path}: no view; wanted 000.png, 001.png, ...")
    wanted = max(found) + 1 if count is None else count
    if wanted > MOST_VIEWS:
        raise ViewFusionError(
            f"{folder.path}: view {wanted - 1} is there; an object has {MOST_VIEWS} at most"
        )
    missing = [index for index in range(wanted) if index not in found]
    if len(missing) > gaps:
        faults.add(f"{folder.path}: of {wanted} views these are missing: {ranges(missing)}")
    extra = [index for index in found if index >= wanted]
    if extra:
        faults.add(f"{folder.path}: wanted {wanted} views, these are more: {ranges(extra)}")
    paths = []
    for index, names in found.items():
        if len(names) > 1:
            faults.add(f"{folder.path}: view {index} is there as {' and '.join(names)}; keep one")
        elif index < wanted:
            paths.append(folder.path / names[0])
            try:
                check_file(paths[-1], folder.path, paths[-1])
            except ViewFusionError as error:
                faults.add(str(error))
    return paths
