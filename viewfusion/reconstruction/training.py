"""Fitting a field to views: a recipe and a scene go in, a field that was trained step by step comes out.

What a step does depends on the seed, its number and what the steps before it left, all of which a checkpoint
holds: going on from one gives the same numbers as never having stopped, bit for bit on a CPU. (A device that
adds up in any order is not even the same twice.)
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from viewfusion.errors import ViewFusionError

from .checkpoints import Checkpoint, digest, is_finite, read_checkpoint, write_checkpoint
from .fields import Field
from .rays import Rays
from .rendering import Rendered
from .scene import Scene

SAVE_SECONDS = 60.0
"""From one checkpoint to the next: what an interruption costs at most."""


class Recipe(Protocol):
    """One way to fit a field; everything that is particular to it. A recipe has no state of its own.

    What must survive an interruption lies in the field: parameters, and buffers for what is not learned
    (an occupancy grid). Steps count from 0; "after ``done`` steps" means before step number ``done``.
    """

    steps: int

    def described(self) -> dict[str, object]:
        """Its name and every number that decides the result, for JSON: checkpoints go on with these only."""

    def make_field(self, scene: Scene, done: int = 0) -> Field:
        """A field of the shape that it has after ``done`` steps, on the CPU; at 0 its start as well.

        Draws from torch's global generator, which is seeded then.
        """

    def optimiser(self, field: Field) -> torch.optim.Optimizer:
        """What learns, at the full learning rates; the same groups for every field of the same shape."""

    def rate(self, step: int) -> float:
        """By what the learning rates of the optimiser are multiplied in this step."""

    def losses(
        self, field: Field, scene: Scene, step: int, generator: torch.Generator
    ) -> Iterator[dict[str, Tensor]]:
        """The losses of a step: "total", which is minimised, and its terms by name.

        They may come in parts that add up, each of which is differentiated before the next is asked for: so
        memory is bounded. ``generator`` (of the CPU) is all the chance there is, and depends on the seed and
        the step alone. The field is not changed here: a step may yet fail.
        """

    def after_step(self, field: Field, optimiser: torch.optim.Optimizer, done: int) -> torch.optim.Optimizer:
        """What happens after some steps only (a finer grid); the optimiser, or one in its place.

        Afterwards the field has the shape that ``make_field(scene, done)`` has.
        """

    def render(self, field: Field, rays: Rays) -> Rendered:
        """Rays as the trained field shows them, without chance; for pictures."""

    def trial(self) -> tuple[Recipe, float]:
        """A recipe that is quick to try, and how many of its steps take as long as one of this one's."""


@dataclass(frozen=True)
class Progress:
    """How far training is.

    Args:
        done: steps made, of ``steps``.
        losses: of the last step, by name; "total" among them.
        seconds: spent on training so far, before interruptions too.
        seconds_left: as long as the rest would take at the pace of the last tenth of all steps.
    """

    done: int
    steps: int
    losses: dict[str, float]
    seconds: float
    seconds_left: float


