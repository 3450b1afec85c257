"""The paper's recipe: its settings go in, what training does with them comes out.

NeuS (arXiv 2106.10689) with the numbers of the method's own reconstruction, see :class:`PaperSettings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import torch
from torch import Tensor

from .fields import Field
from .losses import Terms, sections_asked
from .mlp_field import MlpField
from .pixels import random_pixels
from .rays import Rays
from .rendering import Rendered, inside, render, section_lengths
from .sampling import hierarchical
from .scene import Scene
from .settings import PaperSettings


class PaperRecipe:
    """See :class:`.training.Recipe`."""

    def __init__(self, settings: PaperSettings) -> None:
        self.settings = settings
        self.steps = settings.steps

    def described(self) -> dict[str, object]:
        return {"recipe": "paper", **asdict(self.settings)}

    def make_field(self, scene: Scene, done: int = 0) -> Field:
        known = self.settings
        return MlpField(
            known.width,
            known.features,
            known.layers,
            known.skip,
            known.frequencies,
            known.colour_layers,
            known.direction_frequencies,
            known.radius,
            known.deviation,
        )

    def optimiser(self, field: Field) -> torch.optim.Optimizer:
        return torch.optim.AdamW(field.parameters(), lr=self.settings.learning_rate)

    def rate(self, step: int) -> float:
        """Rises evenly, and falls halfway (in logarithms) to the floor at half of the steps."""
        warm_up, floor = self.settings.warm_up_steps, self.settings.rate_floor
        if step < warm_up:
            return floor + (1 - floor) * step / warm_up
        return 1.0 if 2 * step < self.steps else floor**0.5

    def losses(
        self, field: Field, scene: Scene, step: int, generator: torch.Generator
    ) -> Iterator[dict[str, Tensor]]:
        known, device = self.settings, field.inverse_deviation().device
        terms = Terms(known.colour_weight, known.eikonal_weight, known.mask_weight)
        seen = random_pixels(scene, known.rays, known.foreground_rays, generator, known.pixel_centre)
        jitter = torch.rand(len(seen), 1, generator=generator).to(device)
        seen = seen.to(device)
        parts = [slice(at, at + known.rays_at_once) for at in range(0, len(seen), known.rays_at_once)]
        z_vals = [self._z_vals(field, seen.rays[part], jitter[part]) for part in parts]
        asked = sum(
            sections_asked(inside(seen.rays[part].points(z + section_lengths(z) / 2)))
            for part, z in zip(parts, z_vals, strict=True)
        )
        ratio = min(1.0, step / known.anneal_steps) if known.anneal_steps else 1.0
        for part, z in zip(parts, z_vals, strict=True):
            yield terms.of(render(field, seen.rays[part], z, ratio), seen[part], len(seen), asked)

    def after_step(self, field: Field, optimiser: torch.optim.Optimizer, done: int) -> torch.optim.Optimizer:
        return optimiser

    def render(self, field: Field, rays: Rays) -> Rendered:
        return render(field, rays, self._z_vals(field, rays, None))

    def trial(self) -> tuple[PaperRecipe, float]:
        """Fewer rays: what a step takes is proportional to them."""
        rays = self.settings.rays + self.settings.foreground_rays
        few = min(rays, 64)
        return PaperRecipe(replace(self.settings, rays=few, foreground_rays=0)), rays / few

    def _z_vals(self, field: Field, rays: Rays, jitter: Tensor | None) -> Tensor:
        known = self.settings
        return hierarchical(field.sdf, rays, known.coarse, known.fine, known.rounds, jitter)
