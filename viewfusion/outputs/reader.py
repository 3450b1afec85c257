"""Reading a run: the folder of a finished run goes in, its views come out as a ViewSet.

Folders come from anywhere. What a file says is checked before it is believed: no path leaves the folder, no
picture is decoded before its size is known, and poses that contradict their own matrices are refused.
"""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, camera_to_world, intrinsics

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

FILE = "cameras.json"

MAX_VIEWS = 10_000

MAX_BYTES = 2**24
"""Of ``cameras.json``: 10 000 views take 10 MB."""

MAX_PIXELS = 2**27
"""Of all views together; they take 12 bytes each: 2048 views of 256 x 256, 128 of 1024 x 1024."""

_CLOSE = 1e-6
"""Greatest difference between a number of a matrix and what the pose says; files have nine decimals."""


@dataclass(frozen=True)
class RunCameras:
    """What ``cameras.json`` says, once checked.

    Args:
        fov: radians.
        size: width and height of every picture.
        views: files, which are there, and their poses, in order.
    """

    fov: float
    size: tuple[int, int]
    views: tuple[tuple[Path, Pose], ...]


def read_run(folder: str | Path) -> ViewSet:
    """The views of a finished run: pictures bit for bit, poses to nine decimals of a degree.

    Needs ``cameras.json`` and the pictures it names, nothing else. Latents and records are not read.

    Raises:
        ViewFusionError: there is no such run, it is not finished, or a file in it is missing, damaged, too
            large, outside the folder or at odds with another.
    """
    import torch

    from viewfusion.views import View, ViewSet

    cameras = read_cameras(folder)
    width, height = cameras.size
    if len(cameras.views) * width * height > MAX_PIXELS:
        raise _wrong(
            Path(folder) / FILE,
            f"{len(cameras.views)} views of {width} x {height} pixels are too many to read at once",
        )
    views = []
    for index, (file, pose) in enumerate(cameras.views):
        image = torch.from_numpy(_pixels(file, width, height)).permute(2, 0, 1).float() / 127.5 - 1
        views.append(View(index, pose, image))
    return ViewSet(tuple(views), cameras.fov)


def read_cameras(folder: str | Path) -> RunCameras:
    """The cameras of a finished run; its pictures are found and not opened. Errors as of :func:`read_run`."""
    folder = Path(folder)
    path = _cameras_file(folder)
    content = _json_object(path)
    width, height = _whole(content, "width", path), _whole(content, "height", path)
    fov = math.radians(_number(content, "fov_deg", path))
    if not 0 < fov < math.pi:
        raise _wrong(path, f"fov_deg must lie between 0 and 180, got {math.degrees(fov):g}")
    _check_matrix(content.get("intrinsics"), intrinsics((height, width), fov), f"{path}: intrinsics")
    entries = content.get("views")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_VIEWS:
        raise _wrong(path, f"views must be a list of 1 to {MAX_VIEWS}")
    views = tuple(_view(folder, entry, f"{path}: view {i}") for i, entry in enumerate(entries))
    return RunCameras(fov, (width, height), views)


def _cameras_file(folder: Path) -> Path:
    """``cameras.json`` of a finished run."""
    path = folder / FILE
    try:
        if not folder.is_dir():
            raise ViewFusionError(f"{folder}: no such folder; give the folder of a run, such as out/chair")
        if (folder / ".resume").is_dir() and not (folder / "manifest.json").exists():
            raise ViewFusionError(f"{folder}: not finished; run the same generate-360 command again")
        if path.is_file():
            return path
        runs = sorted(each.parent for each in folder.glob("*/cameras.json"))
    except OSError as error:
        raise ViewFusionError(f"{folder}: cannot be read ({error.strerror}); check the path") from None
    hint = f"give a run in it, such as {runs[0]}" if runs else "give a folder that generate-360 made"
    raise ViewFusionError(f"{folder}: there is no cameras.json; {hint}")


def _json_object(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _wrong(path, f"larger than {MAX_BYTES >> 20} MB")
        content = json.loads(path.read_bytes())
    except ViewFusionError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path, _brief(error)) from None
    if not isinstance(content, dict):
        raise _wrong(path, "no JSON object")
    return content


def _view(folder: Path, entry: Any, place: str) -> tuple[Path, Pose]:
    if not isinstance(entry, dict):
        raise _wrong(place, "no JSON object")
    numbers = [_number(entry, key, place) for key in ("azimuth_deg", "elevation_deg", "radius")]
    try:
        pose = Pose.from_degrees(*numbers)
    except ValueError as error:
        raise _wrong(place, str(error)) from None
    _check_matrix(
        entry.get("camera_to_world_opengl"), camera_to_world(pose), f"{place}: camera_to_world_opengl"
    )
    return _inside(folder, entry.get("file"), place), pose


def _inside(folder: Path, name: Any, place: str) -> Path:
    """The file called ``name`` in ``folder``, if it really lies there."""
    if not isinstance(name, str):
        raise _wrong(place, f"file must be a path inside the folder, got {_brief(name)}")
    try:
        file = (folder / name).resolve()
        within, there = file.is_relative_to(folder.resolve()), file.is_file()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        within, there = True, False
    if not within:
        raise _wrong(place, f"file {_brief(name)} lies outside the folder")
    if not there:
        raise ViewFusionError(f"{folder}: {_brief(name)} is missing; run the same generate-360 command again")
    return folder / name


def _pixels(file: Path, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 of a PNG of exactly that size."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about large pictures: the size is checked here
            with Image.open(file, formats=("PNG",)) as image:
                found = f"{image.width} x {image.height} {image.mode}"
                if (image.width, image.height, image.mode) == (width, height, "RGB"):
                    return np.array(image)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise _wrong(file, _brief(error)) from None
    raise _wrong(file, f"wanted a PNG of {width} x {height} RGB, got {found}")


def _check_matrix(found: Any, wanted: np.ndarray, place: str) -> None:
    """Refuse numbers that differ from those of the pose: whoever changed only one of them meant the other."""
    try:
        matrix = np.array(found, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        matrix = np.empty(0)
    scale = max(1.0, float(np.abs(wanted).max()))
    if matrix.shape != wanted.shape or not np.abs(matrix - wanted).max() <= _CLOSE * scale:
        raise ViewFusionError(
            f"{place} is not what fov_deg, azimuth_deg, elevation_deg and radius give; restore the file or "
            "make the run again"
        )


def _number(values: dict[str, Any], key: str, place: str | Path) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e9:
        raise _wrong(place, f"{key} must be a number, got {_brief(value)}")
    return float(value)


def _whole(values: dict[str, Any], key: str, place: str | Path) -> int:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PIXELS:
        raise _wrong(place, f"{key} must be a whole number of pixels, got {_brief(value)}")
    return value


def _wrong(place: str | Path, what: str) -> ViewFusionError:
    return ViewFusionError(f"{place}: {what}; restore the file or make the run again")


def _brief(value: object) -> str:
    """At most 80 characters on one line."""
    text = ascii(value) if not isinstance(value, Exception) else str(value) or type(value).__name__
    return " ".join(text[:80].split())
