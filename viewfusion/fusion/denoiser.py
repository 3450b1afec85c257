"""The fused denoiser: one noise prediction out of many reference views (ViewFusion, section 3.2).

Enters: a network as a callable, what it is told of each reference, the weights. Leaves: a callable any
solver can use; or what it asks the network, where others ask too. It works because a solver step is affine in
the predicted noise, so averaging predictions before one step equals averaging the stepped latents after it;
clipping x0 would break that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from .questions import Asking, Question, answered

Interval = tuple[float, float]
EVERYWHERE: Interval = (0.0, math.inf)
"""Of timesteps, both ends in it."""


class Rows(Protocol):
    """What a network is told, a row for each prediction; opaque here but for this."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | list[int]) -> Rows: ...

    def mixed(self, weights: torch.Tensor) -> Rows:
        """M rows, each a weighted sum of these N by ``weights`` (M, N), whose rows sum to 1."""

    def cat(self, several: Sequence[Any]) -> Rows:
        """The rows of all ``several``, one after another."""

    def keeping(self) -> Rows:
        """The same rows; what the network's deep levels make of each is kept from one call to the next."""

    def lightly(self) -> Rows:
        """The same rows; the network may go on with what is kept of them."""


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
        if not abs(sum(self.weights) - 1) <= 1e-6:  # NaN, too
            raise ValueError(f"weights must sum to 1, got {sum(self.weights):g}")


class AskingDenoiser:
    """A denoiser that asks the network; called as a :data:`~.sampling.Denoiser`, it is alone in doing so."""

    predict_noise: NoisePredictor

    def asking(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> Asking[torch.Tensor]:
        """Asks the network, and ends with the noise prediction (rows, 4, h, w) at those latents."""
        raise NotImplementedError

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        return answered(self.asking(latents, timestep), self.predict_noise)


class Turns:
    """When the network goes through its deep levels: at the first step, and each ``reuse_steps``-th from it.

    At the others it goes on with what those made of the same rows before (DeepCache, Ma et al. 2024).

    Attributes:
        light_rows: that went on so, so far.
    """

    def __init__(self, reuse_steps: int) -> None:
        self.reuse_steps = reuse_steps
        self.light_rows = self._steps = self._known = 0

    def of(self, rows: Rows) -> Rows:
        return rows.keeping() if self.reuse_steps > 1 else rows

    def next(self, rows: Rows) -> Rows:
        """``rows`` as they are asked for at the next step."""
        return rows.lightly() if self.light(len(rows)) else rows

    def light(self, rows: int) -> bool:
        """Whether the next step, of so many rows, goes on with what was made."""
        # Of an unconditional row that was left out last time nothing is known.
        light = self._steps % self.reuse_steps > 0 and rows <= self._known
        self._steps += 1
        if light:
            self.light_rows += rows
        else:
            self._known = rows
        return light


class FusedDenoiser(AskingDenoiser):
    """Classifier-free guidance and the weighted average over references, in N + 1 network evaluations.

    The unconditional row is told of nothing and the noisy latents are shared, so the unconditional prediction
    is the same for every reference and is made once. Without guidance (scale 1) it is not made at all.

    Args:
        guided: the timesteps with guidance; at others the scale is 1 (Kynkäänniemi et al. 2024).
        reuse_steps: see :class:`Turns`.

    Attributes:
        evaluations: network evaluations (rows) so far.
        light_evaluations: of these, rows that went on with what was kept of them.
    """

    def __init__(
        self,
        predict_noise: NoisePredictor,
        conditions: Conditions,
        guidance_scale: float = 3.0,
        guided: Interval = EVERYWHERE,
        reuse_steps: int = 1,
    ) -> None:
        self.predict_noise = predict_noise
        self.guidance_scale, self.guided = guidance_scale, guided
        self.turns = Turns(reuse_steps)
        self.rows = self.turns.of(conditions.rows)
        self.unguided = self.rows[1:]
        self.weights = torch.tensor(conditions.weights, dtype=torch.float32)
        self.evaluations = 0

    @property
    def light_evaluations(self) -> int:
        return self.turns.light_rows

    def asking(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> Asking[torch.Tensor]:
        """(1, 4, h, w) fused noise prediction at (1, 4, h, w) latents."""
        scale = scale_at(timestep, self.guidance_scale, self.guided)
        rows = self.unguided if scale == 1 else self.rows
        predicted = yield Question(latents, timestep, self.turns.next(rows))
        self.evaluations += len(rows)
        self.weights = self.weights.to(predicted)  # on its device from the first step on
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
