"""Fitting a field to views: a recipe and a scene go in, a field that was trained step by step comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from .fields import Field
from .rays import Rays
from .rendering import Rendered

if TYPE_CHECKING:
    from .scene import Scene


class Recipe(Protocol):
    """One way to fit a field; everything that is particular to it. A recipe has no state of its own.

    What must survive an interruption lies in the field: parameters, and buffers for what is not learned
    (an occupancy grid). "After ``done`` steps" means before step number ``done`` is made; they count from 0.
    """

    steps: int

    def make_field(self, scene: Scene, done: int = 0) -> Field:
        """A field of the shape that it has after ``done`` steps, on the CPU; at 0 its start as well.

        Starts from torch's global generator, which the caller seeds.
        """

    def optimiser(self, field: Field) -> torch.optim.Optimizer:
        """What learns; the same groups for every field of the same shape."""

    def rate(self, step: int) -> float:
        """By what the learning rates of the optimiser are multiplied in this step."""

    def before_step(self, field: Field, optimiser: torch.optim.Optimizer, step: int) -> torch.optim.Optimizer:
        """What happens at some steps only (a finer grid); returns the optimiser, or the one in its place."""

    def losses(
        self, field: Field, scene: Scene, step: int, generator: torch.Generator
    ) -> Iterator[dict[str, Tensor]]:
        """The losses of a step: "total", which is minimised, and its terms by name.

        They may come in parts that add up, each of which is differentiated before the next is asked for: so
        memory is bounded. ``generator`` (of the CPU) is all the chance there is, and depends on the seed and
        the step alone.
        """

    def render(self, field: Field, rays: Rays) -> Rendered:
        """Rays as the trained field shows them, without chance; for pictures."""

    def trial(self) -> tuple[Recipe, float]:
        """A recipe that is quick to try, and how many of its steps take as long as one of this one's."""