class Training:
    """A field on its way.

    Args:
        recipe: how it is fitted.
        scene: what to.
        seed: of all chance.
        device: where the field lives; the scene stays on the CPU.
        done: begin with a field of the shape that it has after so many steps, though it learned nothing.
    """

    def __init__(
        self,
        recipe: Recipe,
        scene: Scene,
        seed: int = 0,
        device: torch.device | str = "cpu",
        done: int = 0,
    ) -> None:
        self.recipe, self.scene, self.seed, self.device = recipe, scene, seed, torch.device(device)
        self.losses: dict[str, float] = {}
        self.seconds = 0.0
        # So many that a step which lays a finer grid, and takes as long as a hundred, hardly shows.
        self._recent: deque[float] = deque(maxlen=max(20, recipe.steps // 10))
        self._begin(done)

    def _begin(self, done: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.field = self.recipe.make_field(self.scene, done).to(self.device)
        self.optimiser = self.recipe.optimiser(self.field)
        self.done = done

    @cached_property
    def _views(self) -> str:
        """What tells the scene; worked out once, as it takes a second where views are large."""
        return digest(self.scene)

    def step(self) -> dict[str, float]:
        """Make one step; its losses by name.

        Raises:
            ViewFusionError: a loss or a gradient is not finite. The field is as it was before the step.
        """
        began = time.perf_counter()
        losses = self._differentiate()
        rate = self.recipe.rate(self.done)
        for group in self.optimiser.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.done += 1
        self.optimiser = self.recipe.after_step(self.field, self.optimiser, self.done)
        self.losses = losses
        self._recent.append(time.perf_counter() - began)
        self.seconds += self._recent[-1]
        return losses

    def _differentiate(self) -> dict[str, float]:
        """The losses of the next step, with their gradients in the field."""
        self.optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        generator = step_generator(self.seed, self.done)
        for part in self.recipe.losses(self.field, self.scene, self.done, generator):
            part["total"].backward()
            for name, value in part.items():
                sums[name] = sums[name] + value.detach() if name in sums else value.detach()
        losses = {name: float(value) for name, value in sums.items()}
        slopes = [each.grad.norm() for each in self.field.parameters() if each.grad is not None]
        wrong = [name for name, value in losses.items() if not np.isfinite(value)]
        if not wrong and slopes and not torch.stack(slopes).isfinite().all():
            wrong = ["the gradient"]
        if wrong:
            self.optimiser.zero_grad(set_to_none=True)
            raise ViewFusionError(
                f"training stopped at step {self.done} of {self.recipe.steps}, as {', '.join(wrong)} became "
                "infinite or no number; try another seed or a lower learning rate"
            )
        return losses

    @property
    def progress(self) -> Progress:
        left = self.recipe.steps - self.done
        pace = sum(self._recent) / max(1, len(self._recent))
        return Progress(self.done, self.recipe.steps, self.losses, self.seconds, pace * left)

    def run(
        self,
        until: int | None = None,
        *,
        on_step: Callable[[Progress], None] | None = None,
        on_preview: Callable[[Training], None] | None = None,
        preview_every: int = 200,
        checkpoint: Path | None = None,
        save_seconds: float = SAVE_SECONDS,
    ) -> None:
        """Make steps until there are ``until`` in all; None: as many as the recipe has.

        Args:
            on_step: called after each step.
            on_preview: called after every ``preview_every`` steps; may render the field.
            checkpoint: where to save, every ``save_seconds`` and in the end.

        Raises:
            ViewFusionError: a loss is not finite (the last good state is saved), or nothing can be saved.
        """
        saved = time.monotonic()
        while self.done < (self.recipe.steps if until is None else min(until, self.recipe.steps)):
            try:
                self.step()
            except ViewFusionError as error:
                if checkpoint is None:
                    raise
                if all(is_finite(value) for value in self.field.state_dict().values()):
                    self.save(checkpoint)  # else what was saved before is the last that is good
                raise ViewFusionError(f"{error}; {checkpoint} has what was learned before") from error
            if on_step is not None:
                on_step(self.progress)
            if on_preview is not None and self.done % preview_every == 0:
                on_preview(self)
            if checkpoint is not None and time.monotonic() - saved >= save_seconds:
                self.save(checkpoint)
                saved = time.monotonic()
        if checkpoint is not None:
            self.save(checkpoint)

    def render(self, rays: Rays) -> Rendered:
        """Rays as the field shows them now."""
        return self.recipe.render(self.field, rays)

    def save(self, path: Path) -> None:
        """Write everything that going on needs, whole or not at all."""
        write_checkpoint(
            path,
            Checkpoint(
                recipe=self.recipe.described(),
                scene=self._views,
                seed=self.seed,
                done=self.done,
                seconds=self.seconds,
                losses=self.losses,
                field=self.field.state_dict(),
                optimiser=self.optimiser.state_dict()["state"],
            ),
        )

    def load(self, path: Path) -> None:
        """Go on from what :meth:`save` wrote.

        Raises:
            ViewFusionError: no checkpoint, a damaged one, or one of another recipe, scene or seed.
        """
        saved = read_checkpoint(path)
        described = json.loads(json.dumps(self.recipe.described()))  # tuples become lists
        ours = {"settings": described, "views": self._views, "seed": self.seed}
        theirs = {"settings": saved.recipe, "views": saved.scene, "seed": saved.seed}
        for name, value in ours.items():
            if theirs[name] != value:
                raise ViewFusionError(
                    f"{path}: was trained with other {name}; use the same, or remove it to begin anew"
                )
        if saved.done > self.recipe.steps:
            raise ViewFusionError(f"{path}: has {saved.done} steps of {self.recipe.steps}; remove it")
        self._begin(saved.done)
        saved.restore(self.field, self.optimiser, path)
        self.seconds, self.losses = saved.seconds, saved.losses


def step_generator(seed: int, step: int) -> torch.Generator:
    """A CPU generator that depends on (seed, step) alone."""
    # SeedSequence mixes the two; seed + step would make step 1 of seed 0 equal step 0 of seed 1.
    state = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


def estimated_seconds(recipe: Recipe, scene: Scene, device: torch.device | str = "cpu") -> float:
    """About how long training would take here: steps are made and timed at the start, middle and end.

    They are of fields that learned nothing, whose later steps may be cheaper once they know what is empty.
    """
    trial, times = recipe.trial()
    spent = []
    for done in (0, trial.steps // 2, max(0, trial.steps - 2)):
        training = Training(trial, scene, device=device, done=done)
        training.step()  # the first of a kind warms caches up
        began = training.seconds
        training.step()
        spent.append(training.seconds - began)
    return sum(spent) / len(spent) * times * recipe.steps
