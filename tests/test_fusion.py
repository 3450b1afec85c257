"""The fused denoiser and the sampling loop, on closed-form denoisers: identities, counts, known answers."""

from __future__ import annotations

import pytest
import torch

from viewfusion.fusion import Conditions, FusedDenoiser, ViewNoise, fuse, view_generator
from viewfusion.solvers import SOLVERS, make_scheduler
from viewfusion.zero123 import Conditioned

SHAPE = (4, 8, 8)
STOCHASTIC = ("dpm++-sde", "euler-ancestral")


def bent(latents, timestep, rows):
    """A nonlinear "network" in closed form; row n depends on row n alone, zeros give a prediction too."""
    return torch.tanh(latents + rows.stem + rows.values.mean((1, 2))[:, None, None, None]) + 0.1 * latents


def nothing_and(values, stem):
    """Rows of a network that is told of nothing by zeros."""
    return Conditioned(
        torch.cat([torch.zeros_like(values[:1]), values]), torch.cat([torch.zeros_like(stem[:1]), stem])
    )


def conditions(references=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(references, generator=generator, dtype=torch.float64)
    rows = nothing_and(
        torch.randn((references, 1, 5), generator=generator),
        torch.randn((references, *SHAPE), generator=generator),
    )
    return Conditions(rows, (weights / weights.sum()).tolist())


def test_one_reference_without_guidance_is_the_network_itself():
    told = conditions(1)
    latents = torch.randn(1, *SHAPE)
    predicted = FusedDenoiser(bent, told, guidance_scale=1.0)(latents, 10)
    torch.testing.assert_close(predicted, bent(latents, 10, told.rows[1:]))


@pytest.mark.parametrize("references", [1, 3, 25])
def test_a_step_costs_one_evaluation_per_reference_and_one_more(references):
    rows = []

    def counting(latents, timestep, told):
        rows.append(len(told))
        assert len(latents) == 1
        return bent(latents, timestep, told)

    denoiser = FusedDenoiser(counting, conditions(references))
    denoiser(torch.zeros(1, *SHAPE), 500)
    denoiser(torch.zeros(1, *SHAPE), 400)
    assert rows == [references + 1, references + 1]
    assert denoiser.evaluations == 2 * (references + 1)


def test_sharing_the_unconditional_branch_equals_guiding_each_reference(scheduler_config):
    """Identity 1: the unconditional prediction is the same for every reference."""
    told, latents, scale = conditions(4), torch.randn(1, *SHAPE), 3.0
    guided = []
    for n in range(1, 5):
        positive = bent(latents, 7, told.rows[[n]])
        negative = bent(latents, 7, told.rows[[0]])
        guided.append(negative + scale * (positive - negative))
    expected = fuse(torch.cat(guided), torch.tensor(told.weights, dtype=torch.float32))
    torch.testing.assert_close(FusedDenoiser(bent, told, scale)(latents, 7), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("timestep", "scale", "rows"), [(199, 1, 3), (200, 3, 4), (400, 3, 4), (600, 3, 4), (601, 1, 3)]
)
def test_outside_its_interval_there_is_no_guidance_and_no_unconditional_row(timestep, scale, rows):
    told, latents = conditions(3), torch.randn(1, *SHAPE)
    denoiser = FusedDenoiser(bent, told, 3.0, guided=(200, 600))
    expected = FusedDenoiser(bent, told, scale)(latents, timestep)
    assert torch.equal(denoiser(latents, torch.tensor(timestep)), expected)
    assert denoiser.evaluations == rows


def test_every_so_many_th_step_goes_through_the_deep_levels():
    lights, told = [], conditions(2)

    def noting(latents, timestep, rows):
        lights.append((rows.light, len(rows)))
        return bent(latents, timestep, rows)

    denoiser = FusedDenoiser(noting, told, 3.0, guided=(0, 500), reuse_steps=3)
    for timestep in (900, 800, 700, 600, 500, 400, 300, 200):
        denoiser(torch.zeros(1, *SHAPE), timestep)
    # At 500 guidance begins, and nothing is known of the unconditional row; so is it at 400.
    whole_and_light = [False, True, True, False, False, True, False, True]
    assert [light for light, _ in lights] == whole_and_light
    assert [rows for _, rows in lights] == [2, 2, 2, 2, 3, 3, 3, 3]
    assert (denoiser.evaluations, denoiser.light_evaluations) == (20, 2 + 2 + 3 + 3)
    plain = FusedDenoiser(noting, told, 3.0)
    plain(torch.zeros(1, *SHAPE), 900)
    assert lights[-1] == (False, 3)
    assert plain.rows.kept == ()


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in STOCHASTIC])
def test_fusing_before_a_step_equals_fusing_after_it(solver, scheduler_config):
    """Identity 2: a solver step is affine in the predicted noise. Two steps, so multistep solvers count."""
    told, latents = conditions(3), torch.randn(1, *SHAPE)
    weights = torch.tensor(told.weights, dtype=torch.float32)
    fused = make_scheduler(solver, scheduler_config, 20)
    apart = [make_scheduler(solver, scheduler_config, 20) for _ in range(3)]
    before = after = latents
    for timestep in fused.timesteps[:4]:
        scaled = fused.scale_model_input(before, timestep)
        each = bent(scaled, timestep, told.rows[1:])
        stepped = [s.step(each[n : n + 1], timestep, after).prev_sample for n, s in enumerate(apart)]
        after = fuse(torch.cat(stepped), weights)
        before = fused.step(fuse(each, weights), timestep, before).prev_sample
        torch.testing.assert_close(before, after, atol=2e-5, rtol=1e-5)


def test_noise_depends_on_seed_and_view_alone():
    def draws(seed, view):
        noise = ViewNoise(view_generator(seed, view), SHAPE)
        return torch.cat([noise.initial(), noise.step()])

    assert torch.equal(draws(0, 3), draws(0, 3))
    for other in [(0, 4), (1, 3), (1, 2), (3, 0)]:
        assert not torch.equal(draws(0, 3), draws(*other))


def test_independent_noise_loses_the_variance_that_averaging_takes():
    weights = [0.5, 0.3, 0.2]
    noise = ViewNoise(view_generator(0, 0), (4, 64, 64), weights, "independent")
    drawn = torch.cat([noise.step() for _ in range(20)])
    assert drawn.var().item() == pytest.approx(0.25 + 0.09 + 0.04, rel=0.02)
    assert noise.initial().var().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("weights", [[0.5, 0.4], [0.5, 0.25, 0.25]])
def test_conditions_refuse_what_does_not_fit(weights):
    with pytest.raises(ValueError, match=r"sum to 1|one row per reference"):
        Conditions(nothing_and(torch.zeros(2, 1, 5), torch.zeros(2, *SHAPE)), weights)
