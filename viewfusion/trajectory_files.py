"""Trajectory files: a file of camera poses from anybody goes in, checked poses in the input's frame come out.

Three kinds are read: a CSV with a header; a JSON list of objects with the same keys; and a JSON object of
cameras, ours (``cameras.json``) or nerfstudio's (``transforms.json``), whose first camera is the input's.
Nothing but poses is taken from them: pictures and lenses stay the model's own.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.geometry import RADII, Pose, nerfstudio_to_opengl, pose_from_camera_to_world, wrap_angle

MOST_VIEWS = 1000
"""Most views of a trajectory, the input among them."""

_MOST_BYTES = 4 * 2**20  # a thousand cameras written out at length are a quarter of it
_COLUMNS = ("azimuth_deg", "elevation_deg", "radius")
_LIMITS = {"azimuth_deg": (-36_000, 36_000), "elevation_deg": (-90, 90), "radius": RADII}
_OF_CAMERAS_JSON = ("file", "camera_to_world_opengl")

_Placed = tuple[str, Pose]
"""Where in the file a pose stands, such as "line 3", and the pose."""


@dataclass(frozen=True)
class PoseFile:
    """What a trajectory file says.

    Args:
        name: of the file, without its folder.
        source: the input's pose, at azimuth 0.
        targets: in the order of the file, azimuths counted from the input; at least one, no two alike.
        states_input: whether ``source`` comes from the file.
    """

    name: str
    source: Pose
    targets: tuple[Pose, ...]
    states_input: bool


def read_poses(path: str | Path, source: Pose) -> PoseFile:
    """The poses in a CSV or JSON file; angles in degrees.

    Args:
        path: ending in ``.csv`` or ``.json``.
        source: the input's pose, for files that state targets only; its elevation and radius also stand
            in for those that a line leaves out.

    Raises:
        ViewFusionError: the file cannot be read, is none of the three kinds, or holds a pose that is
            impossible or there twice; one line that says where and what to do.
    """
    path = Path(path)
    try:
        text = _text(path)
        if path.suffix.lower() == ".csv":
            return _pose_file(path, ("the input", source), _from_csv(text, source), False)
        content = _json(text)
        if isinstance(content, list):
            return _pose_file(path, ("the input", source), _from_list(content, source), False)
        cameras = _from_cameras(content, source)
        return _pose_file(path, next(cameras), cameras, True)
    except ViewFusionError as error:
        raise ViewFusionError(f"{path}: {error}") from error.__cause__


def _pose_file(path: Path, first: _Placed, placed: Iterable[_Placed], states_input: bool) -> PoseFile:
    """Azimuths turned so that the first pose, the input's, lies at 0; no pose may be there twice.

    Where there is nothing to turn they stay as they are: a spiral of several turns counts on.
    """
    turn, seen = first[1].azimuth, {_key(first[1]): first[0]}
    targets = []
    for where, pose in _limited(placed):
        twin = seen.setdefault(_key(pose), where)
        if twin != where:
            raise ViewFusionError(f"{where}: the same pose as {twin}; leave one of them out")
        targets.append(replace(pose, azimuth=wrap_angle(pose.azimuth - turn) if turn else pose.azimuth))
    if not targets:
        more = " besides the input's" if states_input else ""
        raise ViewFusionError(f"no pose{more}; give one to {MOST_VIEWS - 1}")
    return PoseFile(path.name, replace(first[1], azimuth=0.0), tuple(targets), states_input)


def _limited(placed: Iterable[_Placed]) -> Iterator[_Placed]:
    """Stops at the first pose too many, so that a file of millions is not read to its end."""
    for count, each in enumerate(placed, start=1):
        if count >= MOST_VIEWS:
            raise ViewFusionError(
                f"{each[0]}: more than {MOST_VIEWS - 1} poses; split the file and run its parts"
            )
        yield each


def same_pose(a: Pose, b: Pose) -> bool:
    """Whether two poses are the same to a millionth of a degree, whichever turn they are counted in."""
    return _key(a) == _key(b)


def _key(pose: Pose) -> tuple[float, float, float]:
    """Equal for the same poses."""
    return round(pose.azimuth_deg % 360, 6) % 360, round(pose.elevation_deg, 6) + 0.0, round(pose.radius, 6)


def _text(path: Path) -> str:
    if path.suffix.lower() not in (".csv", ".json"):
        raise ViewFusionError("not a .csv or .json file; give a trajectory as one of these")
    try:
        regular = path.is_file() or not path.exists()
        if regular:
            with path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = getattr(error, "strerror", None) or error
        raise ViewFusionError(f"cannot be read ({reason}); check the path") from error
    if not regular:  # a folder; a pipe, which would be waited for
        raise ViewFusionError("not a regular file; give a .csv or .json file")
    if len(content) > _MOST_BYTES:
        raise ViewFusionError(f"larger than {_MOST_BYTES // 2**20} MiB; give at most {MOST_VIEWS - 1} poses")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ViewFusionError("not text in UTF-8; save it as UTF-8") from error


def _from_csv(text: str, source: Pose) -> Iterator[_Placed]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = ((f"line {reader.line_num}", row) for row in reader if any(cell.strip() for cell in row))
        where, header = next(rows, ("", []))
        names = [cell.strip() for cell in header]
        _check_header(names, where)
        for where, row in rows:
            if len(row) != len(names):
                raise ViewFusionError(f"{where}: {len(names)} columns are named, and it has {len(row)}")
            cells = {name: cell.strip() for name, cell in zip(names, row, strict=True)}
            yield (
                where,
                checked_pose({name: _parsed(cell) for name, cell in cells.items() if cell}, source, where),
            )
    except csv.Error as error:
        raise ViewFusionError(f"line {reader.line_num}: not CSV ({error}); mend the line") from error


def _check_header(names: list[str], where: str) -> None:
    if not any(name in _COLUMNS for name in names):
        raise ViewFusionError(
            f"the first line must name the columns, separated by commas: {', '.join(_COLUMNS)}"
            f"{did_you_mean(names[0], _COLUMNS) if names else ''}"
        )
    _check_keys(names, where)
    if len(set(names)) < len(names):
        raise ViewFusionError(f"{where}: a column is named twice; leave one of them out")


def _parsed(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


def _json(text: str) -> Any:
    """Plain values; a key that stands twice in one object is refused, where ``json`` would keep the last."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            raise ValueError("a key stands twice in one object")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise ViewFusionError("nested too deeply; give a list of poses or a file of cameras") from error
    except ValueError as error:
        reason = str(error).partition("\n")[0][:100]
        raise ViewFusionError(f"not JSON ({reason}); mend it there") from error


