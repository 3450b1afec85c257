"""COLMAP: views go in, a folder with a sparse model as text and the images comes out.

The files are those of https://colmap.github.io/format.html: *world-to-camera* rotations as quaternions
(w, x, y, z) and translations, OpenCV axes, a pinhole in pixels where the first pixel covers 0 to 1. There are
no 3D points: the poses are known, nothing was matched.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from viewfusion.geometry import camera_to_world, intrinsics, opengl_to_colmap

from .files import atomic_folder, write_bytes, write_png, write_pngs

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

_CAMERAS = "# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
_IMAGES = (
    "# Image list with two lines of data per image:\n"
    "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n"
    "#   POINTS2D[] as (X, Y, POINT3D_ID)\n"
)
_POINTS = (
    "# 3D point list with one line of data per point:\n"
    "#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)\n"
)


def write_colmap(path: str | Path, views: ViewSet, alphas: Sequence[np.ndarray | None] | None = None) -> None:
    """A folder at ``path``: ``sparse/0/{cameras,images,points3D}.txt`` and ``images/000.png``, ...

    With alphas also ``masks/000.png.png``, ..., named as COLMAP's ``ImageReader.mask_path`` wants them: it
    takes no features where they are black.

    Raises:
        ViewFusionError: it cannot be written, or there is something at ``path``.
    """
    with atomic_folder(path) as folder:
        names = write_pngs(folder / "images", (view.rgb for view in views))
        if alphas is not None:
            _write_masks(folder / "masks", names, alphas)
        model = folder / "sparse" / "0"
        model.mkdir(parents=True)
        write_bytes(model / "cameras.txt", (_CAMERAS + _camera_line(views)).encode())
        write_bytes(model / "images.txt", (_IMAGES + _image_lines(views, names)).encode())
        write_bytes(model / "points3D.txt", _POINTS.encode())


def _write_masks(folder: Path, names: Sequence[str], alphas: Sequence[np.ndarray | None]) -> None:
    """White where a pixel is more than half the object's; none for a view without alpha."""
    folder.mkdir()
    for name, alpha in zip(names, alphas, strict=True):
        if alpha is not None:
            write_png(folder / f"{name}.png", np.where(alpha > 0.5, 255, 0).astype(np.uint8))


def _camera_line(views: ViewSet) -> str:
    height, width = views[0].image.shape[1:]
    matrix = intrinsics((height, width), views.fov)
    parameters = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
    return f"1 PINHOLE {width} {height} {_numbers(parameters)}\n"


def _image_lines(views: ViewSet, names: list[str]) -> str:
    """Two lines a view, the second, for its keypoints, empty; numbers count from 1."""
    lines = []
    for number, (view, name) in enumerate(zip(views, names, strict=True), start=1):
        matrix = opengl_to_colmap(camera_to_world(view.pose))
        lines.append(f"{number} {_numbers((*quaternion(matrix[:3, :3]), *matrix[:3, 3]))} 1 {name}\n\n")
    return "".join(lines)


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(4,) unit quaternion w, x, y, z (Hamilton's), w >= 0, of a (3, 3) rotation matrix."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    # Every row is 4 q times one component of q; the row of the largest one loses no digits.
    rows = np.array(
        [
            [1 + a + e + i, h - f, c - g, d - b],
            [h - f, 1 + a - e - i, b + d, c + g],
            [c - g, b + d, 1 - a + e - i, f + h],
            [d - b, c + g, f + h, 1 - a - e + i],
        ]
    )
    row = rows[np.argmax(rows.diagonal())]
    return row / np.linalg.norm(row) * (-1.0 if row[0] < 0 else 1.0)


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(repr(round(float(value), 12) + 0.0) for value in values)
