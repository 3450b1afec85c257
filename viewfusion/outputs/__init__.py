"""Outputs: finished views go in, the files people open come out. Serves views made by any system."""

from __future__ import annotations

from .cameras import cameras_json
from .contact_sheet import contact_sheet
from .exports import FORMATS, export, find_format
from .playback import Playback
from .preprocessed import is_preprocessed, write_preprocessed
from .preview import preview
from .products import Products, SingleView, Turn
from .reader import read_run
from .run_folder import RunFolder
from .samples import write_samples
from .video import write_gif, write_mp4

__all__ = [
    "FORMATS",
    "Playback",
    "Products",
    "RunFolder",
    "SingleView",
    "Turn",
    "cameras_json",
    "contact_sheet",
    "export",
    "find_format",
    "is_preprocessed",
    "preview",
    "read_run",
    "write_gif",
    "write_mp4",
    "write_preprocessed",
    "write_samples",
]
