"""Spins of several variants, side by side: networks and settings go in, a result's JSON comes out.

Variants take turns, in another order each time, so that what slows the machine down for a while slows all of
them: after each view where they share a network, else after each spin, and each network has the device alone.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch

from viewfusion import Config, View, ViewFusionPipeline, load_config
from viewfusion.config import changed
from viewfusion.preprocessing import PreparedImage

from .host import Roof, host, wait_for
from .memory import PeakMemory
from .naive import naive_views
from .stages import PARTS, STAGES, FlopClock, Stages, clock_of

NAIVE, EXACT = "naive", "exact"
"""The two that run what the released code runs, one as it does and one as the pipeline does."""

WARM_STEPS = 2

T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """One way to make a spin.

    Args:
        name: :data:`NAIVE`, :data:`EXACT` or a preset.
        config: settled, see :meth:`viewfusion.ViewFusionPipeline.settled`.
        device: where its network belongs, if :func:`alone` has sent it away.
    """

    name: str
    pipeline: ViewFusionPipeline
    config: Config
    device: torch.device

    def views(self, photo: PreparedImage, **changes: Any) -> Iterator[View]:
        """As they are made, the input first; ``changes`` of the settings as of :func:`changed`."""
        config = self.pipeline.settled(changed(self.config, **changes))
        if self.name == NAIVE:
            return naive_views(self.pipeline.model, photo.image, config)
        return self.pipeline.iter_views(photo, config.trajectory(), config)


class Spin:
    """One run of a variant, a piece at a time.

    Attributes:
        views: made so far, by index.
        seconds: of all pieces.
        stages: rows and costs of all pieces.
        peak_memory, memory_is: the most of any piece, and what it is.
    """

    def __init__(self, variant: Variant, photo: PreparedImage) -> None:
        self.variant, self.device = variant, variant.device
        self.views: dict[int, View] = {}
        self.seconds, self.peak_memory, self.memory_is = 0.0, 0, ""
        self.stages = Stages(variant.pipeline.model, clock_of(self.device))
        self._coming = variant.views(photo)

    def go_on(self, views: int | None = None) -> bool:
        """Make as many more, or all; whether there may be more to make."""
        with PeakMemory(self.device) as memory, self.stages:
            wait_for(self.device)
            started = time.perf_counter()
            made = list(islice(self._coming, views))
            wait_for(self.device)
            self.seconds += time.perf_counter() - started
        self.views |= {view.index: view for view in made}
        self.peak_memory, self.memory_is = max(self.peak_memory, memory.bytes), memory.how
        return views is not None and len(made) == views


def variants(pipelines: Mapping[str, ViewFusionPipeline], overrides: Sequence[str]) -> list[Variant]:
    """Those that ``pipelines`` are for, by name.

    The first two have the settings of the preset "reference", but for a guidance scale that the checkpoint
    states: it costs nothing, and a small network cannot do with the released one.

    Raises:
        ViewFusionError: no such preset, or settings that do not go together.
    """
    made = []
    for name, pipeline in pipelines.items():
        preset, settings = name, list(overrides)
        if name in (NAIVE, EXACT):
            scale = pipeline.model.sampling()["guidance_scale"]
            preset, settings = "reference", [f"sampling.guidance_scale={scale}", *overrides]
        config = pipeline.settled(load_config(preset, settings))
        made.append(Variant(name, pipeline, config, pipeline.device))
    return made


def flops_a_row(variant: Variant, photo: PreparedImage) -> dict[str, float]:
    """Floating-point operations of each stage for one row of it, counted in a ring of 2 with all its steps.

    Of "other" for one encoding: what is worked out once for a reference.
    """
    with FlopClock() as clock, Stages(variant.pipeline.model, clock) as stages:
        for _ in variant.views(photo, views=2):
            pass
    costs, rows = stages.costs(), rows_of(stages.rows)
    return {stage: costs[stage] / rows[stage] for stage in STAGES}


def rows_of(parts: Mapping[str, int]) -> dict[str, int]:
    """By stage, of rows by part; views encoded, not networks asked."""
    rows = {stage: parts[part] for part, stage in reversed(PARTS.items())}
    return {**rows, "solver": rows["network"], "other": rows["encode"]}


def measure_spins(
    made: Sequence[Variant], photo: PreparedImage, repeat: int, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Times, counts and pictures of all variants, for JSON."""
    roofs: dict[torch.dtype, Roof] = {}
    flops = {}
    for variant in made:
        alone(variant, made)
        # All shapes that come later; more steps would add nothing new.
        for _ in variant.views(photo, num_inference_steps=WARM_STEPS):
            pass
        flops[variant.name] = flops_a_row(variant, photo)
        dtype = variant.pipeline.dtype
        roofs.setdefault(dtype, Roof(variant.device, dtype))
    turns = []
    for turn in range(repeat):
        for roof in roofs.values():
            roof.look()
        turns.append(one_turn(made, photo, turn))
        told_now = ", ".join(f"{spin.variant.name} {spin.seconds:.2f} s" for spin in turns[-1])
        say(f"{turn + 1}/{repeat}: {told_now}")
    spins = {variant.name: [turn[place] for turn in turns] for place, variant in enumerate(made)}
    results = {
        variant.name: told(variant, spins[variant.name], flops[variant.name], roofs[variant.pipeline.dtype])
        for variant in made
    }
    compare(results, spins)
    return {
        "kind": "spin",
        "host": host(made[0].device),
        "views": made[0].config.views,
        "repeat": repeat,
        "matrix_products": {str(dtype)[6:]: [roof.side, roof.reached] for dtype, roof in roofs.items()},
        "variants": results,
    }


