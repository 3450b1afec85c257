"""Datasets: benchmark layouts, in and out; and meshes, the objects that they are made of."""

from __future__ import annotations

from .layouts import LAYOUTS, SYNCDREAMER, Cameras, random_poses, ring_poses, write_layout
from .meshes import Mesh, fit_scale, read_mesh, read_triangles
from .reading import READERS, Dataset, DatasetObject, Picture, Problem, open_dataset, read_rgba
from .renderer import Light, Renderer

__all__ = [
    "LAYOUTS",
    "READERS",
    "SYNCDREAMER",
    "Cameras",
    "Dataset",
    "DatasetObject",
    "Light",
    "Mesh",
    "Picture",
    "Problem",
    "Renderer",
    "fit_scale",
    "open_dataset",
    "random_poses",
    "read_mesh",
    "read_rgba",
    "read_triangles",
    "ring_poses",
    "write_layout",
]
