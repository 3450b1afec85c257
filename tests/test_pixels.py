"""Pixels are looked up where their rays go, from the views trained on."""

from __future__ import annotations

from dataclasses import replace

import torch
from neus import ball_scene, close, golden, golden_cameras

from viewfusion.reconstruction.pixels import pixels_at, random_pixels
from viewfusion.reconstruction.scene import Scene


def test_pixels_of_the_recording():
    """Its pictures were one grey each: 7 / 255 times the view's number."""
    greys = torch.arange(36) * 7 / 255
    images = greys[:, None, None, None].expand(36, 3, 256, 256)
    masks = torch.ones(1, 1, 1).expand(36, 256, 256)
    matrix = golden()["spin36_K"].double()
    scene = Scene(images, masks, golden_cameras(), matrix, torch.ones(36), (), 1.0, None)
    index = golden()["ray_index"]
    place = index % 256**2
    pixels = pixels_at(scene, torch.tensor([0, 9])[index // 256**2], place % 256, place // 256, centre=0)
    close(pixels.colours, golden()["ray_rgb"], 1e-6)
    close(pixels.rays.directions, golden()["ray_d"], 1e-6)


def test_a_pixel_is_that_of_its_column_and_row():
    scene = ball_scene(size=8, views=4)
    images = torch.arange(4 * 3 * 64).reshape(4, 3, 8, 8) / 768
    masks = torch.arange(4 * 64).reshape(4, 8, 8) / 256
    scene = replace(scene, images=images, masks=masks, weights=torch.tensor([1, 0.9, 0.8, 0.7]))
    pixels = pixels_at(scene, torch.tensor([2]), torch.tensor([5]), torch.tensor([1]))
    assert torch.equal(pixels.colours[0], images[2, :, 1, 5])
    assert pixels.masks.tolist() == [[(2 * 64 + 8 + 5) / 256]]
    assert pixels.weights.item() == scene.weights[2]
    # Through the middle of the pixel: 5.5 - 4 to the right and 1.5 - 4 down, at the focal length 8.8.
    forward, right = -scene.cameras[2, :3, 2].float(), scene.cameras[2, :3, 0].float()
    ahead = pixels.rays.directions[0] @ forward
    close(pixels.rays.directions[0] @ right / ahead, torch.tensor(1.5 / 8.8), 1e-5)


def test_a_ray_meets_the_ball_where_the_mask_says_so():
    scene = ball_scene()
    pixels = random_pixels(scene, 500, 0, torch.Generator().manual_seed(0))
    nearest = pixels.rays.points((pixels.rays.near + pixels.rays.far) / 2)[:, 0].norm(dim=-1)
    assert torch.equal(nearest < 0.4, pixels.masks[:, 0] == 1)
    assert 0.1 < pixels.masks.mean() < 0.6


def test_chance_is_the_generators_and_the_object_is_drawn_as_often_as_asked():
    scene = ball_scene()
    first, again, other = (random_pixels(scene, 50, 30, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first.rays.directions, again.rays.directions)
    assert not torch.equal(first.rays.directions, other.rays.directions)
    assert len(first) == 80
    assert (first.masks[50:] == 1).all()
    assert (first.masks[:50] == 0).any()


def test_held_out_views_are_never_drawn():
    scene = ball_scene(held_out=(1, 4))
    pixels = random_pixels(scene, 400, 100, torch.Generator().manual_seed(0))
    origins = {tuple(each) for each in pixels.rays.origins.tolist()}
    assert origins == {tuple(scene.cameras[i, :3, 3].float().tolist()) for i in (0, 2, 3, 5)}
