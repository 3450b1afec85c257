"""The layout ``benchmark``: what ``viewfusion benchmark`` makes of an object, ``object.json`` and ``views/``.

In ``views/`` lie ``000.png``, ... and ``angles.json``, an object of the layout ``viewfusion`` by themselves;
``object.json`` says which of them is the input. A run keeps the folders of its objects in ``objects/``.
"""

from __future__ import annotations

from dataclasses import replace

from viewfusion.errors import ViewFusionError

from . import viewfusion
from .folders import Folder, listed, read_json, shown
from .records import DatasetObject, Faults, Reader

ENTRY, VIEWS, INPUT = "object.json", "views", "input"
SETTINGS, OBJECTS = "settings.json", "objects"


def objects_of(folder: Folder) -> Folder:
    """Where the objects are: in ``objects/`` of a run, else in ``folder`` itself.

    Raises:
        ViewFusionError: it cannot be listed.
    """
    path = folder.path / OBJECTS
    is_run = SETTINGS in folder.files and OBJECTS in folder.folders and not path.is_symlink()
    return listed(path) if is_run else folder


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    path = folder.path / ENTRY
    entry = read_json(path, folder.path)
    index = entry.get(INPUT) if isinstance(entry, dict) else None
    if (folder.path / VIEWS).is_symlink():
        raise ViewFusionError(f"{folder.path / VIEWS}: a link; copy the folder")
    views = viewfusion.READER.read(name, listed(folder.path / VIEWS), faults)
    last = len(views.pictures) - 1
    if type(index) is not int or not 0 <= index <= last:
        raise ViewFusionError(
            f"{path}: {INPUT} must be 0 to {last}, the view that was given, got {shown(index)}"
        )
    return replace(views, input_index=index)


def _knows(folder: Folder) -> bool:
    return ENTRY in folder.files and VIEWS in folder.folders


READER = Reader("object.json, views/000.png, ... and views/angles.json", _knows, _read)
