"""Shared by the tests of reconstruction: what the original recorded, and a ball seen exactly."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from viewfusion.geometry import Pose, camera_to_world, colmap_to_opengl
from viewfusion.reconstruction.fields import Field, Surface
from viewfusion.reconstruction.mlp_field import MlpField
from viewfusion.reconstruction.paper import PaperRecipe
from viewfusion.reconstruction.rays import Rays, pixel_rays, rays_from
from viewfusion.reconstruction.scene import Scene
from viewfusion.reconstruction.settings import PaperSettings

GOLDEN = Path(__file__).parent / "assets" / "golden_neus"
CONFIG = json.loads((GOLDEN / "config.json").read_text())

SMALL = PaperSettings(
    steps=8,
    rays=24,
    foreground_rays=8,
    rays_at_once=20,
    coarse=16,
    fine=16,
    width=48,
    features=8,
    layers=2,
    skip=1,
    frequencies=2,
    colour_layers=1,
    direction_frequencies=1,
    warm_up_steps=2,
    anneal_steps=4,
)
"""The paper's recipe with small numbers, two parts a step."""


@cache
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "golden.npz") as arrays:
        return {name: torch.from_numpy(np.array(arrays[name])) for name in arrays.files}


def golden_field() -> MlpField:
    field = MlpField(width=CONFIG["d_hidden"], features=CONFIG["d_feature"])
    field.load_state_dict(load_file(GOLDEN / "neus_tiny.safetensors"))
    return field


def golden_cameras() -> torch.Tensor:
    """(36, 4, 4) camera-to-world, OpenGL, of the recorded world-to-camera ones."""
    poses = np.tile(np.eye(4), (36, 1, 1))
    poses[:, :3] = golden()["spin36_poses_w2c"]
    return torch.from_numpy(np.stack([colmap_to_opengl(pose) for pose in poses]))


def golden_rays() -> Rays:
    """The recorded batch of 24."""
    return rays_from(golden()["batch_rays_o"], golden()["batch_rays_d"])


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float = 1e-4) -> None:
    """At most ``tolerance`` x max(1, largest magnitude) apart."""
    assert ours.shape == theirs.shape
    bound = tolerance * max(1.0, float(theirs.detach().abs().max()))
    difference = float((ours - theirs).detach().abs().max())
    assert difference <= bound, f"{difference:g} apart, {bound:g} allowed"


class Ball(Field):
    """A ball about the origin, or at ``centre``, of one colour; exactly a distance."""

    def __init__(self, radius=0.4, colour=(0.8, 0.4, 0.2), sharpness=1000.0, centre=(0.0, 0.0, 0.0)):
        super().__init__()
        self.radius, self.sharpness = radius, sharpness
        self.register_buffer("colour", torch.tensor(colour))
        self.register_buffer("centre", torch.tensor(centre))

    def sdf(self, points):
        return (points - self.centre).norm(dim=-1, keepdim=True) - self.radius

    def surface(self, points, directions):
        offset = points - self.centre
        gradients = offset / offset.norm(dim=-1, keepdim=True)
        return Surface(self.sdf(points), gradients, self.colour.expand(len(points), 3))

    def inverse_deviation(self):
        return torch.tensor(self.sharpness)


def ball_scene(size: int = 12, views: int = 6, radius: float = 0.4, held_out: tuple[int, ...] = ()) -> Scene:
    """Views around an orange ball over white: a pixel is of the ball if its ray meets it."""
    cameras = np.stack([camera_to_world(Pose(2 * np.pi * i / views, 0.5, 1.5)) for i in range(views)])
    cameras = torch.from_numpy(cameras)
    focal = 1.1 * size
    matrix = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]], dtype=torch.float64)
    y, x = (part.flatten() + 0.5 for part in torch.meshgrid(*[torch.arange(size)] * 2, indexing="ij"))
    index = torch.arange(views).repeat_interleave(size * size)
    rays = pixel_rays(cameras, matrix, index, x.repeat(views), y.repeat(views))
    nearest = rays.origins + rays.directions * (rays.near + rays.far) / 2
    masks = (nearest.norm(dim=-1) < radius).float().reshape(views, size, size)
    colour = torch.tensor([0.8, 0.4, 0.2])[:, None, None]
    images = colour * masks[:, None] + 1 - masks[:, None]
    return Scene(images, masks, cameras, matrix, torch.ones(views), held_out, 1.0, 0)


def small_recipe(**changes) -> PaperRecipe:
    return PaperRecipe(PaperSettings(**{**vars(SMALL), **changes}))
