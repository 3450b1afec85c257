"""Benchmark layouts: pictures of an object and their poses go in, the folder a benchmark reads comes out.

Each folder also has ``render.json``, which says what was rendered and how; by it a finished folder is known.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, camera_to_world, intrinsics, opengl_to_colmap, ring
from viewfusion.outputs.cameras import pose_json
from viewfusion.outputs.files import atomic_folder, write_bytes, write_json, write_png
from viewfusion.outputs.nerfstudio import IMAGES, transforms_json
from viewfusion.outputs.numbered import angles_json
from viewfusion.outputs.ownership import differences, is_whole, read_json
from viewfusion.outputs.syncdreamer import FOCAL, POSES, SIDE

RECORD = "render.json"

RANDOM_ELEVATION_DEG, RANDOM_RADIUS = (-10.0, 70.0), (1.5, 2.2)
"""Ranges of random cameras."""


@dataclass(frozen=True)
class Cameras:
    """Where an object is seen from: poses, pixels a side, and the field of view in radians."""

    poses: tuple[Pose, ...]
    size: int
    fov: float = FOV


SYNCDREAMER = Cameras(POSES, SIDE, 2 * math.atan(SIDE / 2 / FOCAL))
"""The only cameras of that layout."""


def ring_poses(count: int, elevation: float, radius: float) -> tuple[Pose, ...]:
    """``count`` poses around, in equal steps from azimuth 0; radians."""
    return ring(count, elevation, radius).views if count > 1 else (Pose(0.0, elevation, radius),)


def random_poses(name: str, count: int, seed: int, radius: float | None = None) -> tuple[Pose, ...]:
    """``count`` poses that depend on seed and name alone, evenly spread over a zone of the sphere.

    Args:
        name: of the object, so that each has its own.
        radius: of all of them; else drawn too.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    low, high = (math.sin(math.radians(degrees)) for degrees in RANDOM_ELEVATION_DEG)
    poses = []
    for _ in range(count):
        azimuth, height, distance = rng.uniform(
            (0, low, RANDOM_RADIUS[0]), (2 * math.pi, high, RANDOM_RADIUS[1])
        )
        poses.append(Pose(float(azimuth), math.asin(height), float(distance) if radius is None else radius))
    return tuple(poses)


def write_layout(
    path: Path, layout: str, pictures: Iterable[np.ndarray], cameras: Cameras, record: dict[str, Any]
) -> None:
    """Make the folder ``path``; parents are made.

    Args:
        layout: a key of :data:`LAYOUTS`.
        pictures: (S, S, 4) uint8 RGBA for each pose, written as they come.
        record: what ``render.json`` says besides the files.

    Raises:
        ViewFusionError: it cannot be written, or there is something at ``path``.
    """
    form = LAYOUTS[layout]
    with atomic_folder(path) as folder:
        (folder / form.pictures).mkdir(exist_ok=True)
        files = []
        for place, pixels in enumerate(pictures):
            files.append((Path(form.pictures) / f"{place:03d}.png").as_posix())
            write_png(folder / files[-1], pixels)
        form.write_cameras(folder / form.cameras, files, cameras)
        views = [{"file": file, **pose_json(pose)} for file, pose in zip(files, cameras.poses, strict=True)]
        write_json(folder / RECORD, {**record, "layout": layout, "files": files, "views": views})


def is_finished(path: Path, record: dict[str, Any]) -> bool:
    """Whether ``path`` holds what ``record`` asks for already.

    Raises:
        ViewFusionError: it holds something else.
    """
    if not path.exists() and not path.is_symlink():
        return False
    made = read_json(path / RECORD) if path.is_dir() else {}
    form = LAYOUTS.get(str(made.get("layout")))
    if form is None or not (path / form.cameras).is_file() or not is_whole(path, made):
        raise ViewFusionError(
            f"{path} is there already and no finished rendering; choose another --out or remove it"
        )
    was, now = ({key: each.get(key, {}) for key in ("mesh", "options")} for each in (made, record))
    if changed := differences(was, now):
        raise ViewFusionError(f"{path} was rendered with {changed[0]}; choose another --out or remove it")
    return True


def picture_files(path: Path) -> list[Path]:
    """The pictures in a finished folder, in order."""
    return [path / view["file"] for view in read_json(path / RECORD)["views"]]


def _write_angles(path: Path, files: Sequence[str], cameras: Cameras) -> None:
    write_json(path, angles_json(cameras.poses))


def _write_transforms(path: Path, files: Sequence[str], cameras: Cameras) -> None:
    names = [Path(file).name for file in files]
    size = (cameras.size, cameras.size)
    write_json(path, transforms_json(cameras.poses, names, size, cameras.fov))


def _write_meta(path: Path, files: Sequence[str], cameras: Cameras) -> None:
    """SyncDreamer's ``meta.pkl``: a tuple of K (3, 3); azimuths, elevations (radians) and distances (16,);
    poses (16, 3, 4) world-to-camera with x right, y down, z forward. All float32."""
    poses = cameras.poses
    content = (
        intrinsics(cameras.size, cameras.fov),
        [pose.azimuth for pose in poses],
        [pose.elevation for pose in poses],
        [pose.radius for pose in poses],
        [opengl_to_colmap(camera_to_world(pose))[:3] for pose in poses],
    )
    buffer = io.BytesIO()
    _PlainPickler(buffer, protocol=2).dump(tuple(np.asarray(each, dtype=np.float32) for each in content))
    write_bytes(path, buffer.getvalue())


class _PlainPickler(pickle.Pickler):
    """Arrays as calls of ``numpy.array`` on lists: numpy's own way names modules that older ones lack."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, np.ndarray):
            return np.array, (obj.tolist(), obj.dtype.str)
        return NotImplemented


@dataclass(frozen=True)
class Layout:
    """A form of folder.

    Args:
        pictures: the folder of the pictures, in it.
        cameras: the name of its file of cameras.
        write_cameras: makes that file: (path, files of the pictures, cameras).
    """

    pictures: str
    cameras: str
    write_cameras: Callable[[Path, Sequence[str], Cameras], None]


LAYOUTS = {
    "viewfusion": Layout("", "angles.json", _write_angles),
    "syncdreamer": Layout("", "meta.pkl", _write_meta),
    "nerfstudio": Layout(IMAGES, "transforms.json", _write_transforms),
}
