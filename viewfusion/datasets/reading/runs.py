"""The layout ``run``: what ``generate-360`` makes, ``cameras.json`` and ``views/``; view 0 is the input."""

from __future__ import annotations

from viewfusion.outputs.reader import read_cameras

from .folders import Folder
from .records import DatasetObject, Faults, Picture, Reader


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    cameras = read_cameras(folder.path)
    return DatasetObject(name, tuple(Picture(*view) for view in cameras.views), cameras.fov, 0, cameras.size)


READER = Reader("cameras.json and views/000.png, ...", lambda folder: "cameras.json" in folder.files, _read)