def _from_list(content: list[Any], source: Pose) -> Iterator[_Placed]:
    for index, entry in enumerate(content):
        where = f"entry {index + 1}"
        values = _object(entry, where)
        _check_keys(values, where)
        yield where, checked_pose(values, source, where)


def _from_cameras(content: Any, source: Pose) -> Iterator[_Placed]:
    """The cameras of our ``cameras.json`` or of nerfstudio's ``transforms.json``, the input's first."""
    kinds = [key for key in ("views", "frames") if isinstance(content, dict) and key in content]
    if len(kinds) != 1:
        raise ViewFusionError(
            "neither a list of poses, nor an object with either 'views' (cameras.json) or 'frames' "
            "(nerfstudio's transforms.json); give one of these"
        )
    (kind,) = kinds
    if not (isinstance(content[kind], list) and content[kind]):
        raise ViewFusionError(f"{kind!r} must be a list of cameras, the input's first; fill it")
    for index, entry in enumerate(content[kind]):
        where = f"{kind}[{index}]"
        values = _object(entry, where)
        if kind == "frames":
            yield where, _nerfstudio_pose(values, where)
        else:
            values = {key: value for key, value in values.items() if key not in _OF_CAMERAS_JSON}
            _check_keys(values, where, required=_COLUMNS)
            yield where, checked_pose(values, source, where)


def _nerfstudio_pose(frame: Mapping[str, Any], where: str) -> Pose:
    rows: Any = frame.get("transform_matrix")
    square = isinstance(rows, list) and len(rows) == 4
    if not (square and all(isinstance(row, list) and len(row) == 4 for row in rows)):
        raise ViewFusionError(f"{where}: transform_matrix must be 4 rows of 4 numbers; write it out")
    matrix = np.array([[_number(value, "transform_matrix", where) for value in row] for row in rows])
    if not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise ViewFusionError(
            f"{where}: the last row of transform_matrix must be 0 0 0 1; write it rows first"
        )
    try:
        pose = pose_from_camera_to_world(nerfstudio_to_opengl(matrix))
    except ValueError as error:
        raise ViewFusionError(
            f"{where}: {error}; the model makes no other views: leave it out or move the object there"
        ) from error
    _check_limits({"radius": pose.radius}, where)
    return pose


def _object(entry: Any, where: str) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ViewFusionError(f"{where}: must be an object with {', '.join(_COLUMNS)}, got {_shown(entry)}")
    return entry


def _check_keys(names: Iterable[str], where: str, required: Iterable[str] = ("azimuth_deg",)) -> None:
    given = list(names)
    for name in given:
        if name not in _COLUMNS:
            hint = did_you_mean(name, _COLUMNS) or f"; known: {', '.join(_COLUMNS)}"
            raise ViewFusionError(f"{where}: unknown {_shown(name)}{hint}")
    for name in required:
        if name not in given:
            raise ViewFusionError(f"{where}: {name} is missing; add it")


def checked_pose(values: Mapping[str, Any], source: Pose, where: str) -> Pose:
    """The pose of plain values under known keys; the input's elevation and radius where they are absent.

    Raises:
        ViewFusionError: a value is missing, no number or impossible; begins with ``where``.
    """
    if "azimuth_deg" not in values:
        raise ViewFusionError(f"{where}: azimuth_deg is missing; add it")
    numbers = {key: _number(value, key, where) for key, value in values.items()}
    _check_limits(numbers, where)
    azimuth = math.radians(numbers["azimuth_deg"])
    tilt = math.radians(numbers["elevation_deg"]) if "elevation_deg" in numbers else source.elevation
    return Pose(azimuth, tilt, numbers.get("radius", source.radius))


def _number(value: Any, key: str, where: str) -> float:
    """A finite float of a JSON number (a bool and a word are none)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise ViewFusionError(f"{where}: {key} must be a finite number, got {_shown(value)}; write a number")


def _check_limits(numbers: Mapping[str, float], where: str) -> None:
    for key, number in numbers.items():
        least, most = _LIMITS[key]
        if not least <= number <= most:
            raise ViewFusionError(
                f"{where}: {key} must be {least:g} to {most:g}, got {number:g}; write one of these"
            )


def _shown(value: Any) -> str:
    """A value out of an untrusted file, fit for a one-line message."""
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__}"
    return ascii(value)[:40]
