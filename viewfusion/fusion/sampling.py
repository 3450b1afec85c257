"""The sampling loop: an ordinary solver around the fused denoiser.

Enters: a denoiser callable, a diffusers-style scheduler with its timesteps set, starting noise. Leaves:
clean latents. The loop knows nothing of references; any denoiser works, closed forms included.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(latents (1, 4, h, w), timestep) -> predicted noise (1, 4, h, w)``."""


def sample(
    denoiser: Denoiser,
    scheduler: Any,
    noise: torch.Tensor,
    step_noise: Callable[[], torch.Tensor],
    eta: float = 1.0,
    on_step: Callable[[int, int], None] | None = None,
) -> torch.Tensor:
    """Denoise ``noise`` with ``scheduler``.

    Args:
        denoiser: see :data:`Denoiser`.
        scheduler: a diffusers scheduler after ``set_timesteps``; not shared with another sample under way.
        noise: (1, 4, h, w) standard normal.
        step_noise: gives the next (1, 4, h, w) step noise; called once a step by solvers that use any.
        eta: stochasticity of DDIM (0 = deterministic ODE); other solvers have none or their own.
        on_step: called with (steps done, steps in all).

    Returns:
        (1, 4, h, w) scaled latents.
    """
    latents = noise * scheduler.init_noise_sigma
    accepted = inspect.signature(scheduler.step).parameters
    options: dict[str, Any] = {"eta": eta} if "eta" in accepted else {}
    stochastic = "variance_noise" in accepted and (eta > 0 or "eta" not in accepted)
    total = len(scheduler.timesteps)
    for done, timestep in enumerate(scheduler.timesteps, start=1):
        predicted = denoiser(scheduler.scale_model_input(latents, timestep), timestep)
        if stochastic:
            options["variance_noise"] = step_noise()
        latents = scheduler.step(predicted, timestep, latents, **options).prev_sample
        if on_step:
            on_step(done, total)
    return latents
