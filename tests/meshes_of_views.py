"""Shared by tests of reconstructions: a coloured ball in closed form, and settings that take seconds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import yaml

from viewfusion.geometry import camera_to_world, intrinsics, ring
from viewfusion.outputs.cameras import cameras_json
from viewfusion.outputs.files import write_json, write_pngs
from viewfusion.views import View, ViewSet

RADIUS = 0.35

TINY = {
    "recipe": "paper",
    "resolution": 32,
    "paper": {
        "steps": 8, "rays": 48, "foreground_rays": 16, "coarse": 16, "fine": 16, "rounds": 2,
        "width": 48, "features": 8, "layers": 2, "skip": 1, "frequencies": 2, "colour_layers": 1,
        "anneal_steps": 0, "warm_up_steps": 0, "radius": 0.35,
    },
    "finishing": {"faces": 400},
    "texture": {"size": 64},
}  # fmt: skip
"""A network so small, and so short a training, that what it begins as is what it ends as, nearly: a ball."""


def tiny_preset(folder: Path, **changes: object) -> Path:
    """The YAML file of :data:`TINY` in ``folder``."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY | changes))
    return path


def ball_views(count: int = 9, size: int = 32) -> ViewSet:
    """A ball around the origin, over white, in the colour of its normal; 4 x 4 rays a pixel."""
    matrix = intrinsics(size)
    steps = (np.arange(4 * size) + 0.5) / 4
    x, y = np.meshgrid((steps - matrix[0, 2]) / matrix[0, 0], (steps - matrix[1, 2]) / matrix[1, 1])
    local = np.stack([x, -y, -np.ones_like(x)], axis=-1)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    views = []
    for index, pose in enumerate(ring(count, math.radians(20), 1.5).views):
        camera = camera_to_world(pose)
        towards, origin = local @ camera[:3, :3].T, camera[:3, 3]
        along = -(towards @ origin)
        inside = RADIUS**2 - (origin @ origin - along**2)
        hit = origin + (along - np.sqrt(inside.clip(0)))[..., None] * towards
        colours = np.where((inside > 0)[..., None], 0.5 + hit / RADIUS * 0.4, 1.0)
        picture = colours.reshape(size, 4, size, 4, 3).mean(axis=(1, 3))
        image = torch.from_numpy(picture).permute(2, 0, 1).float() * 2 - 1
        views.append(View(index, pose, image))
    return ViewSet(tuple(views))


def write_run(folder: Path, views: ViewSet) -> Path:
    """What is read of a finished run: ``cameras.json`` and the pictures."""
    write_pngs(folder / "views", (view.rgb for view in views))
    write_json(folder / "cameras.json", cameras_json(views))
    return folder


def mesh_bytes(folder: Path) -> dict[str, bytes]:
    """Everything about a mesh but its record, which holds seconds, and its previews."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name not in ("reconstruction.json", ".lock", "preview.png")
    }
