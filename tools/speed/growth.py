"""Does cost grow with views, or with objects? A pipeline goes in, a result's JSON comes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from viewfusion import Config, ViewFusionPipeline, load_config
from viewfusion.preprocessing import PreparedImage

from .host import host
from .memory import give_back, resident

OBJECT_VIEWS = 4


def measure_growth(
    pipeline: ViewFusionPipeline,
    photo: PreparedImage,
    rings: Sequence[int],
    steps: int,
    objects: int,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Time and memory of each view of rings of so many views, and memory after each of ``objects``."""
    settings = [f"sampling.num_inference_steps={steps}"]

    def settled(views: int) -> Config:
        return pipeline.settled(load_config(None, [*settings, f"views={views}"]))

    for _ in pipeline.iter_views(photo, settled(OBJECT_VIEWS).trajectory(), settled(OBJECT_VIEWS)):
        pass
    grown = {}
    for views in rings:
        grown[str(views)] = grow_views(pipeline, photo, settled(views))
        say(f"{views} views: {sum(view['seconds'] for view in grown[str(views)]):.1f} s")
    after = grow_objects(pipeline, photo, settled(OBJECT_VIEWS), objects)
    say(f"{objects} objects: {after[0] / 2**20:.0f} MiB after the first, {after[-1] / 2**20:.0f} at the end")
    return {
        "kind": "growth",
        "host": host(pipeline.device),
        "solver_steps": steps,
        "rings": grown,
        "object_views": OBJECT_VIEWS,
        "resident_after_objects": after,
    }


def grow_views(pipeline: ViewFusionPipeline, photo: PreparedImage, config: Config) -> list[dict[str, Any]]:
    """Of each view in the order they are made; the encoding of the one before is in its time."""
    rows, started = [], time.perf_counter()
    for view in pipeline.iter_views(photo, config.trajectory(), config):
        now = time.perf_counter()
        give_back()
        if view.record:
            rows.append(
                {
                    "view": view.index,
                    "references": len(view.record.references),
                    "evaluations": view.record.network_evaluations,
                    "seconds": now - started,
                    "resident": resident(),
                }
            )
        started = time.perf_counter()
    return rows


def grow_objects(
    pipeline: ViewFusionPipeline, photo: PreparedImage, config: Config, objects: int
) -> list[int]:
    """Resident bytes after each object, a picture and a seed of its own."""
    after = []
    for number in range(objects):
        shifted = PreparedImage(np.roll(photo.rgba, number, axis=1), photo.method)
        pipeline(shifted, config=config, seed=number)
        give_back()
        after.append(resident())
    return after
