"""The layouts ``objaverse`` and ``eschernet``: ``000.png``, ... and beside each ``000.npy``, its camera.

A camera is a (3, 4) array of floats, world-to-camera. Zero123's renderings (``views_release``) have them in
Blender's axes: x right, y up, z backwards. EscherNet's test set was rendered by the same program, to
``NAME/render_mvs_25/model/``. The camera is Zero123's.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose

from .folders import Folder, brief, indices, listed, ranges, read_bytes
from .matrices import pose_of_world
from .records import DatasetObject, Faults, Picture, Reader
from .views import numbered_views

_MOST_BYTES = 4096
"""Of a file of 12 numbers; numpy pads its header to 128 bytes."""

_RENDERED = ("render_mvs_25", "model")
_VIEWS = 25


def _read(name: str, folder: Folder, faults: Faults, count: int | None = None) -> DatasetObject:
    files = numbered_views(folder, faults, count)
    cameras = indices(folder, (".npy",))
    numbers = {path: int(path.stem) for path in files}
    without = [number for number in numbers.values() if number not in cameras]
    if without:
        faults.add(f"{folder.path}: these views have no .npy with their camera: {ranges(without)}")
    pictures = []
    for path, number in numbers.items():
        if number not in cameras:
            continue
        place = folder.path / cameras[number][0]
        try:
            pictures.append(Picture(path, _pose(place, folder.path)))
        except ViewFusionError as error:
            faults.add(str(error))
    extra = [number for number in cameras if number not in numbers.values()]
    if extra and not faults.lines():
        faults.add(f"{folder.path}: these cameras have no view: {ranges(extra)}")
    return DatasetObject(name, tuple(pictures), FOV)


def _pose(path: Path, folder: Path) -> Pose:
    matrix = read_npy(path, folder)
    try:
        return pose_of_world(matrix)
    except ViewFusionError as error:
        raise ViewFusionError(f"{path}: {error}") from None


def read_npy(path: Path, folder: Path) -> np.ndarray:
    """The (3, 4) or (4, 4) floats of a ``.npy`` file in ``folder``; nothing in it is unpickled.

    Raises:
        ViewFusionError: it is missing, elsewhere, damaged, or anything but such floats.
    """
    content = read_bytes(path, folder, _MOST_BYTES)
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):  # the others are for headers of more than 64 kB
            raise ValueError(f"version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except Exception as error:  # damaged ones fail in any way
        raise ViewFusionError(f"{path}: no array of numpy's ({brief(error)}); copy it again") from None
    if dtype.kind != "f" or dtype.hasobject or shape not in ((3, 4), (4, 4)):
        raise ViewFusionError(f"{path}: wanted 3 x 4 floats, got {dtype} {list(shape)[:8]}; copy it again")
    numbers = stream.read()
    if len(numbers) != dtype.itemsize * shape[0] * shape[1]:
        raise ViewFusionError(f"{path}: cut short or too long for its {list(shape)} numbers; copy it again")
    return np.frombuffer(numbers, dtype).reshape(shape, order="F" if fortran else "C").astype(np.float64)


def _knows(folder: Folder) -> bool:
    return bool(indices(folder, (".npy",)))


def _is_eschernet(folder: Folder) -> bool:
    inner = folder.path.joinpath(*_RENDERED)
    return _RENDERED[0] in folder.folders and inner.is_dir() and _within(inner, folder.path)


def _read_eschernet(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    return _read(name, listed(folder.path.joinpath(*_RENDERED)), faults, _VIEWS)


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


OBJAVERSE = Reader("000.png, 000.npy, ...", _knows, _read)
ESCHERNET = Reader("render_mvs_25/model/000.png, 000.npy, ... 024.npy", _is_eschernet, _read_eschernet)
