"""viewfusion: one photo of an object in, a consistent 360 degrees of it out.

    from viewfusion import ViewFusionPipeline

    views = ViewFusionPipeline.from_checkpoint("zero123-nano")("chair.png", views=16)

Names are imported when first used, so that ``import viewfusion`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viewfusion.config import Config, load_config
    from viewfusion.errors import ViewFusionError
    from viewfusion.geometry import Pose, Trajectory, around, elevation_sweep, path_to, ring, ring_around
    from viewfusion.pipeline import ViewFusionPipeline
    from viewfusion.reconstruction.reconstruct import reconstruct
    from viewfusion.views import View, ViewSet
    from viewfusion.zero123 import Zero123, load_zero123

_HOMES = {
    "Config": "config",
    "Pose": "geometry",
    "Trajectory": "geometry",
    "View": "views",
    "ViewFusionError": "errors",
    "ViewFusionPipeline": "pipeline",
    "ViewSet": "views",
    "Zero123": "zero123",
    "around": "geometry",
    "elevation_sweep": "geometry",
    "load_config": "config",
    "load_zero123": "zero123",
    "path_to": "geometry",
    "reconstruct": "reconstruction.reconstruct",
    "ring": "geometry",
    "ring_around": "geometry",
}

__all__ = [
    "Config",
    "Pose",
    "Trajectory",
    "View",
    "ViewFusionError",
    "ViewFusionPipeline",
    "ViewSet",
    "Zero123",
    "__version__",
    "around",
    "elevation_sweep",
    "load_config",
    "load_zero123",
    "path_to",
    "reconstruct",
    "ring",
    "ring_around",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("viewfusion")
        except PackageNotFoundError:  # used from a checkout that is not installed
            return "0+unknown"
    if name in _HOMES:
        return getattr(importlib.import_module(f"viewfusion.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'viewfusion' has no attribute {name!r}")
