"""Datasets: benchmark layouts, in and out; and meshes, the objects that they are made of."""

from __future__ import annotations

from .layouts import LAYOUTS, SYNCDREAMER, Cameras, random_poses, ring_poses, write_layout
from .meshes import Mesh, fit_scale, read_mesh, read_triangles
from .renderer import Light, Renderer

__all__ = [
    "LAYOUTS",
    "SYNCDREAMER",
    "Cameras",
    "Light",
    "Mesh",
    "Renderer",
    "fit_scale",
    "random_poses",
    "read_mesh",
    "read_triangles",
    "ring_poses",
    "write_layout",
]
