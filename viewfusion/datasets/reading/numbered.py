"""The layout ``numbered``: ``000.png``, ``001.png``, ... (or ``0.png``, ``1.png``) and no cameras.

One number may be left out: predictions are often without the input.
"""

from __future__ import annotations

from .folders import Folder, indices
from .records import DatasetObject, Faults, Picture, Reader
from .views import numbered_views


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    return DatasetObject(name, tuple(Picture(path, None) for path in numbered_views(folder, faults, gaps=1)))


READER = Reader("000.png, 001.png, ...", lambda folder: bool(indices(folder)), _read)
