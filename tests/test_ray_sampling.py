"""Samples lie where the original put them, and gather at surfaces."""

from __future__ import annotations

import pytest
import torch
from neus import CONFIG, Ball, close, golden, golden_field, golden_rays

from viewfusion.reconstruction.rays import rays_from
from viewfusion.reconstruction.sampling import hierarchical, quantiles


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_positions_are_the_recorded_ones(mode):
    jitter = golden()["train_jitter"] if mode == "train" else None
    numbers = (CONFIG["coarse_sn"], CONFIG["fine_sn"], CONFIG["up_sample_steps"])
    z_vals = hierarchical(golden_field().sdf, golden_rays(), *numbers, jitter)
    close(z_vals, golden()[f"{mode}_z_vals"])


def along_x(y=0.0):
    return rays_from(torch.tensor([[2.0, y, 0.0]]), torch.tensor([[-1.0, 0.0, 0.0]]))


def test_samples_gather_where_a_ball_is_entered():
    z_vals = hierarchical(Ball().sdf, along_x(), 16, 32, 4)[0]
    assert len(z_vals) == 48
    assert (z_vals.diff() >= 0).all()
    assert ((z_vals - 1.6).abs() < 0.06).sum() >= 24
    assert ((z_vals - 2.4).abs() < 0.06).sum() <= 3  # where it is left nothing is to be seen


def test_samples_stay_even_where_nothing_is_met():
    rays = along_x()
    z_vals = hierarchical(Ball(centre=(0.0, 2.0, 0.0)).sdf, rays, 33, 32, 4)
    share = (z_vals - rays.near) / (rays.far - rays.near)
    assert all(15 <= count <= 18 for count in torch.histc(share, 4, 0, 1).tolist())


def test_jitter_shifts_the_even_ones():
    shifted = hierarchical(Ball().sdf, along_x(), 16, 0, 4, torch.tensor([[0.75]]))
    still = hierarchical(Ball().sdf, along_x(), 16, 0, 4)
    close(shifted - still, torch.full((1, 16), 0.25 * 2 / 16), 1e-6)


def test_quantiles_by_hand():
    edges = torch.tensor([[0.0, 1.0, 2.0, 4.0]])
    close(quantiles(edges, torch.tensor([[1.0, 1.0, 2.0]]), 4), torch.tensor([[0.5, 1.5, 2.5, 3.5]]), 1e-3)
    close(quantiles(edges, torch.tensor([[0.0, 1.0, 0.0]]), 2), torch.tensor([[1.25, 1.75]]), 1e-3)
    close(quantiles(edges, torch.zeros(1, 3), 3), torch.tensor([[0.5, 1.5, 3.0]]), 1e-3)


def test_samples_carry_no_gradients():
    assert not hierarchical(golden_field().sdf, golden_rays(), 8, 8, 2).requires_grad
