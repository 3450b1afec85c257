"""Outputs: finished views go in, the files people open come out. Serves views made by any system."""

from __future__ import annotations

from .cameras import cameras_json
from .contact_sheet import contact_sheet
from .exports import FORMATS, export, find_format
from .playback import Playback
from .reader import read_run
from .run_folder import RunFolder
from .video import write_gif, write_mp4

__all__ = [
    "FORMATS",
    "Playback",
    "RunFolder",
    "cameras_json",
    "contact_sheet",
    "export",
    "find_format",
    "read_run",
    "write_gif",
    "write_mp4",
]
