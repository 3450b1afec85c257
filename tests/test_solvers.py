"""Every solver on data whose answer is known in closed form."""

from __future__ import annotations

import pytest
import torch

from viewfusion.fusion import ViewNoise, sample, view_generator
from viewfusion.solvers import (
    LEAPING,
    SOLVERS,
    SPACED,
    SPACINGS,
    leaping_timesteps,
    make_scheduler,
    reference_timesteps,
)

SHAPE = (4, 64, 64)
STOCHASTIC = ("dpm++-sde", "euler-ancestral")
DETERMINISTIC = tuple(name for name in SOLVERS if name not in STOCHASTIC)
MEAN, SPREAD = 0.7, 0.5


class CountedNoise(ViewNoise):
    """Says how often a step's noise was asked for."""

    steps = 0

    def step(self):
        self.steps += 1
        return super().step()


def noise(seed=0, shape=SHAPE):
    return CountedNoise(view_generator(seed, 1), shape)


def run(solver, steps, config, seed=0, eta=0.0, spacing="timesteps"):
    """A sample of N(MEAN, SPREAD^2), whose best denoiser has a closed form, and its scheduler."""
    scheduler = make_scheduler(solver, config, steps, spacing)

    def denoiser(latents, timestep):
        alpha = scheduler.alphas_cumprod[round(float(timestep))]
        variance = alpha * SPREAD**2 + 1 - alpha
        return (latents - alpha.sqrt() * MEAN) * (1 - alpha).sqrt() / variance

    return sample(denoiser, scheduler, noise(seed), eta), scheduler


@pytest.mark.parametrize("solver", DETERMINISTIC)
def test_more_steps_come_closer_to_the_exact_flow(solver, scheduler_config):
    """Along the probability-flow ODE (x - sqrt(a) mean) / deviation stays what it is."""
    errors = []
    for steps in (10, 160):
        found, scheduler = run(solver, steps, scheduler_config)
        alpha = scheduler.alphas_cumprod[int(scheduler.timesteps[0])]
        place = (noise().initial() - alpha.sqrt() * MEAN) / (alpha * SPREAD**2 + 1 - alpha).sqrt()
        errors.append((found - (MEAN + SPREAD * place)).abs().mean().item())
    assert errors[1] < 0.011
    assert errors[1] < errors[0] / 6


@pytest.mark.parametrize("solver", SPACED)
def test_karras_spacing_goes_down_to_the_least_noise(solver, scheduler_config):
    """Of 15 even steps the last but one is at 0.27; by Karras it is at that of timestep 0, 0.029."""
    least = (0.00085 / (1 - 0.00085)) ** 0.5
    for spacing, last in (("timesteps", 0.265), ("karras", least)):
        scheduler = make_scheduler(solver, scheduler_config, 15, spacing)
        assert len(scheduler.timesteps) == 15
        assert float(scheduler.sigmas[-2]) == pytest.approx(last, rel=0.01)
        assert float(scheduler.sigmas[-1]) == 0
    steps = scheduler.sigmas[:-1] ** (1 / 7)  # rho = 7: even in the seventh root
    assert torch.allclose(steps.diff(), steps.diff().mean().expand(14), rtol=1e-3)


@pytest.mark.parametrize("solver", ["dpm++", "unipc"])
def test_karras_spacing_is_nearer_the_exact_flow_in_few_steps(solver, scheduler_config):
    errors = []
    for spacing in SPACINGS:
        found, scheduler = run(solver, 15, scheduler_config, spacing=spacing)
        alpha = scheduler.alphas_cumprod[999]
        place = (noise().initial() - alpha.sqrt() * MEAN) / (alpha * SPREAD**2 + 1 - alpha).sqrt()
        errors.append((found - (MEAN + SPREAD * place)).abs().mean().item())
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("solver", LEAPING)
def test_a_leap_goes_from_pure_noise_to_where_it_is_told(solver, scheduler_config):
    """And takes the steps asked for, the last from the least noise."""
    sigmas = (1 / make_scheduler("ddim", scheduler_config, 5).alphas_cumprod - 1).sqrt()
    for steps in (2, 6, 400):
        scheduler = make_scheduler(solver, scheduler_config, steps, "karras", leap_sigma=0.35)
        times = [int(time) for time in scheduler.timesteps]
        assert len(times) == steps
        assert times == sorted(set(times), reverse=True)
        assert times[0] == 999
        if steps < 400:
            assert sigmas[times[1]] == pytest.approx(0.35, rel=0.02)
        if steps > 2:
            assert times[-1] == 0
        assert scheduler.sigmas[0] == pytest.approx(float(sigmas[999]), rel=1e-4)
        assert scheduler.sigmas[-1] == 0


