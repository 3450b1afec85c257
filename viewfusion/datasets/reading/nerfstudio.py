"""The layouts ``nerfstudio`` and ``omniobject3d``: ``transforms.json`` and the pictures it names.

The file has camera-to-world matrices in OpenGL axes, a world with z up, and one lens for all frames: ``fl_x``
in pixels with the width ``w``, or ``camera_angle_x`` in radians. Names are relative to it, and may lack their
ending. OmniObject3D keeps all of that in ``NAME/render/``, and in it the pictures in ``images/``.
"""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, nerfstudio_to_opengl

from .folders import MOST_VIEWS, PICTURES, Folder, inside, number, numbers, read_json, shown
from .matrices import pose_of_camera
from .records import DatasetObject, Faults, Picture, Reader

FILE = "transforms.json"
_RENDERED = "render"
_DISTORTIONS = ("k1", "k2", "k3", "k4", "p1", "p2")


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    return _read_file(name, folder.path, faults)


def _read_omniobject3d(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    return _read_file(name, folder.path / _RENDERED, faults)


def _read_file(name: str, folder: Path, faults: Faults) -> DatasetObject:
    path = folder / FILE
    content = read_json(path, folder)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not 1 <= len(frames) <= MOST_VIEWS:
        raise ViewFusionError(f"{path}: wanted an object with 1 to {MOST_VIEWS} frames, got {shown(frames)}")
    pictures, fovs = [], set()
    for index, frame in enumerate(frames):
        place = f"{path}: frame {index}"
        try:
            if not isinstance(frame, dict):
                raise ViewFusionError(f"{place}: wanted an object, got {shown(frame)}")
            picture = Picture(_file(folder, frame.get("file_path"), place), _pose(frame, place))
            fovs.add(_fov({**content, **frame}, str(path)))
            pictures.append(picture)
        except ViewFusionError as error:
            faults.add(str(error))
    if len({fov and round(fov, 6) for fov in fovs}) > 1:
        faults.add(f"{path}: wanted one lens for all frames, got several")
    twice = len(pictures) - len({picture.path for picture in pictures})
    if twice:
        faults.add(f"{path}: {twice} frames name a picture that another one has named")
    return DatasetObject(name, tuple(pictures), next(iter(fovs), None), size=_size(content, path))


def _size(content: dict[str, Any], path: Path) -> tuple[int, int] | None:
    """Width and height, where the file says them."""
    if "w" not in content or "h" not in content:
        return None
    width, height = (number(content[key], f"{path}: {key}") for key in ("w", "h"))
    return round(width), round(height)


def _file(folder: Path, name: object, place: str) -> Path:
    """The picture a frame names. The original NeRF's files leave its ending out, OmniObject3D its folder."""
    if not isinstance(name, str):
        return inside(folder, name, place)
    file = name if Path(name).suffix.lower() in PICTURES else f"{name}.png"
    try:
        return inside(folder, file, place)
    except ViewFusionError:
        with suppress(ViewFusionError):
            return inside(folder, f"images/{file}", place)
        raise


def _pose(frame: dict[str, Any], place: str) -> Pose:
    place = f"{place}: transform_matrix"
    rows = frame.get("transform_matrix")
    if not isinstance(rows, list) or len(rows) not in (3, 4):
        raise ViewFusionError(f"{place}: wanted 4 rows of 4 numbers, got {shown(rows)}")
    matrix = np.array([numbers(row, 4, place) for row in rows])
    try:
        return pose_of_camera(nerfstudio_to_opengl(matrix))
    except ViewFusionError as error:
        raise ViewFusionError(f"{place}: {error}") from None


def _fov(values: dict[str, Any], place: str) -> float | None:
    """Of a pinhole in radians, where the file says it."""
    for key in _DISTORTIONS:
        if number(values.get(key, 0.0), f"{place}: {key}"):
            raise ViewFusionError(f"{place}: {key} distorts; wanted pictures of a pinhole, undistort them")
    if "fl_x" in values and "w" in values:
        focal, width = (number(values[key], f"{place}: {key}") for key in ("fl_x", "w"))
        if not (focal > 0 and width > 0):
            raise ViewFusionError(f"{place}: fl_x and w must be positive, got {focal:g} and {width:g}")
        return 2 * math.atan(width / 2 / focal)
    if "camera_angle_x" in values:
        fov = number(values["camera_angle_x"], f"{place}: camera_angle_x")
        if not 0 < fov < math.pi:
            raise ViewFusionError(f"{place}: camera_angle_x must lie between 0 and pi, got {fov:g}")
        return fov
    return None


def _is_omniobject3d(folder: Folder) -> bool:
    inner = folder.path / _RENDERED
    return (
        _RENDERED in folder.folders
        and (inner / FILE).is_file()
        and inner.resolve().is_relative_to(folder.path.resolve())
    )


NERFSTUDIO = Reader("transforms.json and the pictures it names", lambda folder: FILE in folder.files, _read)
OMNIOBJECT3D = Reader("render/transforms.json and render/images/", _is_omniobject3d, _read_omniobject3d)
