"""Outputs: finished views go in, the files people open come out. Serves views made by any system."""

from __future__ import annotations

from .cameras import cameras_json
from .contact_sheet import contact_sheet
from .products import Products, SingleView, Turn
from .run_folder import RunFolder
from .samples import write_samples
from .video import write_gif, write_mp4

__all__ = [
    "Products",
    "RunFolder",
    "SingleView",
    "Turn",
    "cameras_json",
    "contact_sheet",
    "write_gif",
    "write_mp4",
    "write_samples",
]
