"""Solvers by name: diffusers' schedulers, set up for a network that predicts noise.

Enters: a network's schedule and the wanted steps. Leaves: a scheduler ready for
:func:`viewfusion.fusion.sample`. One scheduler serves one view: multistep solvers remember.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

# Name -> class of diffusers, and what it is told beside the network's schedule. All end at noise 0 but
# DDIM, which keeps the convention that Zero123's own sampler has.
_SOLVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"timestep_spacing": "leading"}),
    "dpm++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}),
    "dpm++-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "ddim-reference": ("DDIMScheduler", {"timestep_spacing": "leading"}),
}
SOLVERS = tuple(_SOLVERS)

DRAWS_ITS_OWN_NOISE = ("euler-ancestral",)
"""Solvers that take a generator and no step noise: one draw a step, shared by all references."""


SPACINGS = ("timesteps", "karras")
"""Where the steps lie: evenly in the timesteps, or dense at low noise (Karras et al. 2022, equation 5)."""

SPACED = ("dpm++", "dpm++-sde", "unipc", "euler")
"""Solvers that take "karras"."""

LEAPING = ("dpm++", "dpm++-sde", "euler")
"""Solvers that take a leap."""


def make_scheduler(
    solver: str,
    scheduler_config: Mapping[str, Any],
    num_inference_steps: int,
    spacing: str = "timesteps",
    leap_sigma: float = 0.0,
) -> Any:
    """A diffusers scheduler with its timesteps set.

    Args:
        solver: "ddim"; "dpm++" (DPM-Solver++ 2M) or "dpm++-sde" (its stochastic form); "unipc" (UniPC of
            second order); "euler"; "euler-ancestral" (its stochastic form); "ddim-reference" (DDIM on the
            timesteps of the released ViewFusion code, see :func:`reference_timesteps`).
        scheduler_config: :attr:`viewfusion.zero123.Zero123.scheduler_config`.
        num_inference_steps: as asked for; exactly so many are run, except by "ddim-reference".
        spacing: one of :data:`SPACINGS`.
        leap_sigma: where not 0, see :func:`leaping_timesteps`; with "karras" and :data:`LEAPING` only.

    Raises:
        ValueError: an unknown solver or spacing, or a spacing or leap that the solver cannot have.
    """
    import diffusers

    if solver not in _SOLVERS:
        raise ValueError(f"unknown solver {solver!r}; known: {', '.join(SOLVERS)}")
    if spacing != "timesteps" and not (spacing == "karras" and solver in SPACED):
        raise ValueError(f"{solver} has no spacing {spacing!r}")
    if leap_sigma and not can_leap(solver, spacing):
        raise ValueError(f"{solver} with spacing {spacing!r} cannot leap")
    name, options = _SOLVERS[solver]
    # Trailing: start at the noisiest timestep, where x_T is pure noise, however few the steps.
    settings = {"timestep_spacing": "trailing", **options}
    if spacing == "karras" and not leap_sigma:
        # The last noise but one is the network's least; trailing timesteps would stop short of it.
        settings |= {"use_karras_sigmas": True, "timestep_spacing": "linspace"}
    scheduler = getattr(diffusers, name).from_config(dict(scheduler_config), **settings)
    if leap_sigma:
        scheduler.set_timesteps(
            timesteps=leaping_timesteps(scheduler.alphas_cumprod, num_inference_steps, leap_sigma)
        )
    else:
        scheduler.set_timesteps(num_inference_steps)
    if solver == "ddim-reference":
        scheduler.timesteps = reference_timesteps(num_inference_steps)
    return scheduler


def scheduler_of(sampling: Any, scheduler_config: Mapping[str, Any]) -> Any:
    """:func:`make_scheduler` by a settled :class:`viewfusion.config.SamplingConfig`."""
    return make_scheduler(
        sampling.solver, scheduler_config, sampling.num_inference_steps, sampling.spacing, sampling.leap_sigma
    )


def can_leap(solver: str, spacing: str) -> bool:
    """Whether the first step of this solver may go where ``leap_sigma`` says."""
    return spacing == "karras" and solver in LEAPING


def leaping_timesteps(alphas_cumprod: torch.Tensor, num_inference_steps: int, leap_sigma: float) -> list[int]:
    """The noisiest timestep, then those from noise ``leap_sigma`` down, spaced as by "karras".

    The first step then leads from pure noise to the mean of what the network expects, the others give that
    its details. A weak network knows more of an object's shape from what it is told than from noise that is
    half gone, which it takes for a shape. sigma is the noise beside latents of their own size,
    sqrt(1 / alphas_cumprod - 1).
    """
    sigmas = (1 / alphas_cumprod.double() - 1).sqrt().numpy()
    ends = np.clip(leap_sigma, sigmas[0], sigmas[-2]) ** (1 / 7), sigmas[0] ** (1 / 7)
    wanted = np.linspace(*ends, num_inference_steps - 1) ** 7
    rising = np.abs(np.log(sigmas) - np.log(wanted[::-1, None])).argmin(1)
    # As many as asked for, each once: where two fall together the noisier one goes up.
    place = np.arange(len(rising))
    rising = np.maximum.accumulate(rising - place) + place
    # And below the noisiest, which comes before them.
    rising = np.minimum(rising, len(sigmas) - 1 - len(rising) + place)
    return [len(sigmas) - 1, *map(int, rising[::-1])]


def reference_timesteps(num_inference_steps: int, num_train_timesteps: int = 1000) -> torch.Tensor:
    """The released code's DDIM timesteps: ``range(0, 1000, 1000 // S) + 1`` without the noisiest, descending.

    So 75 steps are 76, from 976 down to 1. The step size DDIM takes, 1000 // S, fits them.
    """
    every = np.arange(0, num_train_timesteps, num_train_timesteps // num_inference_steps) + 1
    return torch.from_numpy(every[:-1][::-1].copy())
