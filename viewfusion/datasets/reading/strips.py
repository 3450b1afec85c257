"""The layout ``syncdreamer-strip``: one picture of 16 views side by side, in the order of their azimuths.

An object is ``NAME.png``, or a folder ``NAME/`` with ``0.png``: SyncDreamer writes its samples as 0.png,
1.png, ...; the first is read. The cameras are fixed and so are in no file.
"""

from __future__ import annotations

import math

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.syncdreamer import COUNT, FOCAL, POSES, SIDE
from viewfusion.preprocessing.images import opened_image

from .folders import Folder, check_file, indices
from .records import DatasetObject, Faults, Picture, Reader

FOV = 2 * math.atan(SIDE / 2 / FOCAL)
SUFFIXES = (".png",)


def loose(folder: Folder) -> list[Folder]:
    """The pictures of a folder that may each be an object, as folders of one file."""
    samples = {name for names in indices(folder, SUFFIXES).values() for name in names}
    names = sorted(name for name in folder.files - samples if name.lower().endswith(SUFFIXES))
    return [Folder(folder.path, frozenset([name]), frozenset()) for name in names]


def _file(folder: Folder) -> str | None:
    """The name of the strip: the first sample, or the only file there is."""
    samples = indices(folder, SUFFIXES)
    if 0 in samples:
        return samples[0][0]
    return next(iter(folder.files)) if len(folder.files) == 1 else None


def _knows(folder: Folder) -> bool:
    name = _file(folder)
    if name is None:
        return False
    try:
        check_file(folder.path / name, folder.path, "")
        with opened_image(folder.path / name) as image:
            return image.width == COUNT * image.height
    except ViewFusionError:
        return False


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    file = _file(folder)
    if file is None:
        raise ViewFusionError(f"{folder.path}: wanted 0.png, a strip of {COUNT} views")
    path = folder.path / file
    check_file(path, folder.path, path)
    with opened_image(path) as image:
        width, side = image.size
    if width != COUNT * side:
        raise ViewFusionError(
            f"{path}: wanted {COUNT} square views side by side, got {width} x {side} pixels"
        )
    pictures = tuple(
        Picture(path, pose, (side * place, 0, side * (place + 1), side)) for place, pose in enumerate(POSES)
    )
    return DatasetObject(name, pictures, FOV)


READER = Reader("NAME.png or NAME/0.png, 16 views side by side", _knows, _read)
