"""Other ways to use several references: the independent baseline and what the method is compared with.

Enters: a variant's name and what :class:`~viewfusion.fusion.FusedDenoiser` takes. Leaves: a denoiser that
any solver can use. "zero123" and "autoregressive" are the method with one reference, which the schedule
chooses; the others do something else with its references. A view's noise is the same in all of them.
"""

from __future__ import annotations

import torch

from .denoiser import (
    EVERYWHERE,
    AskingDenoiser,
    Conditions,
    FusedDenoiser,
    Interval,
    NoisePredictor,
    Turns,
    scale_at,
)
from .questions import Asking, Question

VARIANTS = (
    "viewfusion",
    "zero123",
    "autoregressive",
    "stochastic",
    "averaged-conditions",
    "averaged-outputs",
)
"""The method, which averages predictions; the input alone; the nearest view alone; a reference drawn for each
step (3DiM); one prediction from averaged conditions; whole samples, one a reference, averaged at the end."""

_ONE_AT_A_TIME = ("stochastic", "averaged-conditions")
"""Those whose network is told of one condition a step."""


class StochasticDenoiser(AskingDenoiser):
    """Stochastic conditioning: each step sees one reference, drawn anew (3DiM, Watson et al. 2022).

    Args:
        predict_noise, guidance_scale, guided: as of :class:`FusedDenoiser`.
        conditions: the weights are the odds; the schedule makes them equal, as in the paper.
        generator: what is drawn from, on the CPU; not the noise's, which shall not depend on the variant.
    """

    def __init__(
        self,
        predict_noise: NoisePredictor,
        conditions: Conditions,
        guidance_scale: float,
        generator: torch.Generator,
        guided: Interval = EVERYWHERE,
    ) -> None:
        self.predict_noise = predict_noise
        self.each = [
            FusedDenoiser(
                predict_noise, Conditions(conditions.rows[[0, row]], (1.0,)), guidance_scale, guided
            )
            for row in range(1, len(conditions.rows))
        ]
        self.odds = torch.tensor(conditions.weights, dtype=torch.float64)
        self.generator = generator

    light_evaluations = 0  # what is drawn for a step has not been looked at just before

    @property
    def evaluations(self) -> int:
        """Network evaluations (rows) so far."""
        return sum(one.evaluations for one in self.each)

    def asking(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> Asking[torch.Tensor]:
        """(1, 4, h, w) noise prediction of one reference at (1, 4, h, w) latents."""
        drawn = int(torch.multinomial(self.odds, 1, generator=self.generator))
        return self.each[drawn].asking(latents, timestep)


class SeparateDenoiser(AskingDenoiser):
    """Each reference denoises latents of its own, a row each; they are averaged after the last step.

    The rows differ after the first step, and so do their unconditional predictions: 2N evaluations.

    Args:
        predict_noise, conditions, guidance_scale, guided, reuse_steps: as of :class:`FusedDenoiser`.

    Attributes:
        evaluations, light_evaluations: as of :class:`FusedDenoiser`.
    """

    def __init__(
        self,
        predict_noise: NoisePredictor,
        conditions: Conditions,
        guidance_scale: float,
        guided: Interval = EVERYWHERE,
        reuse_steps: int = 1,
    ) -> None:
        self.predict_noise, self.guidance_scale, self.guided = predict_noise, guidance_scale, guided
        references = list(range(1, len(conditions.rows)))
        self.turns = Turns(reuse_steps)
        self.rows = self.turns.of(conditions.rows[[0] * len(references) + references])
        self.unguided = self.rows[len(references) :]
        self.evaluations = 0

    @property
    def light_evaluations(self) -> int:
        return self.turns.light_rows

    def asking(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> Asking[torch.Tensor]:
        """(N, 4, h, w) noise predictions, of each reference at its row of (N, 4, h, w) latents."""
        scale = scale_at(timestep, self.guidance_scale, self.guided)
        alone = scale == 1
        rows = self.unguided if alone else self.rows
        both = latents if alone else torch.cat([latents, latents])
        predicted = yield Question(both, timestep, self.turns.next(rows))
        self.evaluations += len(rows)
        if alone:
            return predicted
        unconditional, conditional = predicted.chunk(2)
        return unconditional + scale * (conditional - unconditional)


def averaged(conditions: Conditions) -> Conditions:
    """One condition: the weighted mean of all that the network is told of the references."""
    weights = torch.tensor(conditions.weights, dtype=torch.float32)
    return Conditions(conditions.rows.mixed(torch.block_diag(torch.ones(1), weights)), (1.0,))


def make_denoiser(
    variant: str,
    predict_noise: NoisePredictor,
    conditions: Conditions,
    guidance_scale: float,
    generator: torch.Generator,
    guided: Interval = EVERYWHERE,
    reuse_steps: int = 1,
) -> FusedDenoiser | StochasticDenoiser | SeparateDenoiser:
    """The denoiser of ``variant`` for one target; ``generator`` is for what it draws, if it draws anything.

    It takes as many rows of latents as :func:`latent_rows` says.

    Raises:
        ValueError: an unknown variant, or one that cannot reuse features.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if variant == "stochastic":
        if reuse_steps > 1:
            raise ValueError(
                "the variant 'stochastic' sees another reference at each step; nothing is reused"
            )
        return StochasticDenoiser(predict_noise, conditions, guidance_scale, generator, guided)
    if variant == "averaged-outputs":
        return SeparateDenoiser(predict_noise, conditions, guidance_scale, guided, reuse_steps)
    if variant == "averaged-conditions":
        conditions = averaged(conditions)
    return FusedDenoiser(predict_noise, conditions, guidance_scale, guided, reuse_steps)


def latent_rows(variant: str, references: int) -> int:
    """How many latents are denoised side by side."""
    return references if variant == "averaged-outputs" else 1


def predictions_a_step(variant: str, references: int) -> int:
    """How many noise predictions with a condition a step takes."""
    return 1 if variant in _ONE_AT_A_TIME else references


def evaluations_a_step(variant: str, references: int, guided: bool = True) -> int:
    """Network evaluations (rows) of one step; with guidance an unconditional one for each row of latents."""
    return predictions_a_step(variant, references) + guided * latent_rows(variant, references)
