"""ViewFusion's numbered layout: views go in, a folder of ``000.png``, ... and ``angles.json`` comes out.

``angles.json`` is a list with one object per picture, in order: ``azimuth``, ``polar`` and ``radius``. Angles
are in *radians*, as in the files of Zero123 and its kin; polar is counted from straight above, so it is 90°
minus the elevation.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .files import atomic_folder, write_json, write_pngs

if TYPE_CHECKING:
    from viewfusion.geometry import Pose
    from viewfusion.views import ViewSet


def write_numbered(path: str | Path, views: ViewSet) -> None:
    """A folder at ``path``: the pictures and ``angles.json``.

    Raises:
        ViewFusionError: it cannot be written, or there is something at ``path``.
    """
    with atomic_folder(path) as folder:
        write_pngs(folder, (view.rgb for view in views))
        write_json(folder / "angles.json", angles_json([view.pose for view in views]))


def angles_json(poses: Iterable[Pose]) -> list[dict[str, float]]:
    """Content of ``angles.json``, to twelve decimals."""
    return [
        {
            "azimuth": round(pose.azimuth, 12) + 0.0,
            "polar": round(pose.polar, 12) + 0.0,
            "radius": round(pose.radius, 12),
        }
        for pose in poses
    ]
