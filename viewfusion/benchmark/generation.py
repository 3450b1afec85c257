"""Generation: the true views of an object and a pipeline go in, ours of the same places come out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from viewfusion.conditioning import ReferenceMemory
from viewfusion.config import Config, changed
from viewfusion.geometry import Trajectory, around, path_to, ring
from viewfusion.preprocessing import PreparedImage

from .truth import Truth

if TYPE_CHECKING:
    from viewfusion.pipeline import ViewFusionPipeline

OnView = Callable[[int, int], None]
"""Told how many views are made, of how many."""


def generate(
    pipeline: ViewFusionPipeline,
    task: str,
    name: str,
    truth: Truth,
    config: Config,
    on_view: OnView = lambda done, total: None,
) -> list[np.ndarray]:
    """A view (S, S, 3) uint8 for each place of ``truth``, at the size the model makes them; the input is what
    the model saw.

    Args:
        task: of the protocol: a "ring" or "spin" is made as one; "targets" each on its own way.
        name: of the object: with ``config.seed`` it decides the noise.
    """
    source = truth.poses[truth.input]
    config = changed(
        config,
        views=len(truth.poses),
        seed=object_seed(config.seed, name),
        elevation_deg=source.elevation_deg,
        radius=source.radius,
    )
    prepared = PreparedImage(_fitted(truth.input_rgba, pipeline.model.image_size), "given")
    if task == "targets":
        return _targets(pipeline, prepared, truth, config, on_view)
    trajectory = ring(len(truth.poses), source.elevation, source.radius)
    return _made(pipeline, prepared, trajectory, config, on_view)


def object_seed(seed: int, name: str) -> int:
    """A seed that depends on the run's and the object's name alone, so that objects do not share noise."""
    digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big")


def _made(
    pipeline: ViewFusionPipeline,
    prepared: PreparedImage,
    trajectory: Trajectory,
    config: Config,
    on_view: OnView,
) -> list[np.ndarray]:
    views = {}
    for view in pipeline.iter_views(prepared, trajectory, config):
        views[view.index] = view.rgb
        on_view(len(views), len(trajectory.views))
    return [views[index] for index in sorted(views)]


def _targets(
    pipeline: ViewFusionPipeline, prepared: PreparedImage, truth: Truth, config: Config, on_view: OnView
) -> list[np.ndarray]:
    """Each target by the path that leads to it; views on the way are not kept."""
    source, total = truth.poses[truth.input], len(truth.poses)
    memory = ReferenceMemory(pipeline.model)
    made: list[np.ndarray] = []
    for place, pose in enumerate(truth.poses):
        if place == truth.input:
            made.append(_seen(prepared))
        else:
            # Made from the input alone, a target needs no views on its way.
            alone = config.fusion.variant == "zero123"
            trajectory = around(source, [pose]) if alone else path_to(source, pose)
            *_, view = pipeline.iter_views(prepared, trajectory, config, memory=memory)
            made.append(view.rgb)
        on_view(place + 1, total)
    return made


def _seen(prepared: PreparedImage) -> np.ndarray:
    from viewfusion.preprocessing import over_white

    return over_white(prepared.rgba)


def _fitted(rgba: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 4) uint8: a benchmark's input is framed already, so it is only resized."""
    if rgba.shape[:2] == (size, size):
        return rgba
    # Pillow resizes RGBA with the colours weighted by alpha, smoothed where it shrinks.
    return np.asarray(Image.fromarray(rgba).resize((size, size), Image.Resampling.BICUBIC))
