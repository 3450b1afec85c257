"""The layout ``viewfusion``: ``000.png``, ``001.png``, ... and ``angles.json``.

``angles.json`` is a list with one entry per picture: an object with ``azimuth``, ``polar`` and ``radius``, or
these three numbers. Angles are radians; polar is counted from straight above. The camera is Zero123's.
"""

from __future__ import annotations

import math

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose

from .folders import MOST_VIEWS, Folder, number, numbers, read_json, shown
from .records import DatasetObject, Faults, Picture, Reader
from .views import numbered_views

FILE = "angles.json"
_KEYS = ("azimuth", "polar", "radius")


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    path = folder.path / FILE
    entries = read_json(path, folder.path)
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_VIEWS:
        raise ViewFusionError(f"{path}: wanted a list of 1 to {MOST_VIEWS} poses, got {shown(entries)}")
    files = numbered_views(folder, faults, len(entries))
    poses = []
    for index, entry in enumerate(entries):
        try:
            poses.append(_pose(entry, f"{path}: entry {index}"))
        except ViewFusionError as error:
            faults.add(str(error))
    return DatasetObject(name, tuple(Picture(*each) for each in zip(files, poses, strict=False)), FOV)


def _pose(entry: object, place: str) -> Pose:
    if isinstance(entry, dict):
        missing = [key for key in _KEYS if key not in entry]
        if missing:
            raise ViewFusionError(f"{place}: wanted azimuth, polar and radius, {missing[0]} is missing")
        azimuth, polar, radius = (number(entry[key], f"{place}: {key}") for key in _KEYS)
    else:
        azimuth, polar, radius = numbers(entry, 3, place)
    if not -1e-9 <= polar <= math.pi + 1e-9:
        raise ViewFusionError(f"{place}: polar must be 0 to pi, in radians, got {polar:g}")
    if not radius > 0:
        raise ViewFusionError(f"{place}: radius must be positive, got {radius:g}")
    return Pose(azimuth, math.pi / 2 - polar, radius)


READER = Reader("000.png, ... and angles.json", lambda folder: FILE in folder.files, _read)
