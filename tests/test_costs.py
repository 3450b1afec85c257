"""What a run will cost: against counts by hand, and what is run."""

from __future__ import annotations

import pytest
import torch
from test_fusion import SHAPE, bent, conditions

from viewfusion import load_config
from viewfusion.costs import LIGHT, Step, costs, guided_interval, steps_of
from viewfusion.fusion import (
    VARIANTS,
    ViewNoise,
    latent_rows,
    make_denoiser,
    sample,
    schedule,
    view_generator,
)
from viewfusion.solvers import scheduler_of

DDIM = ["sampling.solver=ddim", "sampling.spacing=timesteps", "sampling.leap_sigma=0"]
FOUR = ["views=4", "sampling.num_inference_steps=4"]  # targets of 1, 1 and 3; timesteps 751, 501, 251 and 1


def told(scheduler_config, *overrides):
    config = load_config(overrides=[*DDIM, *FOUR, "sampling.guidance_scale=3", *overrides])
    return config, schedule(config.trajectory(), config.rules())


def test_costs_by_hand(scheduler_config):
    config, targets = told(scheduler_config)
    assert costs(config, targets, scheduler_config) == [[2] * 4, [2] * 4, [4] * 4]
    first = targets[0].view
    assert costs(config, targets, scheduler_config, {first}) == [[], [2] * 4, [4] * 4]
    config, targets = told(scheduler_config, "sampling.guidance_high=0.6")
    assert costs(config, targets, scheduler_config) == [[1, 2, 2, 2]] * 2 + [[3, 4, 4, 4]]
    config, targets = told(scheduler_config, "sampling.guidance_scale=1", "fusion.variant=stochastic")
    assert costs(config, targets, scheduler_config) == [[1] * 4] * 3


def test_features_that_last_make_steps_light(scheduler_config):
    """But of a row that was not there at the last whole one nothing is known."""
    config, targets = told(scheduler_config, "sampling.reuse_steps=2")
    assert costs(config, targets, scheduler_config)[2] == pytest.approx([4, 4 * LIGHT] * 2)
    config, targets = told(scheduler_config, "sampling.reuse_steps=2", "sampling.guidance_high=0.6")
    assert steps_of(config, targets, scheduler_config)[2] == [
        Step(3, False), Step(4, False), Step(4, False), Step(4, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "reuse"),
    [*((each, 1) for each in VARIANTS), *((each, 3) for each in VARIANTS if each != "stochastic")],
)
def test_it_is_what_denoisers_ask_for(variant, reuse, scheduler_config):
    limits = ["sampling.guidance_low=0.2", "sampling.guidance_high=0.6", f"sampling.reuse_steps={reuse}"]
    config, targets = told(scheduler_config, *limits, f"fusion.variant={variant}")
    planned = steps_of(config, targets, scheduler_config)[-1]
    count, rows = len(targets[-1].references), []

    def counting(latents, timestep, given):
        rows.append(len(given))
        return bent(latents, timestep, given)

    noise = ViewNoise(view_generator(0, 1), SHAPE, rows=latent_rows(variant, count))
    guided = guided_interval(config.sampling, scheduler_config)
    denoiser = make_denoiser(variant, counting, conditions(count), 3.0, torch.Generator(), guided, reuse)
    sample(denoiser, scheduler_of(config.sampling, scheduler_config), noise)
    assert rows == [step.rows for step in planned]
    assert denoiser.light_evaluations == sum(step.rows for step in planned if step.light)