@pytest.mark.parametrize("solver", LEAPING)
def test_after_a_leap_a_known_picture_is_found_all_the_same(solver, scheduler_config):
    """A network that knows x0 whatever it sees: every way of stepping ends there."""
    scheduler = make_scheduler(solver, scheduler_config, 5, "karras", leap_sigma=0.5)
    known = torch.linspace(-1, 1, 4 * 64 * 64).view(1, *SHAPE)

    def denoise(latents, timestep):
        alpha = scheduler.alphas_cumprod[int(timestep)]
        return (latents - alpha.sqrt() * known) / (1 - alpha).sqrt()

    assert torch.allclose(sample(denoise, scheduler, noise(), 1.0), known, atol=1e-3)


def test_timesteps_of_a_leap_by_hand():
    """Noises 1, 2, 4, 8: from 8 to 4, then down; where there are as many steps as noises, all of them."""
    sigmas = torch.tensor([1.0, 2.0, 4.0, 8.0])
    alphas = 1 / (sigmas**2 + 1)
    assert leaping_timesteps(alphas, 2, 4.0) == [3, 2]
    assert leaping_timesteps(alphas, 3, 4.0) == [3, 2, 0]
    assert leaping_timesteps(alphas, 4, 1.1) == [3, 2, 1, 0]
    assert leaping_timesteps(alphas, 2, 100.0) == [3, 2]
    assert leaping_timesteps(alphas, 4, 100.0) == [3, 2, 1, 0]


@pytest.mark.parametrize("leap_sigma", [0.2, 10.0, 30.0, 1000.0])
@pytest.mark.parametrize("steps", [2, 715, 740, 1000])
def test_timesteps_of_a_leap_are_the_networks_own_and_each_there_once(steps, leap_sigma, scheduler_config):
    alphas = make_scheduler("ddim", scheduler_config, 50).alphas_cumprod
    timesteps = leaping_timesteps(alphas, steps, leap_sigma)
    assert timesteps[0] == 999
    assert timesteps[-1] >= 0
    assert len(set(timesteps)) == steps
    assert timesteps == sorted(timesteps, reverse=True)


@pytest.mark.parametrize(
    ("solver", "spacing"), [("ddim", "timesteps"), ("unipc", "karras"), ("dpm++", "timesteps")]
)
def test_who_cannot_leap_says_so(solver, spacing, scheduler_config):
    with pytest.raises(ValueError, match="cannot leap"):
        make_scheduler(solver, scheduler_config, 5, spacing, leap_sigma=0.35)


@pytest.mark.parametrize(
    ("solver", "spacing"), [("ddim", "karras"), ("euler-ancestral", "karras"), ("dpm++", "lu")]
)
def test_a_spacing_that_a_solver_cannot_have(solver, spacing, scheduler_config):
    with pytest.raises(ValueError, match=f"has no spacing '{spacing}'"):
        make_scheduler(solver, scheduler_config, 5, spacing)


@pytest.mark.parametrize("solver", STOCHASTIC)
def test_stochastic_solvers_sample_the_distribution(solver, scheduler_config):
    found, _ = run(solver, 160, scheduler_config)
    assert found.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert found.std().item() == pytest.approx(SPREAD, rel=0.05)
    start = noise().initial()
    tie = torch.corrcoef(torch.stack([found.flatten(), start.flatten()]))[0, 1].item()
    assert abs(tie) < 0.1, "the noise of the steps has not taken the place of the starting noise"


