"""Losses and their gradients are those recorded from the original, whole and in parts."""

from __future__ import annotations

import math

import pytest
import torch
from neus import close, golden, golden_field, golden_rays

from viewfusion.reconstruction.losses import Terms, colour_loss, eikonal_loss, mask_loss, sections_asked
from viewfusion.reconstruction.pixels import Pixels
from viewfusion.reconstruction.rendering import render

RECORDED = {"colour": "loss_rendering", "eikonal": "loss_eikonal", "mask": "loss_mask", "total": "loss"}


def seen(weight=1.0):
    colours, masks = golden()["batch_rgb"], golden()["batch_mask"]
    return Pixels(golden_rays(), colours, masks, torch.full((24, 1), weight))


@pytest.mark.parametrize(("mode", "ratio"), [("eval", 1.0), ("train", 0.25)])
def test_losses_are_the_recorded_ones(mode, ratio):
    rendered = render(golden_field(), golden_rays(), golden()[f"{mode}_z_vals"], ratio)
    losses = Terms().of(rendered, seen())
    for ours, theirs in RECORDED.items():
        close(losses[ours], golden()[f"{mode}_{theirs}"])


@pytest.mark.parametrize("rays_at_once", [24, 7])
def test_gradients_are_the_recorded_ones_in_parts_too(rays_at_once):
    field, z_vals, pixels = golden_field(), golden()["train_z_vals"], seen()
    asked, total = sections_asked(golden()["train_inner_mask"]), 0.0
    for at in range(0, 24, rays_at_once):
        part = slice(at, at + rays_at_once)
        rendered = render(field, pixels.rays[part], z_vals[part], 0.25)
        loss = Terms().of(rendered, pixels[part], 24, asked)["total"]
        loss.backward()
        total += loss.item()
    assert total == pytest.approx(golden()["train_loss"].item(), abs=1e-4)
    recorded = [name for name in golden() if name.startswith("grad_")]
    assert len(recorded) == 4
    for name in recorded:
        close(field.get_parameter(name.removeprefix("grad_")).grad, golden()[name])


def test_each_by_hand():
    rgb, truth = torch.tensor([[0.3, 0.0, 0.4], [0.0, 0.0, 0.0]]), torch.zeros(2, 3)
    expected = (math.sqrt(0.251), math.sqrt(0.001))
    assert colour_loss(rgb, truth).item() == pytest.approx(sum(expected) / 2)
    weights = torch.tensor([[0.5], [1.0]])
    assert colour_loss(rgb, truth, weights).item() == pytest.approx((expected[0] / 2 + expected[1]) / 2)
    assert mask_loss(torch.tensor([[0.5], [1.0]]), torch.tensor([[1.0], [1.0]])).item() == pytest.approx(
        0.125
    )
    error, inner = torch.tensor([[4.0, 1.0], [7.0, 1.0]]), torch.tensor([[True, True], [False, True]])
    assert eikonal_loss(error, inner).item() == pytest.approx(6 / 3.00004, rel=1e-6)


def test_a_view_trusted_half_counts_half_in_its_colour_only():
    rendered = render(golden_field(), golden_rays(), golden()["eval_z_vals"])
    whole, half = Terms().of(rendered, seen()), Terms().of(rendered, seen(0.5))
    assert half["colour"].item() == pytest.approx(whole["colour"].item() / 2)
    assert torch.equal(half["mask"], whole["mask"])
    assert torch.equal(half["eikonal"], whole["eikonal"])


def test_nothing_in_the_cube_is_no_loss_and_no_error():
    assert eikonal_loss(torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.bool)).item() == 0
