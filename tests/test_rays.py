"""Rays are those recorded from the original, and those worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from neus import CONFIG, close, golden, golden_cameras

from viewfusion.geometry import Pose, camera_to_world
from viewfusion.reconstruction.rays import SPHERE_RADIUS, pixel_rays, rays_from

MATRIX = torch.tensor([[280.0, 0, 128], [0, 280, 128], [0, 0, 1]], dtype=torch.float64)
FRONT = torch.from_numpy(camera_to_world(Pose(0.0, math.radians(30), 1.5)))[None]


def test_rays_are_the_recorded_ones():
    index = golden()["ray_index"]  # into the pixels of two pictures, views 0 and 9
    views, place = torch.tensor([0, 9])[index // 256**2], index % 256**2
    rays = pixel_rays(golden_cameras(), golden()["spin36_K"].double(), views, place % 256, place // 256)
    for name, ours in zip(("o", "d", "near", "far"), vars(rays).values(), strict=True):
        close(ours, golden()[f"ray_{name}"], 1e-6)


def test_the_recorded_cameras_are_the_ring_of_the_conventions():
    poses = [Pose(math.radians(10 * i), CONFIG["elevation_rad"], CONFIG["distance"]) for i in range(36)]
    expected = torch.from_numpy(np.stack([camera_to_world(pose) for pose in poses]))
    close(golden_cameras(), expected, 1e-6)
    assert torch.equal(golden()["spin36_K"].double(), MATRIX)


def test_the_middle_of_the_picture_looks_at_the_origin():
    rays = pixel_rays(FRONT, MATRIX, torch.tensor([0]), torch.tensor([128.0]), torch.tensor([128.0]))
    up, out = 0.5, math.sqrt(3) / 2  # sine and cosine of 30 degrees
    close(rays.origins, torch.tensor([[1.5 * out, 0, 1.5 * up]]), 1e-6)
    close(rays.directions, torch.tensor([[-out, 0, -up]]), 1e-6)
    close(torch.cat([rays.near, rays.far]), torch.tensor([[1.5 - out], [1.5 + out]]), 1e-6)
    close(rays.points(torch.tensor([[1.5]])), torch.zeros(1, 1, 3), 1e-6)


def test_right_and_down_in_the_picture_are_right_and_down_in_the_world():
    x, y = torch.tensor([128.0, 408.0, 128.0]), torch.tensor([128.0, 128.0, 408.0])
    rays = pixel_rays(FRONT, MATRIX, torch.zeros(3, dtype=torch.long), x, y)
    diagonal = math.sqrt(0.5)  # 280 pixels off at a focal length of 280: 45 degrees
    assert rays.directions[1, 1] == pytest.approx(diagonal)  # right of a camera at +x is +y
    assert float(rays.directions[0] @ rays.directions[1]) == pytest.approx(diagonal)
    assert float(rays.directions[2, 2]) == pytest.approx(-math.sin(math.radians(75)))


def test_ends_lie_about_the_point_nearest_to_the_origin():
    rays = rays_from(torch.tensor([[2.0, 0.3, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]]))
    assert rays.near.item() == pytest.approx(2 - SPHERE_RADIUS)
    assert rays.far.item() == pytest.approx(2 + SPHERE_RADIUS)


def test_gradients_flow_to_cameras():
    cameras = FRONT.clone().requires_grad_()
    rays = pixel_rays(cameras, MATRIX, torch.tensor([0]), torch.tensor([3.5]), torch.tensor([9.5]))
    rays.directions[0, 0].backward()
    assert (cameras.grad[0, 0, :3] != 0).all()
    assert (cameras.grad[0, :, 3] == 0).all()


def test_some_rays_and_rays_elsewhere_are_the_same_rays():
    rays = rays_from(torch.randn(5, 3), torch.nn.functional.normalize(torch.randn(5, 3), dim=-1))
    some = rays[torch.tensor([4, 1])].to("cpu")
    assert len(rays) == 5
    assert len(some) == 2
    assert torch.equal(some.far, rays.far[[4, 1]])
