"""Procedural objects and their renderer: the data zero123-nano learns from.

``random_object(seed)`` makes an object, ``render`` and ``render_batch`` its pictures from poses of
``viewfusion.geometry``; ``endless_batches`` makes both for as long as asked, on the device that trains.
"""

from .endless import endless_batches
from .families import FAMILIES
from .generator import SPLITS, random_object
from .poses import random_poses
from .renderer import over_white, render, render_batch, render_scene
from .scene import ProceduralObject, Scene, pack
from .textures import free_photos, load_photos

__all__ = [
    "FAMILIES",
    "SPLITS",
    "ProceduralObject",
    "Scene",
    "endless_batches",
    "free_photos",
    "load_photos",
    "over_white",
    "pack",
    "random_object",
    "random_poses",
    "render",
    "render_batch",
    "render_scene",
]
