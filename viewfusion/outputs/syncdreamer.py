"""SyncDreamer: views go in, the one picture its reconstruction reads comes out, 16 views side by side.

Its cameras are fixed and so are not in the file: azimuths 0, 22.5°, ... 337.5°, elevation 30°, distance 1.5,
256 pixels a side, a focal length of 280 pixels.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, intrinsics, wrap_angle

from .files import write_png

if TYPE_CHECKING:
    from viewfusion.views import View, ViewSet

COUNT, SIDE, FOCAL = 16, 256, 280.0
"""Views of the strip, pixels a side of each, focal length in those pixels."""

ELEVATION_DEG, RADIUS = 30.0, 1.5

POSES = tuple(Pose.from_degrees(360 / COUNT * place, ELEVATION_DEG, RADIUS) for place in range(COUNT))

_NEAR_DEG, _NEAR = 0.01, 0.001
"""Differences that no picture shows: of an angle in degrees; of distance and focal length, as a share."""


def write_syncdreamer(path: str | Path, views: ViewSet) -> None:
    """A PNG of 4096 x 256 pixels: the views at SyncDreamer's azimuths, from left to right.

    Views of another size are resized (Lanczos); views at other azimuths are left out.

    Raises:
        ViewFusionError: a view is missing or seen by another camera, or the file cannot be written.
    """
    _check_pinhole(views)
    chosen = [_view_at(views, pose) for pose in POSES]
    write_png(Path(path), np.concatenate([_resized(view) for view in chosen], axis=1))


def _check_pinhole(views: ViewSet) -> None:
    height, width = views[0].image.shape[1:]
    focal = intrinsics((height, width), views.fov)[0, 0] * SIDE / width
    if height != width or abs(focal / FOCAL - 1) > _NEAR:
        raise ViewFusionError(
            f"syncdreamer wants square views with a focal length of {FOCAL / SIDE:.3f} widths, got "
            f"{width} x {height} with {focal / SIDE:.3f}; export them as nerfstudio or colmap, "
            "which keep any camera"
        )


def _view_at(views: ViewSet, wanted: Pose) -> View:
    for view in views:
        apart = (wrap_angle(view.pose.azimuth - wanted.azimuth), view.pose.elevation - wanted.elevation)
        same_angles = all(abs(math.degrees(angle)) <= _NEAR_DEG for angle in apart)
        if same_angles and abs(view.pose.radius / wanted.radius - 1) <= _NEAR:
            return view
    raise ViewFusionError(
        f"syncdreamer wants {COUNT} views around, at elevation {ELEVATION_DEG:g} and radius {RADIUS:g}; none "
        f"of these {len(views)} is at azimuth {wanted.azimuth_deg:g} there: make a run with --views {COUNT} "
        f"--elevation-deg {ELEVATION_DEG:g} radius={RADIUS:g}"
    )


def _resized(view: View) -> np.ndarray:
    """(256, 256, 3) uint8."""
    if view.rgb.shape[:2] == (SIDE, SIDE):
        return view.rgb
    return np.asarray(Image.fromarray(view.rgb).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
