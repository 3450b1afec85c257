"""Cameras as a file: views go in, their poses, matrices and intrinsics in named frames come out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.geometry import Pose, camera_to_world, intrinsics

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

CONVENTION = {
    "world": "right-handed, z up, the object at the origin; azimuth counter-clockwise from +x seen from "
    "above, 0 at the input view; elevation above the horizon",
    "camera": "OpenGL axes: x right, y up, looking along -z",
    "camera_to_world_opengl": "4x4, rows first; world point = matrix * homogeneous camera point",
    "intrinsics": "3x3, rows first, in pixels with OpenCV axes (x right, y down, z forward); "
    "the first pixel covers 0 to 1",
    "units": "angles in degrees; lengths in units of the object's longest side",
}


def cameras_json(views: ViewSet) -> dict[str, Any]:
    """Content of ``cameras.json``: one pinhole for all views, a pose and a matrix for each.

    Numbers are rounded to 9 decimals: enough for any use, and the same on every machine.
    """
    height, width = views[0].image.shape[1:]
    return {
        "convention": CONVENTION,
        "fov_deg": _rounded(math.degrees(views.fov)),
        "width": width,
        "height": height,
        "intrinsics": _rounded(intrinsics((height, width), views.fov)),
        "views": [
            {
                "file": view_file(view.index),
                "camera_to_world_opengl": _rounded(camera_to_world(view.pose)),
                **pose_json(view.pose),
            }
            for view in views
        ],
    }


def pose_json(pose: Pose) -> dict[str, float]:
    """A pose as files have it: in degrees."""
    return {
        "azimuth_deg": _rounded(pose.azimuth_deg),
        "elevation_deg": _rounded(pose.elevation_deg),
        "radius": _rounded(pose.radius),
    }


def view_file(index: int) -> str:
    """Path of a view's picture inside its run's folder."""
    return f"views/{index:03d}.png"


def _rounded(values: float | np.ndarray) -> Any:
    """A float or nested lists of floats; adding 0 makes -0.0 a plain 0.0."""
    return (np.round(np.asarray(values, dtype=np.float64), 9) + 0.0).tolist()