def one_turn(made: Sequence[Variant], photo: PreparedImage, turn: int) -> list[Spin]:
    """A spin of each variant, in the order of ``made``."""
    gc.collect()
    spins = [Spin(variant, photo) for variant in made]
    if len({id(variant.pipeline.model) for variant in made}) == 1:
        left, place = spins, turn
        while left:
            left, place = [spin for spin in rotated(left, place) if spin.go_on(1)], place + 1
    else:
        for spin in rotated(spins, turn):
            alone(spin.variant, made)
            spin.go_on()
    if turn:
        # The first pictures are compared; more would be taken for memory that the next spins need.
        for spin in spins:
            spin.views = {}
    return spins


def rotated(several: Sequence[T], turn: int) -> list[T]:
    """Each time another one first."""
    start = turn % len(several)
    return [*several[start:], *several[:start]]


def alone(variant: Variant, made: Sequence[Variant]) -> None:
    """Have this variant's network on its device and no other, so that its memory is its own."""
    for each in made:
        if each.pipeline.model is not variant.pipeline.model:
            each.pipeline.to("cpu")
    variant.pipeline.to(variant.device)


def told(variant: Variant, spins: Sequence[Spin], flops: Mapping[str, float], roof: Roof) -> dict[str, Any]:
    """What one variant took."""
    parts, seconds = spins[0].stages.rows, median(each.seconds for each in spins)
    rows = rows_of(parts)
    total = sum(flops[stage] * rows[stage] for stage in STAGES)
    records = [view.record for view in spins[0].views.values() if view.record]
    costs = [each.stages.costs() for each in spins]
    shares = {stage: median(each[stage] / sum(each.values()) for each in costs) for stage in STAGES}
    return {
        "seconds": seconds,
        "seconds_each": [each.seconds for each in spins],
        "evaluations": parts["unet"],
        "encodes": parts["vae.encoder"],
        "decodes": parts["vae.decoder"],
        "references": sum(len(record.references) for record in records),
        "most_references": max(len(record.references) for record in records),
        "solver_steps": max(record.solver_steps for record in records),
        "peak_memory": max(each.peak_memory for each in spins),
        "peak_memory_is": spins[0].memory_is,
        "shares": shares,
        "flops": total,
        "flops_a_row": dict(flops),
        "flops_a_second": total / seconds,
        "roofline_share": total / seconds / roof.reached,
        "dtype": str(variant.pipeline.dtype)[6:],
        "config": variant.config.to_dict(),
    }


def compare(results: dict[str, Any], spins: Mapping[str, Sequence[Spin]]) -> None:
    """Add how far each is from the baseline (or else the first): pictures in 8-bit steps, and speed."""
    baseline = NAIVE if NAIVE in spins else next(iter(spins))
    first = spins[baseline][0].views
    for name, result in results.items():
        views = spins[name][0].views
        pairs = [(first[index], views[index]) for index in first if index in views]
        known = all(view.image.isfinite().all() for pair in pairs for view in pair)
        differences = np.stack([np.abs(a.rgb.astype(int) - b.rgb) for a, b in pairs])
        times = [a.seconds / b.seconds for a, b in zip(spins[baseline], spins[name], strict=True)]
        result["compared_with"] = baseline
        # Random weights in half precision may overflow; then there is nothing to compare.
        result["max_difference"] = int(differences.max()) if known else None
        result["mean_difference"] = float(differences.mean()) if known else None
        result["speedup"] = median(times)
        result["speedup_range"] = [min(times), max(times)]
