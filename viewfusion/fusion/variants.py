"""Other ways to use several references: the independent baseline and what the method is compared with.

Enters: a variant's name and what :class:`~viewfusion.fusion.FusedDenoiser` takes. Leaves: a denoiser that
any solver can use. "zero123" and "autoregressive" are the method with one reference, which the schedule
chooses; the others do something else with its references. A view's noise is the same in all of them.
"""

from __future__ import annotations

import torch

from .denoiser import Conditions, FusedDenoiser, NoisePredictor

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


class StochasticDenoiser:
    """Stochastic conditioning: each step sees one reference, drawn anew (3DiM, Watson et al. 2022).

    Args:
        predict_noise, guidance_scale: as of :class:`FusedDenoiser`.
        conditions: the weights are the odds; the schedule makes them equal, as in the paper.
        generator: what is drawn from, on the CPU; not the noise's, which shall not depend on the variant.
    """

    def __init__(
        self,
        predict_noise: NoisePredictor,
        conditions: Conditions,
        guidance_scale: float,
        generator: torch.Generator,
    ) -> None:
        self.each = [
            FusedDenoiser(predict_noise, Conditions(conditions.rows[[0, row]], (1.0,)), guidance_scale)
            for row in range(1, len(conditions.rows))
        ]
        self.odds = torch.tensor(conditions.weights, dtype=torch.float64)
        self.generator = generator

    @property
    def evaluations(self) -> int:
        """Network evaluations (rows) so far."""
        return sum(one.evaluations for one in self.each)

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        """(1, 4, h, w) noise prediction of one reference at (1, 4, h, w) latents."""
        drawn = int(torch.multinomial(self.odds, 1, generator=self.generator))
        return self.each[drawn](latents, timestep)


class SeparateDenoiser:
    """Each reference denoises latents of its own, a row each; they are averaged after the last step.

    The rows differ after the first step, and so do their unconditional predictions: 2N evaluations.

    Attributes:
        evaluations: network evaluations (rows) so far.
    """

    def __init__(self, predict_noise: NoisePredictor, conditions: Conditions, guidance_scale: float) -> None:
        self.predict_noise, self.guidance_scale = predict_noise, guidance_scale
        references = list(range(1, len(conditions.rows)))
        nothing = [0] * len(references) if guidance_scale != 1 else []
        self.rows = conditions.rows[nothing + references]
        self.evaluations = 0

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        """(N, 4, h, w) noise predictions, of each reference at its row of (N, 4, h, w) latents."""
        self.evaluations += len(self.rows)
        if self.guidance_scale == 1:
            return self.predict_noise(latents, timestep, self.rows)
        predicted = self.predict_noise(torch.cat([latents, latents]), timestep, self.rows)
        unconditional, conditional = predicted.chunk(2)
        return unconditional + self.guidance_scale * (conditional - unconditional)


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
) -> FusedDenoiser | StochasticDenoiser | SeparateDenoiser:
    """The denoiser of ``variant`` for one target; ``generator`` is for what it draws, if it draws anything.

    It takes as many rows of latents as :func:`latent_rows` says.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    if variant == "stochastic":
        return StochasticDenoiser(predict_noise, conditions, guidance_scale, generator)
    if variant == "averaged-outputs":
        return SeparateDenoiser(predict_noise, conditions, guidance_scale)
    if variant == "averaged-conditions":
        conditions = averaged(conditions)
    return FusedDenoiser(predict_noise, conditions, guidance_scale)


def latent_rows(variant: str, references: int) -> int:
    """How many latents are denoised side by side."""
    return references if variant == "averaged-outputs" else 1


def predictions_a_step(variant: str, references: int) -> int:
    """How many noise predictions with a condition a step takes."""
    return 1 if variant in _ONE_AT_A_TIME else references


def evaluations_a_step(variant: str, references: int, guided: bool = True) -> int:
    """Network evaluations (rows) of one step; with guidance an unconditional one for each row of latents."""
    return predictions_a_step(variant, references) + guided * latent_rows(variant, references)
