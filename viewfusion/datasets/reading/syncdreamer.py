"""The layout ``syncdreamer``: ``000.png``, ``001.png``, ... and ``meta.pkl``.

``meta.pkl`` is a pickled tuple of float32 arrays: K (3, 3); azimuths, elevations (radians), distances (V,);
poses (V, 3, 4), world-to-camera with x right, y down, z forward. It is read as data: nothing in it is run.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, opengl_to_colmap

from .folders import MOST_VIEWS, Folder, brief, read_bytes
from .pickles import UnsafePickleError, read_arrays
from .records import DatasetObject, Faults, Picture, Reader
from .views import numbered_views

FILE = "meta.pkl"
_MOST_BYTES = 2**22  # 16 views take 1 kB, 10 000 views 600 kB, or 2 MB written as lists
_CLOSE = 1e-3
"""Greatest difference between an entry of a pose and what the angles say."""


def _read(name: str, folder: Folder, faults: Faults) -> DatasetObject:
    path = folder.path / FILE
    matrix, azimuths, elevations, distances, poses = _arrays(path, folder.path)
    files = numbered_views(folder, faults, len(azimuths))
    found = []
    for index, numbers in enumerate(zip(azimuths, elevations, distances, poses, strict=True)):
        try:
            found.append(_pose(*numbers))
        except (ViewFusionError, ValueError) as error:
            faults.add(f"{path}: view {index}: {error}")
    pictures = tuple(Picture(*each) for each in zip(files, found, strict=False))
    side = round(2 * float(matrix[0, 2])) if abs(matrix[0, 2]) < 1e6 else 0
    return DatasetObject(name, pictures, _fov(matrix, path), size=(side, side))


def _arrays(path: Path, folder: Path) -> tuple[np.ndarray, ...]:
    """K, azimuths, elevations, distances and poses, as float64 of the right shapes."""
    content = read_bytes(path, folder, _MOST_BYTES)
    try:
        value = read_arrays(content)
    except UnsafePickleError as error:
        raise ViewFusionError(f"{path}: refused: {error}; a meta.pkl holds arrays and nothing else") from None
    except Exception as error:  # damaged ones fail in any way
        raise ViewFusionError(f"{path}: no pickle of arrays ({brief(error)}); copy it again") from None
    if not isinstance(value, (tuple, list)) or len(value) != 5:
        raise ViewFusionError(f"{path}: wanted K, azimuths, elevations, distances, poses; got something else")
    arrays = tuple(_floats(each) for each in value)
    count = len(arrays[1]) if arrays[1].ndim == 1 else 0
    if not 1 <= count <= MOST_VIEWS:
        raise ViewFusionError(f"{path}: wanted 1 to {MOST_VIEWS} azimuths, got {list(arrays[1].shape)}")
    wanted = ((3, 3), (count,), (count,), (count,), (count, 3, 4))
    names = ("K", "azimuths", "elevations", "distances", "poses")
    for name, array, shape in zip(names, arrays, wanted, strict=True):
        if array.shape != shape:
            raise ViewFusionError(f"{path}: {name} must be {list(shape)} numbers, got {list(array.shape)}")
    return arrays


def _floats(value: Any) -> np.ndarray:
    """float64 of an array or of a list of numbers or small arrays; empty where it is neither."""
    if isinstance(value, (list, tuple)) and (
        len(value) > MOST_VIEWS
        or any(isinstance(each, (list, tuple)) or np.size(each) > 12 for each in value)
    ):
        return np.empty((0,))
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty((0,))


def _pose(azimuth: float, elevation: float, distance: float, matrix: np.ndarray) -> Pose:
    pose = Pose(float(azimuth), float(elevation), float(distance))
    wanted = opengl_to_colmap(camera_to_world(pose))[:3]
    off = float(np.abs(matrix - wanted).max())
    if not off <= _CLOSE * max(1.0, pose.radius):
        raise ViewFusionError(
            f"its matrix is off by {off:.3g} from that of azimuth {pose.azimuth_deg:.4g}, elevation "
            f"{pose.elevation_deg:.4g}, distance {pose.radius:.4g}"
        )
    return pose


def _fov(matrix: np.ndarray, path: Path) -> float:
    """Of a picture whose middle is K's principal point."""
    focal, middle = matrix[0, 0], matrix[0, 2]
    pinhole = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    if not (
        np.isfinite(matrix).all() and focal > 0 and middle > 0 and np.allclose(matrix, pinhole, rtol=1e-3)
    ):
        raise ViewFusionError(
            f"{path}: K must be a square pinhole's, got {np.round(matrix, 3).ravel().tolist()}"
        )
    return 2 * math.atan(float(middle) / float(focal))


READER = Reader("000.png, ... and meta.pkl", lambda folder: FILE in folder.files, _read)
