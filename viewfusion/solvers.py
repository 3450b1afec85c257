"""Solvers by name: diffusers' schedulers, set up for a network that predicts noise.

Enters: a network's schedule and the wanted steps. Leaves: a scheduler ready for
:func:`viewfusion.fusion.sample`. One scheduler serves one view: multistep solvers remember.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

SOLVERS = ("ddim", "dpm++", "ddim-reference")


def make_scheduler(solver: str, scheduler_config: Mapping[str, Any], num_inference_steps: int) -> Any:
    """A diffusers scheduler with its timesteps set.

    Args:
        solver: "ddim"; "dpm++" (DPM-Solver++ 2M, deterministic); "ddim-reference" (DDIM on the timesteps
            of the released ViewFusion code, see :func:`reference_timesteps`).
        scheduler_config: :attr:`viewfusion.zero123.Zero123.scheduler_config`.
        num_inference_steps: as asked for; exactly so many are run, except by "ddim-reference".
    """
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if solver == "dpm++":
        scheduler = DPMSolverMultistepScheduler.from_config(
            dict(scheduler_config), algorithm_type="dpmsolver++", timestep_spacing="trailing"
        )
        scheduler.set_timesteps(num_inference_steps)
        return scheduler
    if solver not in SOLVERS:
        raise ValueError(f"unknown solver {solver!r}; known: {', '.join(SOLVERS)}")
    scheduler = DDIMScheduler.from_config(dict(scheduler_config), timestep_spacing="leading")
    scheduler.set_timesteps(num_inference_steps)
    if solver == "ddim-reference":
        scheduler.timesteps = reference_timesteps(num_inference_steps)
    return scheduler


def reference_timesteps(num_inference_steps: int, num_train_timesteps: int = 1000) -> torch.Tensor:
    """The released code's DDIM timesteps: ``range(0, 1000, 1000 // S) + 1`` without the noisiest, descending.

    So 75 steps are 76, from 976 down to 1. The step size DDIM takes, 1000 // S, fits them.
    """
    every = np.arange(0, num_train_timesteps, num_train_timesteps // num_inference_steps) + 1
    return torch.from_numpy(every[:-1][::-1].copy())
