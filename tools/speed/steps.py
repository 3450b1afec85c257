"""One solver step, for networks too large for a spin here: a pipeline goes in, a result's JSON comes out.

What the references look like costs nothing, so theirs are random numbers and not encoded pictures. How many
evaluations a spin takes follows from the schedule.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from viewfusion import Config, ViewFusionPipeline
from viewfusion.conditioning import ReferenceMemory
from viewfusion.fusion import FusedDenoiser, Target, evaluations_a_step, schedule
from viewfusion.geometry import Pose
from viewfusion.solvers import scheduler_of

from .host import Roof, host, wait_for
from .naive import NaiveDenoiser
from .spins import EXACT, NAIVE
from .stages import FlopClock

TIMESTEP = 500

Step = Callable[[torch.Tensor, int], torch.Tensor]
"""A denoiser: (rows, 4, h, w) latents and a timestep -> predicted noise of as many rows."""


@torch.inference_mode()
def measure_steps(
    pipeline: ViewFusionPipeline,
    config: Config,
    references: int,
    repeat: int,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """The best time of one step with so many ``references``, naive and exact, and the counts of a spin."""
    model, makers = pipeline.model, {NAIVE: naive_step, EXACT: exact_step}
    latents = torch.randn(model.latent_shape, generator=torch.Generator().manual_seed(0)).to(model.device)[
        None
    ]
    results = counts(pipeline, config)
    for name, make in makers.items():
        # A small step warms up, and is slow to count, which the measured one shall not be.
        with FlopClock() as clock:
            make(pipeline, config, 1)(latents, TIMESTEP)
        results[name] |= {"flops_a_row": clock.mark() / 2, "seconds": float("inf")}
    roof = Roof(model.device, model.dtype)
    for turn in range(repeat):
        for name, make in makers.items():
            roof.look()
            step, shared = make(pipeline, config, references), latents
            if name == NAIVE:
                shared = latents.expand(references, -1, -1, -1)
            wait_for(model.device)
            started = time.perf_counter()
            step(shared, TIMESTEP)
            wait_for(model.device)
            seconds = time.perf_counter() - started
            rows = 2 * references if name == NAIVE else evaluations_a_step("viewfusion", references)
            results[name] |= {"seconds": min(seconds, results[name]["seconds"]), "rows": rows}
            say(f"{name} {turn + 1}/{repeat}: {rows} rows in {seconds:.2f} s")
    return {
        "kind": "steps",
        "host": host(model.device),
        "views": config.views,
        "references": references,
        "repeat": repeat,
        "dtype": str(model.dtype)[6:],
        "matrix_product": [roof.side, roof.reached],
        "variants": results,
    }


def naive_step(pipeline: ViewFusionPipeline, config: Config, references: int) -> Step:
    embeds, cond_latents = random_encodings(pipeline, references)
    moves = pipeline.model.pose_embedding(Pose(0.0), [Pose(0.1)] * references)
    tokens = pipeline.model.project(embeds, moves)
    return NaiveDenoiser(pipeline.model, tokens, cond_latents, config.sampling.guidance_scale or 1)


def exact_step(pipeline: ViewFusionPipeline, config: Config, references: int) -> Step:
    memory = ReferenceMemory(pipeline.model)
    embeds, cond_latents = random_encodings(pipeline, references)
    for index in range(references):
        memory.add(index, Pose(0.1), torch.zeros(1))
        memory._encoded[index] = embeds[index : index + 1], cond_latents[index : index + 1]
    target = Target(references, tuple(range(references)), (1 / references,) * references)
    conditions, scale = memory.conditions(target, Pose(0.0)), config.sampling.guidance_scale or 1
    return FusedDenoiser(pipeline.network, conditions, scale)


def random_encodings(pipeline: ViewFusionPipeline, references: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, D) embeddings and (N, 4, h, w) condition latents."""
    model, generator = pipeline.model, torch.Generator().manual_seed(1)
    width = model.image_encoder.config.projection_dim
    shapes = (references, width), (references, *model.latent_shape)
    embeds, latents = (
        torch.randn(each, generator=generator).to(model.device, model.dtype) for each in shapes
    )
    return embeds, latents


def counts(pipeline: ViewFusionPipeline, config: Config) -> dict[str, dict[str, Any]]:
    """Evaluations, encodes and decodes of a spin, by the schedule."""
    steps = len(scheduler_of(config.sampling, pipeline.model.scheduler_config).timesteps)
    targets = schedule(config.trajectory(), config.rules())
    passes = sum(len(target.references) for target in targets)
    rows = sum(evaluations_a_step("viewfusion", len(target.references)) for target in targets)
    encoded = len({reference for target in targets for reference in target.references})
    made = {"decodes": len(targets), "solver_steps": steps}
    return {
        NAIVE: {"evaluations": 2 * passes * steps, "encodes": passes, **made},
        EXACT: {"evaluations": rows * steps, "encodes": encoded, **made},
    }
