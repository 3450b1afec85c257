"""The fused denoiser: one noise prediction out of many reference views (ViewFusion, section 3.2).

Enters: a network as a callable, what it is told of each reference, the weights. Leaves: a callable any
solver can use. It works because a solver step is affine in the predicted noise, so averaging predictions
before one step equals averaging the stepped latents after it; clipping x0 would break that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch


class Rows(Protocol):
    """What a network is told, a row for each prediction; opaque here but for this."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | list[int]) -> Rows: ...

    def mixed(self, weights: torch.Tensor) -> Rows:
        """M rows, each a weighted sum of these N by ``weights`` (M, N), whose rows sum to 1."""


class NoisePredictor(Protocol):
    """``(latents (N or 1, 4, h, w), timestep, N rows) -> (N, 4, h, w)``; one row of latents is for all."""

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor, rows: Any) -> torch.Tensor: ...


@dataclass(frozen=True)
class Conditions:
    """What a target is denoised from.

    Args:
        rows: what the network is told: N + 1 rows, first of nothing (the unconditional one), then of each
            reference view.
        weights: (N,) of the references, summing to 1.

    Raises:
        ValueError: the rows do not match, or the weights do not sum to 1.
    """

    rows: Rows
    weights: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.weights) + 1:
            raise ValueError(
                f"one row per reference and one of nothing expected, got {len(self.rows)} rows and "
                f"{len(self.weights)} weights"
            )
        if abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"weights must sum to 1, got {sum(self.weights):g}")


class FusedDenoiser:
    """Classifier-free guidance and the weighted average over references, in N + 1 network evaluations.

    The unconditional row is told of nothing and the noisy latents are shared, so the unconditional prediction
    is the same for every reference and is made once. Without guidance (scale 1) it is not made at all.

    Attributes:
        evaluations: network evaluations (rows) so far.
    """

    def __init__(
        self, predict_noise: NoisePredictor, conditions: Conditions, guidance_scale: float = 3.0
    ) -> None:
        self.predict_noise = predict_noise
        self.guidance_scale = guidance_scale
        self.rows = conditions.rows if guidance_scale != 1 else conditions.rows[1:]
        self.weights = torch.tensor(conditions.weights, dtype=torch.float32)
        self.evaluations = 0

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        """(1, 4, h, w) fused noise prediction at (1, 4, h, w) latents."""
        predicted = self.predict_noise(latents, timestep, self.rows)
        self.evaluations += len(self.rows)
        self.weights = self.weights.to(predicted)  # on its device from the first step on
        if self.guidance_scale == 1:
            return fuse(predicted, self.weights)
        unconditional = predicted[:1]
        return unconditional + self.guidance_scale * (fuse(predicted[1:], self.weights) - unconditional)


def fuse(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(1, ...) weighted sum of (N, ...) values over their first axis."""
    return torch.tensordot(weights.to(values), values, dims=1)[None]
