"""The layouts ``nerfstudio`` and ``omniobject3d``: ``transforms.json`` and the pictures it names.

The file has camera-to-world matrices in OpenGL axes, a world with z up, and one lens for all frames: ``fl_x``
in pixels with the width ``w``, or ``camera_angle_x`` in radians, of square pixels about its axis. Names are
relative to it, and may lack their ending. OmniObject3D keeps all of that in ``NAME/render/``, and in it the
pictures in ``images/``.
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
_LENS = ("fl_x", "fl_y", "cx", "cy", "w", "h", "camera_angle_x", "camera_angle_y")

_LEAST = 1e-6  # of a length or an angle; less divides by nothing

_OFF_CENTRE = 0.003
"""Share of a picture's side by which the axis may miss its centre, or half a pixel, which is a convention."""

_OBLONG = 0.005
"""Share by which pixels may be higher or wider than square: at the border of 256 of them, half a pixel."""


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
    lens = {key: number(values[key], f"{place}: {key}") for key in _LENS if key in values}
    for key, value in lens.items():
        if key not in ("cx", "cy") and value < _LEAST:
            raise ViewFusionError(f"{place}: {key} must be positive, got {value:g}")
        if key.startswith("camera_angle") and value >= math.pi:
            raise ViewFusionError(f"{place}: {key} must lie between 0 and pi, got {value:g}")
    _check_centred(lens, place)
    if "fl_x" in lens and "w" in lens:
        return 2 * math.atan(lens["w"] / 2 / lens["fl_x"])
    if "fl_x" in lens and "camera_angle_x" not in lens:
        raise ViewFusionError(f"{place}: fl_x says nothing without w, the width of the pictures; add it")
    return lens.get("camera_angle_x")


def _check_centred(lens: dict[str, float], place: str) -> None:
    """Refuse a lens whose axis misses the centre of the pictures, or whose pixels are not square."""
    for key, side in (("cx", "w"), ("cy", "h")):
        centre = lens.get(side, 0.0) / 2
        if key in lens and centre and abs(lens[key] - centre) > max(0.5, 2 * centre * _OFF_CENTRE):
            raise ViewFusionError(
                f"{place}: wanted the lens' axis in the centre of the pictures, {key} {centre:g}, got "
                f"{lens[key]:g}; crop them about it"
            )
    if "fl_x" in lens and "fl_y" in lens:
        shape = lens["fl_y"] / lens["fl_x"]
    elif {"camera_angle_x", "camera_angle_y", "w", "h"} <= lens.keys():
        across, up = (math.tan(lens[f"camera_angle_{axis}"] / 2) for axis in "xy")
        shape = lens["h"] / up * across / lens["w"]
    else:
        return
    if abs(shape - 1) > _OBLONG:
        raise ViewFusionError(
            f"{place}: wanted square pixels, got focal lengths (fl_x, fl_y or camera_angle_y) of which one "
            f"is {max(shape, 1 / shape):.3g} times the other; resize the pictures"
        )


def _is_omniobject3d(folder: Folder) -> bool:
    inner = folder.path / _RENDERED
    return (
        _RENDERED in folder.folders
        and (inner / FILE).is_file()
        and inner.resolve().is_relative_to(folder.path.resolve())
    )


NERFSTUDIO = Reader("transforms.json and the pictures it names", lambda folder: FILE in folder.files, _read)
OMNIOBJECT3D = Reader("render/transforms.json and render/images/", _is_omniobject3d, _read_omniobject3d)
