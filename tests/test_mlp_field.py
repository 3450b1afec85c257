"""The paper's networks are those recorded from the original, and begin as a ball."""

from __future__ import annotations

import math

import pytest
import torch
from neus import CONFIG, GOLDEN, close, golden, golden_field
from torch.nn.functional import normalize

from viewfusion.reconstruction.fields import Deviation
from viewfusion.reconstruction.mlp_field import MlpField, NormedLinear, encode


@pytest.mark.parametrize(("width", "features", "file"), [(256, 256, "full"), (48, 32, "tiny")])
def test_names_and_shapes_are_the_recorded_ones(width, features, file):
    ours = {
        f"{name}\t{tuple(value.shape)}".replace(" ", "")
        for name, value in MlpField(width, features).state_dict().items()
    }
    theirs = (GOLDEN / f"keys_{file}.txt").read_text().replace(" ", "").split("\n")
    assert ours == {line for line in theirs if line}


def test_the_full_size_is_the_recorded_one():
    assert sum(value.numel() for value in MlpField().parameters()) == CONFIG["full_size_params"] == 802491


def test_points_have_the_recorded_values():
    field, points = golden_field(), golden()["points"]
    towards = -normalize(golden()["points_normal_raw"], dim=-1)  # seen from straight above the surface
    surface = field.surface(points, towards)
    close(field.sdf(points), golden()["points_sdf"])
    close(surface.sdf, golden()["points_sdf"])
    close(surface.gradients, golden()["points_normal_raw"])
    close(surface.colours, golden()["points_vertex_rgb"])


def test_it_begins_as_about_a_ball():
    """Shallower in the middle, where Softplus is no ReLU; and random layers keep lengths only so well."""
    torch.manual_seed(0)
    fields = [MlpField() for _ in range(6)]
    directions = normalize(torch.randn(100, 3), dim=-1)
    for radius, low, high in ((0.2, -0.35, -0.1), (0.5, -0.1, 0.1), (0.8, 0.2, 0.4)):
        means = [field.sdf(radius * directions).mean().item() for field in fields]
        assert low < sum(means) / 6 < high
    lengths = [field.surface(0.5 * directions, directions).gradients.norm(dim=-1).mean() for field in fields]
    assert sum(lengths).item() / 6 == pytest.approx(1, abs=0.2)


def test_gradients_are_differences():
    field, points = golden_field().double(), golden()["points"][:8].double()
    gradients = field.surface(points, points).gradients
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[axis] = 1e-6
        slope = (field.sdf(points + step) - field.sdf(points - step)) / 2e-6
        close(slope[:, 0], gradients[:, axis], 1e-6)


def test_nothing_is_kept_where_gradients_are_off_and_no_points_are_fine():
    field, points = golden_field(), golden()["points"]
    with torch.no_grad():
        surface = field.surface(points, points)
    assert not any(part.requires_grad for part in vars(surface).values())
    learning = field.surface(points, points)
    assert all(part.requires_grad for part in vars(learning).values())
    close(surface.colours, learning.colours, 1e-6)
    assert field.surface(points[:0], points[:0]).colours.shape == (0, 3)


def test_gradients_flow_to_points_that_want_them():
    points = golden()["points"][:4].clone().requires_grad_()
    golden_field().surface(points, points.detach()).colours.sum().backward()
    assert points.grad.abs().sum() > 0


def test_waves_by_hand():
    out = encode(torch.tensor([[math.pi / 2, 0.0, math.pi]]), 2)
    sine, cosine, sine_2, cosine_2 = [1, 0, 0], [0, 1, -1], [0, 0, 0], [-1, 1, 1]
    close(out, torch.tensor([[math.pi / 2, 0, math.pi, *sine, *cosine, *sine_2, *cosine_2]]), 1e-6)


def test_a_normed_layer_computes_the_weight_it_was_given():
    layer = NormedLinear(2, 1)
    layer.set(torch.tensor([[3.0, 4.0]]), 0.5)
    assert layer.weight_g.item() == pytest.approx(5)
    assert layer(torch.tensor([[1.0, 2.0]])).item() == pytest.approx(11.5)


@pytest.mark.parametrize(("v", "expected"), [(0.3, math.exp(3)), (9.0, 1e6), (-9.0, 1e-6)])
def test_the_deviation_is_the_exponential_within_bounds(v, expected):
    assert Deviation(v)().item() == pytest.approx(expected, rel=1e-5)
