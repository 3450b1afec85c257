"""Rendering is what the original recorded, and what a ball must look like."""

from __future__ import annotations

import math

import pytest
import torch
from neus import CONFIG, Ball, close, golden, golden_field, golden_rays

from viewfusion.geometry import Pose, camera_to_world
from viewfusion.reconstruction.fields import Surface
from viewfusion.reconstruction.rays import rays_from
from viewfusion.reconstruction.rendering import (
    render,
    render_view,
    section_lengths,
    section_opacities,
    section_weights,
)


@pytest.mark.parametrize(("mode", "ratio"), [("eval", 1.0), ("train", CONFIG["step"] / CONFIG["anneal_end"])])
def test_a_batch_has_the_recorded_values(mode, ratio):
    rendered = render(golden_field(), golden_rays(), golden()[f"{mode}_z_vals"], ratio)
    close(rendered.rgb, golden()[f"{mode}_rgb"])
    close(rendered.mask, golden()[f"{mode}_mask"])
    close(rendered.normals, golden()[f"{mode}_normal"])
    close(rendered.gradient_error, golden()[f"{mode}_gradient_error"])
    assert torch.equal(rendered.inner_mask, golden()[f"{mode}_inner_mask"])


def along_x(count=1, y=0.0):
    """Rays from (2, y, 0) to -x."""
    return rays_from(torch.tensor([[2.0, y, 0.0]] * count), torch.tensor([[-1.0, 0.0, 0.0]] * count))


def even(rays, count=401):
    return rays.near + (rays.far - rays.near) * torch.linspace(0, 1, count)


def test_a_ball_is_met_where_it_is_and_hides_its_back():
    rays = along_x()
    rendered = render(Ball(), rays, even(rays))
    close(rendered.mask, torch.ones(1, 1), 1e-3)
    close(rendered.rgb, torch.tensor([[0.8, 0.4, 0.2]]), 1e-3)
    close(rendered.normals, torch.tensor([[1.0, 0, 0]]), 1e-3)
    assert rendered.depth.item() == pytest.approx(1.6, abs=0.005)
    assert rendered.weights[0].argmax() == (even(rays)[0] - 1.6).abs().argmin() - 1


# What the 1e-5 in the opacity of an empty section adds up to over 400 of them.
HAZE = 5e-3


def test_a_ray_past_it_shows_the_background_and_ends_far():
    rays = along_x(y=0.5)
    for background in (1.0, 0.25):
        rendered = render(Ball(), rays, even(rays), background=background)
        close(rendered.rgb, torch.full((1, 3), background), HAZE)
        assert rendered.mask.item() < HAZE
        assert rendered.depth.item() == pytest.approx(rays.far.item(), abs=1e-2)


def test_what_lies_outside_the_cube_is_not_seen():
    rays = along_x()
    outside = Ball(radius=0.1, centre=(0.75, 0.0, 0.0))
    assert render(outside, rays, even(rays)).mask.item() == pytest.approx(0, abs=HAZE)
    assert render(outside, rays, even(rays), half_side=0.86).mask.item() == pytest.approx(1, abs=1e-3)


def test_sections_not_wanted_are_empty_and_not_asked():
    rays = along_x(2)
    z_vals = even(rays)
    wanted = torch.ones_like(z_vals, dtype=torch.bool)
    wanted[1] = False
    rendered = render(Ball(), rays, z_vals, wanted=wanted)
    assert rendered.inner_mask[0].any()
    assert not rendered.inner_mask[1].any()
    close(rendered.mask, torch.tensor([[1.0], [0.0]]), 1e-4)
    nothing = render(Ball(), rays, z_vals, wanted=torch.zeros_like(wanted))
    assert torch.equal(nothing.rgb, torch.ones(2, 3))


def test_an_opacity_by_hand():
    # A plane met head on, its middle on the surface: the ends are half the length in front and behind.
    surface = Surface(torch.zeros(1, 1), torch.tensor([[1.0, 0, 0]]), torch.zeros(1, 3))
    sigmoid = [1 / (1 + math.exp(-each)) for each in (0.5, -0.5)]  # 0.2 / 2 x 5
    expected = (sigmoid[0] - sigmoid[1] + 1e-5) / (sigmoid[0] + 1e-5)
    given = (torch.tensor([[-1.0, 0, 0]]), torch.tensor([[0.2]]), torch.tensor(5.0))
    assert section_opacities(surface, *given, 1.0).item() == pytest.approx(expected, rel=1e-5)
    # cos = -1 both ways of counting it; going out, cos = 1, only the first counts and is 0 as well.
    assert section_opacities(surface, *given, 0.0).item() == pytest.approx(expected, rel=1e-5)
    out = section_opacities(surface, -given[0], *given[1:], 0.0)
    assert out.item() == pytest.approx(1e-5 / (0.5 + 1e-5), rel=1e-4)
    # Across, cos = 0: half as steep at first, not at all in the end.
    across = torch.tensor([[0.0, 1.0, 0.0]])
    assert section_opacities(surface, across, *given[1:], 1.0).item() == pytest.approx(2e-5, rel=1e-3)
    assert section_opacities(surface, across, *given[1:], 0.0).item() > 0.2


def test_weights_by_hand():
    weights = section_weights(torch.tensor([[0.5, 0.5, 1.0, 0.3]]))
    close(weights, torch.tensor([[0.5, 0.25, 0.25, 0.0]]), 1e-6)


def test_the_last_section_is_as_long_as_the_one_before():
    assert section_lengths(torch.tensor([[1.0, 2.0, 5.0]])).tolist() == [[1, 3, 3]]


def test_everything_is_learned_from_the_picture():
    field = golden_field()
    rendered = render(field, golden_rays(), golden()["train_z_vals"], 0.25)
    rendered.rgb.sum().backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in field.parameters())


def test_a_view_of_a_ball_is_a_disc():
    size = 24
    camera = torch.from_numpy(camera_to_world(Pose(0.7, 0.4, 1.5)))
    matrix = torch.tensor([[26.0, 0, 12], [0, 26.0, 12], [0, 0, 1]])
    field = Ball()
    picture = render_view(
        lambda rays: render(field, rays, even(rays)), camera, matrix, (size, size), rays_at_once=100
    )
    # The cone that touches the ball has the sine 0.4 / 1.5.
    radius = 26 * math.tan(math.asin(0.4 / 1.5))
    offset = torch.arange(size) + 0.5 - 12
    distance = (offset[:, None] ** 2 + offset[None] ** 2).sqrt()
    assert (picture["mask"][0][distance < radius - 0.3] > 0.95).all()
    assert (picture["mask"][0][distance > radius + 0.3] < 0.05).all()
    assert picture["rgb"].shape == (3, size, size)
    close(picture["normals"][:, 12, 12], camera[:3, 2].float(), 0.1)
    assert picture["depth"][0, 12, 12].item() == pytest.approx(1.1, abs=0.01)
