"""What a run will cost, before it is made: a settled configuration and targets go in, the network's rows at
each step of each target come out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from viewfusion.config import Config
from viewfusion.fusion import Interval, Target, Turns, evaluations_a_step, scale_at
from viewfusion.solvers import scheduler_of

LIGHT = 0.35
"""A light evaluation beside a whole one, in multiplications: 0.32 at full size, 0.54 in zero123-nano."""


@dataclass(frozen=True)
class Step:
    """Network evaluations (rows) of one step; ``light``: its top level alone runs, on what is kept."""

    rows: int
    light: bool

    @property
    def cost(self) -> float:
        """In whole evaluations."""
        return self.rows * (LIGHT if self.light else 1)


def guided_interval(sampling: Any, scheduler_config: Mapping[str, Any]) -> Interval:
    """The timesteps with guidance."""
    noisiest = scheduler_config["num_train_timesteps"]
    return sampling.guidance_low * noisiest, sampling.guidance_high * noisiest


def steps_of(
    config: Config, targets: Sequence[Target], scheduler_config: Mapping[str, Any]
) -> list[list[Step]]:
    """Of each target.

    Args:
        config: settled, see :meth:`viewfusion.ViewFusionPipeline.settled`.
        scheduler_config: :attr:`viewfusion.zero123.Zero123.scheduler_config`.
    """
    sampling: Any = config.sampling
    guided = guided_interval(sampling, scheduler_config)
    timesteps = scheduler_of(sampling, scheduler_config).timesteps
    with_guidance = [scale_at(each, sampling.guidance_scale, guided) != 1 for each in timesteps]
    found = []
    for target in targets:
        turns, references = Turns(sampling.reuse_steps), len(target.references)
        rows = [evaluations_a_step(config.fusion.variant, references, each) for each in with_guidance]
        found.append([Step(count, turns.light(count)) for count in rows])
    return found


def costs(
    config: Config,
    targets: Sequence[Target],
    scheduler_config: Mapping[str, Any],
    finished: Collection[int] = (),
) -> list[list[float]]:
    """Of each target the :attr:`Step.cost` of its steps; none of those whose views are ``finished``."""
    return [
        [] if target.view in finished else [step.cost for step in steps]
        for target, steps in zip(targets, steps_of(config, targets, scheduler_config), strict=True)
    ]
