"""The sampling loop: an ordinary solver around the fused denoiser.

Enters: a diffusers-style scheduler with its timesteps set, starting noise. Leaves: clean latents. On the way
it asks for predictions, and knows nothing of references or of who answers: :func:`sample` has any denoiser do
so, closed forms included; :func:`~.questions.together` lets several loops share the network's calls.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from .noise import NoiseSource
from .questions import Asking, answered

Denoiser = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""``(latents (rows, 4, h, w), timestep) -> predicted noise (rows, 4, h, w)``; rows are 1 but in a variant."""

AfterStep = Callable[[int, torch.Tensor, torch.Tensor], "torch.Tensor | None"]
"""``(steps done, timestep, latents (rows, 4, h, w)) ->`` other latents to go on with, or None."""

Asker = Callable[[torch.Tensor, torch.Tensor], Asking[torch.Tensor]]
"""A denoiser that does not answer by itself: it asks what it needs to know, and ends with its prediction."""


def as_it_is(latents: torch.Tensor, timestep: torch.Tensor) -> Asking[torch.Tensor]:
    """Asks for the prediction itself."""
    return (yield latents, timestep)


def sample(
    denoiser: Denoiser,
    scheduler: Any,
    noise: NoiseSource,
    eta: float = 1.0,
    after_step: AfterStep | None = None,
) -> torch.Tensor:
    """:func:`sampling` with ``denoiser`` there to answer."""
    return answered(sampling(as_it_is, scheduler, noise, eta, after_step), denoiser)


def sampling(
    asker: Asker,
    scheduler: Any,
    noise: NoiseSource,
    eta: float = 1.0,
    after_step: AfterStep | None = None,
) -> Asking[torch.Tensor]:
    """Denoise ``noise.initial()`` with ``scheduler``.

    Args:
        asker: what is asked for a prediction at each step; see :data:`Asker`.
        scheduler: a diffusers scheduler after ``set_timesteps``; not shared with another sample under way.
        noise: where the starting noise comes from, and each step's, for solvers that use any.
        eta: stochasticity of DDIM (0 = deterministic ODE); other solvers have none or their own.
        after_step: see :data:`AfterStep`.

    Returns:
        (rows, 4, h, w) scaled latents, as many rows as ``noise`` starts with.
    """
    latents = noise.initial() * scheduler.init_noise_sigma
    accepted = inspect.signature(scheduler.step).parameters
    options: dict[str, Any] = {"eta": eta} if "eta" in accepted else {}
    # A solver of two forms takes noise in both, and looks at it in one.
    form = scheduler.config.get("algorithm_type", "sde")
    stochastic = "variance_noise" in accepted and (eta > 0 if "eta" in accepted else form.startswith("sde"))
    if "generator" in accepted and "variance_noise" not in accepted:
        # The solver draws for itself, by twins so that every row gets the same.
        options["generator"] = [noise.generator.clone_state() for _ in latents]
    for done, timestep in enumerate(scheduler.timesteps, start=1):
        predicted = yield from asker(scheduler.scale_model_input(latents, timestep), timestep)
        if stochastic:
            options["variance_noise"] = noise.step()
        latents = scheduler.step(predicted, timestep, latents, **options).prev_sample
        replaced = after_step(done, timestep, latents) if after_step else None
        latents = latents if replaced is None else replaced
    return latents
