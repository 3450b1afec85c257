"""nerfstudio: views go in, a folder with ``transforms.json`` and the images comes out.

The fields are those of https://docs.nerf.studio/quickstart/data_conventions.html: camera-to-world matrices in
OpenGL axes, a world with z up, one pinhole for all frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.geometry import Pose, camera_to_world, intrinsics, opengl_to_nerfstudio

from .alphas import with_alpha
from .files import atomic_folder, write_json, write_pngs

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

IMAGES = "images"
"""The folder of the pictures. nerfstudio looks for smaller ones beside it, in ``images_2`` and so on."""


def write_nerfstudio(
    path: str | Path, views: ViewSet, alphas: Sequence[np.ndarray | None] | None = None
) -> None:
    """A folder at ``path``: ``transforms.json`` and ``images/000.png``, ..., in the order of ``views``.

    With alphas the pictures are RGBA, else RGB.

    Raises:
        ViewFusionError: it cannot be written, or there is something at ``path``.
    """
    with atomic_folder(path) as folder:
        pictures = (
            view.rgb if alphas is None else with_alpha(view.rgb, alphas[place])
            for place, view in enumerate(views)
        )
        names = write_pngs(folder / IMAGES, pictures)
        height, width = views[0].image.shape[1:]
        poses = [view.pose for view in views]
        write_json(folder / "transforms.json", transforms_json(poses, names, (height, width), views.fov))


def transforms_json(
    poses: Sequence[Pose], names: Sequence[str], size: tuple[int, int], fov: float
) -> dict[str, Any]:
    """Content of ``transforms.json`` for pictures of those names; size is (height, width)."""
    height, width = size
    matrix = intrinsics(size, fov)
    return {
        "camera_model": "OPENCV",
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
        "w": width,
        "h": height,
        **dict.fromkeys(("k1", "k2", "p1", "p2"), 0.0),
        # Otherwise nerfstudio turns the world so that the mean of the cameras' up points up.
        "orientation_override": "none",
        "frames": [
            {
                "file_path": f"{IMAGES}/{name}",
                # Twelve decimals are exact enough for anybody, and the same on every machine.
                "transform_matrix": (
                    np.round(opengl_to_nerfstudio(camera_to_world(pose)), 12) + 0.0
                ).tolist(),
            }
            for name, pose in zip(names, poses, strict=True)
        ],
    }