def test_ddim_with_eta_samples_the_distribution(scheduler_config):
    found, _ = run("ddim", 200, scheduler_config, eta=1.0)
    assert found.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert found.std().item() == pytest.approx(SPREAD, rel=0.05)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_view_s_noise_decides_its_sample(solver, scheduler_config):
    torch.manual_seed(0)
    first, _ = run(solver, 5, scheduler_config)
    torch.manual_seed(1)
    assert torch.equal(run(solver, 5, scheduler_config)[0], first), "drew from torch's global generator"
    assert not torch.equal(run(solver, 5, scheduler_config, seed=1)[0], first)


@pytest.mark.parametrize("solver", SOLVERS)
def test_sampling_finds_the_image_of_a_perfect_denoiser(solver, scheduler_config):
    """If the network knows the clean latents, every solver arrives there."""
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    scheduler = make_scheduler(solver, scheduler_config, 25)

    def perfect(latents, timestep):
        alpha = scheduler.alphas_cumprod[int(timestep)]
        return (latents - alpha.sqrt() * clean) / (1 - alpha).sqrt()

    found = sample(perfect, scheduler, noise(shape=(4, 8, 8)), eta=0.0)
    # DDIM stops at alphas_cumprod[0], where a noise of standard deviation 0.03 is left.
    torch.testing.assert_close(found, clean, atol=0.15 if "ddim" in solver else 1e-3, rtol=0.0)


@pytest.mark.parametrize("steps", [1, 2, 13, 50, 999])
@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "ddim-reference"])
def test_the_steps_run_are_the_steps_asked_for(solver, steps, scheduler_config):
    seen, asked = [], []
    scheduler = make_scheduler(solver, scheduler_config, steps)

    def denoiser(latents, timestep):
        asked.append(float(timestep))
        return torch.zeros_like(latents)

    found = sample(
        denoiser,
        scheduler,
        noise(shape=(4, 2, 2)),
        after_step=lambda done, t, _: seen.append((done, float(t))),
    )
    assert seen == list(enumerate(asked, start=1))
    assert len(seen) == steps
    assert found.isfinite().all()
    assert all(0 <= t < 1000 and t == int(t) for t in asked), "whole timesteps the network was trained on"
    assert asked == sorted(asked, reverse=True)


@pytest.mark.parametrize(
    ("solver", "eta", "draws"),
    [("ddim", 0.0, 0), ("ddim", 1.0, 5), ("dpm++-sde", 1.0, 5), ("unipc", 1.0, 0), ("euler", 1.0, 0)],
)
def test_noise_is_drawn_only_where_it_is_used(solver, eta, draws, scheduler_config):
    source = noise(shape=(4, 2, 2))
    sample(lambda x, t: torch.zeros_like(x), make_scheduler(solver, scheduler_config, 5), source, eta)
    assert source.steps == draws


def test_seventy_five_reference_steps_are_seventy_six():
    timesteps = reference_timesteps(75)
    assert (len(timesteps), int(timesteps[0]), int(timesteps[-1])) == (76, 976, 1)


def test_an_unknown_solver_is_named_with_the_known_ones(scheduler_config):
    with pytest.raises(ValueError, match=r"'plms'; known: ddim, dpm\+\+"):
        make_scheduler("plms", scheduler_config, 5)


def test_latents_can_be_replaced_after_a_step(scheduler_config):
    scheduler, other = make_scheduler("ddim", scheduler_config, 3), torch.full((1, 4, 2, 2), 5.0)
    told = []

    def denoiser(latents, timestep):
        told.append(latents)
        return torch.zeros_like(latents)

    sample(denoiser, scheduler, noise(shape=(4, 2, 2)), 0.0, lambda done, t, x: other if done == 1 else None)
    assert torch.equal(told[1], other)
    assert not torch.equal(told[2], other)
