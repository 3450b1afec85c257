"""The fused denoiser: one noise prediction out of many reference views (ViewFusion, section 3.2).

Enters: a network as a callable, what it is told of each reference, the weights. Leaves: a callable any
solver can use. It works because a solver step is affine in the predicted noise, so averaging predictions
before one step equals averaging the stepped latents after it; clipping x0 would break that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

Interval = tuple[float, float]
EVERYWHERE: Interval = (0.0, math.inf)
"""Of timesteps, both ends in it."""


class NoisePredictor(Protocol):
    """``(latents (N, 4, h, w), timestep, tokens (N, 1, D), cond_latents (N, 4, h, w)) -> (N, 4, h, w)``."""

    def __call__(
        self,
        latents: torch.Tensor,
        timestep: int | torch.Tensor,
        tokens: torch.Tensor,
        cond_latents: torch.Tensor,
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class Conditions:
    """What the network is told, one row per reference view.

    Args:
        tokens: (N, 1, D) projected embedding and camera move.
        cond_latents: (N, 4, h, w) unscaled.
        weights: (N,) summing to 1.

    Raises:
        ValueError: the rows do not match, or the weights do not sum to 1.
    """

    tokens: torch.Tensor
    cond_latents: torch.Tensor
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if not len(self.tokens) == len(self.cond_latents) == len(self.weights):
            raise ValueError(
                f"one row per reference expected, got {len(self.tokens)} tokens, "
                f"{len(self.cond_latents)} latents and {len(self.weights)} weights"
            )
        if abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"weights must sum to 1, got {sum(self.weights):g}")


class FusedDenoiser:
    """Classifier-free guidance and the weighted average over references, in N + 1 network evaluations.

    The unconditional input is all zeros and the noisy latents are shared, so the unconditional prediction
    is the same for every reference and is made once. Without guidance (scale 1) it is not made at all.

    Args:
        guided: the timesteps with guidance; at others the scale is 1 (Kynkäänniemi et al. 2024).

    Attributes:
        evaluations: network evaluations (rows) so far.
    """

    def __init__(
        self,
        predict_noise: NoisePredictor,
        conditions: Conditions,
        guidance_scale: float = 3.0,
        guided: Interval = EVERYWHERE,
    ) -> None:
        self.predict_noise = predict_noise
        self.guidance_scale, self.guided = guidance_scale, guided
        tokens, cond_latents = conditions.tokens, conditions.cond_latents
        self.weights = torch.tensor(conditions.weights, dtype=torch.float32)
        if guidance_scale != 1:
            tokens = torch.cat([torch.zeros_like(tokens[:1]), tokens])
            cond_latents = torch.cat([torch.zeros_like(cond_latents[:1]), cond_latents])
        self.rows = tokens, cond_latents
        self.evaluations = 0

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        """(1, 4, h, w) fused noise prediction at (1, 4, h, w) latents."""
        scale = scale_at(timestep, self.guidance_scale, self.guided)
        # The unconditional row stands first, and is not predicted where it would not count.
        tokens, cond_latents = (each[-len(self.weights) :] if scale == 1 else each for each in self.rows)
        shared = latents.expand(len(tokens), -1, -1, -1)
        predicted = self.predict_noise(shared, timestep, tokens, cond_latents)
        self.evaluations += len(tokens)
        if scale == 1:
            return fuse(predicted, self.weights)
        unconditional = predicted[:1]
        return unconditional + scale * (fuse(predicted[1:], self.weights) - unconditional)


def scale_at(timestep: int | torch.Tensor, scale: float, guided: Interval) -> float:
    """The guidance scale at ``timestep``: 1, which is none, outside ``guided``."""
    low, high = guided
    return scale if low <= float(timestep) <= high else 1.0


def fuse(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(1, ...) weighted sum of (N, ...) values over their first axis."""
    return torch.tensordot(weights.to(values), values, dims=1)[None]
