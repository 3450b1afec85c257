"""instant-ngp: views go in, a folder with its kind of ``transforms.json`` and the images comes out.

The fields are those of https://github.com/NVlabs/instant-ngp/blob/master/docs/nerf_dataset_tips.md:
camera-to-world matrices in OpenGL axes with z up, and a box of side 1 around (0.5, 0.5, 0.5) in which the
object has to lie once positions are multiplied by ``scale`` and moved by ``offset``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import atomic_folder, write_json, write_pngs
from .nerfstudio import IMAGES, transforms_json

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

SIDE = 1.2
"""Of the cube around the origin that becomes the box: the object's longest side is 1, with some room."""


def write_instant_ngp(
    path: str | Path, views: ViewSet, alphas: Sequence[np.ndarray] | None = None
) -> None:
    """A folder at ``path``: ``transforms.json`` and ``images/000.png``, ..., in the order of ``views``.

    Args:
        alphas: (H, W) uint8 of each view, what of it is the object. instant-ngp takes what is opaque for
            real: without them, the white around the object too.

    Raises:
        ViewFusionError: it cannot be written, or there is something at ``path``.
    """
    with atomic_folder(path) as folder:
        pictures = [view.rgb for view in views]
        if alphas is not None:
            pictures = [straight(rgb, alpha) for rgb, alpha in zip(pictures, alphas, strict=True)]
        names = write_pngs(folder / IMAGES, pictures)
        size = (views[0].image.shape[1], views[0].image.shape[2])
        content = transforms_json([view.pose for view in views], names, size, views.fov)
        del content["orientation_override"]
        write_json(folder / "transforms.json", content | {
            "camera_angle_x": views.fov,
            "aabb_scale": 1,  # nothing lies outside the box
            "scale": 1 / SIDE,
            "offset": [0.5, 0.5, 0.5],
        })  # fmt: skip


def straight(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 which over white is ``rgb`` (H, W, 3) again, as far as ``alpha`` (H, W) lets it."""
    share = np.maximum(alpha, 1)[..., None] / 255
    colours = np.clip(np.rint(255 - (255 - rgb.astype(np.float64)) / share), 0, 255)
    colours[alpha == 0] = 255
    return np.dstack([colours.astype(np.uint8), alpha])
