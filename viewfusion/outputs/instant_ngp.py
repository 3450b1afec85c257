"""instant-ngp: views and their alphas go in, a folder with ``transforms.json`` and RGBA pictures comes out.

The fields are those of https://github.com/NVlabs/instant-ngp/blob/master/docs/nerf_dataset_tips.md: matrices
as in the original NeRF's files (camera-to-world, x right, y up, z backwards), of which the loader multiplies
the positions by ``scale`` and adds ``offset``. With ``aabb_scale`` 1 it marches rays through the cube from 0
to 1 alone. It reads ``fl_x`` or ``camera_angle_x``, and ``cx`` and ``cy`` with ``w`` and ``h``, by its
src/nerf_loader.cu.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .alphas import with_alpha
from .files import atomic_folder, write_json, write_pngs
from .nerfstudio import IMAGES, transforms_json

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

EXTENT = 0.8
"""Width of what the unit cube holds, in distances of the cameras: at the usual 1.5 it is 1.2 times the
object's longest side. The cameras are 1.25 from its middle then; those of the original NeRF's objects, which
the loader's own scale is made for, are 1.33."""


def write_instant_ngp(
    path: str | Path, views: ViewSet, alphas: Sequence[np.ndarray | None] | None = None
) -> None:
    """A folder at ``path``: ``transforms.json`` and ``images/000.png``, ..., in the order of ``views``.

    Without alpha it would have to explain white by something in the cube, so all views need one.

    Raises:
        ViewFusionError: a view has no alpha, it cannot be written, or there is something at ``path``.
    """
    if alphas is None or any(alpha is None for alpha in alphas):
        raise ViewFusionError(
            "instant-ngp wants pictures with alpha; give alphas=, for instance the masks of "
            "viewfusion.reconstruction.scene.scene_from_views"
        )
    with atomic_folder(path) as folder:
        pictures = (with_alpha(view.rgb, alpha) for view, alpha in zip(views, alphas, strict=True))
        names = write_pngs(folder / IMAGES, pictures)
        write_json(folder / "transforms.json", _transforms(views, names))


def _transforms(views: ViewSet, names: Sequence[str]) -> dict[str, Any]:
    poses = [view.pose for view in views]
    height, width = views[0].image.shape[1:]
    content = transforms_json(poses, names, (height, width), views.fov)
    del content["camera_model"], content["orientation_override"]  # nerfstudio's own words
    distance = float(np.median([pose.radius for pose in poses]))
    return {
        **content,
        "camera_angle_x": views.fov,
        "camera_angle_y": 2 * math.atan(math.tan(views.fov / 2) * height / width),
        "aabb_scale": 1,
        "scale": round(1 / (EXTENT * distance), 9),
        "offset": [0.5, 0.5, 0.5],
    }
