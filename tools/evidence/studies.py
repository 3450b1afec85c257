"""What is measured: a configuration goes in, the systems that a study compares come out.

A system is a name and a :class:`Config`. Beside them stand those that make nothing: ``truth``, the true
pictures; ``repeated``, the input at every place; ``colour``, the input's mean colour, background and all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from viewfusion.config import Config, changed
from viewfusion.fusion import evaluations_a_step, schedule

MAKE_NOTHING = ("truth", "repeated", "colour")

GUIDANCES = (1.0, 1.25, 1.5, 2.0, 3.0)
STEPS = (3, 6, 10, 15, 25)
LEAPS = (0.0, 0.1, 0.2, 0.35, 0.7, 1.4)
INPUT_TEMPERATURES = (0.1, 0.25, 0.5, 2.0)
REFERENCE_TEMPERATURES = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Study:
    """One question.

    Args:
        split: whose objects.
        views: of the ring, the input among them.
        objects: of each kind, unless told otherwise.
        systems: of the configuration.
        beside: which of :data:`MAKE_NOTHING` stand beside them.
        with_ssim: whether it is taken, which costs more time than all other metrics.
    """

    split: str
    views: int
    objects: int
    systems: Callable[[Config], dict[str, Config]]
    beside: tuple[str, ...] = ("truth",)
    with_ssim: bool = False


def alone(config: Config) -> Config:
    """Independent sampling: every view from the input only, with the noise it would have had."""
    return changed(config, variant="zero123")


def rows_a_step(config: Config) -> int:
    """Network evaluations of one solver step of all views."""
    variant, guided = config.fusion.variant, config.sampling.guidance_scale != 1
    targets = schedule(config.trajectory(), config.rules())
    return sum(evaluations_a_step(variant, len(target.references), guided) for target in targets)


def alone_at_the_cost(config: Config) -> Config:
    """Independent sampling with so many more steps that it takes the network evaluations of ``config``."""
    single = alone(config)
    steps = round(config.sampling.num_inference_steps * rows_a_step(config) / rows_a_step(single))
    return changed(single, num_inference_steps=steps)


def fused_and_alone(config: Config) -> dict[str, Config]:
    return {"fused": config, "independent": alone(config)}


def with_equal_cost(config: Config) -> dict[str, Config]:
    return {**fused_and_alone(config), "more-steps": alone_at_the_cost(config)}


def temperatures(config: Config) -> dict[str, Config]:
    grid = {
        f"{of_input:g}-{of_references:g}": changed(
            config, input_temperature=of_input, reference_temperature=of_references
        )
        for of_references in REFERENCE_TEMPERATURES
        for of_input in INPUT_TEMPERATURES
    }
    return {**grid, "independent": alone(config)}


def guidances(config: Config) -> dict[str, Config]:
    return {f"{scale:g}": changed(config, guidance_scale=scale) for scale in GUIDANCES}


def leaps(config: Config) -> dict[str, Config]:
    return {f"{sigma:g}": changed(config, leap_sigma=sigma) for sigma in LEAPS}


def solver_steps(config: Config) -> dict[str, Config]:
    """The solver that the checkpoint states with so many steps, and the preset ``balanced``."""
    fast = {
        f"dpm++-{steps}": changed(config, solver="dpm++", spacing="karras", num_inference_steps=steps)
        for steps in STEPS
    }
    slow = changed(config, solver="ddim", spacing="timesteps", num_inference_steps=50, leap_sigma=0.0)
    return {**fast, "ddim-50": slow}


STUDIES = {
    "guidance": Study("validation", 8, 6, guidances),
    "leap": Study("validation", 8, 6, leaps),
    "steps": Study("validation", 8, 6, solver_steps),
    "temperatures": Study("validation", 8, 6, temperatures),
    "quality": Study("held-out", 8, 36, with_equal_cost, MAKE_NOTHING, with_ssim=True),
    "consistency": Study("held-out", 16, 26, fused_and_alone),
}
"""Settings are chosen on validation objects, told figures are of held-out ones."""
