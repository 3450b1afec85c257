"""Wires the stages: a photo in, views out, one at a time.

image -> preprocessing -> conditioning; trajectory -> schedule -> weights; both -> fused denoiser ->
sampling -> View. A finished view conditions later ones: the only loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from viewfusion.conditioning import ReferenceMemory
from viewfusion.config import Config, changed, load_config
from viewfusion.fusion import (
    Conditions,
    FusedDenoiser,
    NoiseSource,
    Target,
    ViewNoise,
    sample,
    schedule,
    view_generator,
)
from viewfusion.geometry import Family, Trajectory
from viewfusion.preprocessing import PreparedImage, prepare_image
from viewfusion.solvers import make_scheduler
from viewfusion.views import View, ViewRecord, ViewSet
from viewfusion.zero123 import Zero123, load_zero123

OnStep = Callable[[int, int, int, int], None]
"""Called with (targets done, targets in all, steps done, steps in all)."""


class ViewFusionPipeline:
    """One photo in, consistent views out.

        pipeline = ViewFusionPipeline.from_checkpoint("zero123-nano")
        views = pipeline("chair.png", views=16)

    Args:
        model: the frozen network; see :func:`viewfusion.load_zero123`.
    """

    def __init__(self, model: Zero123) -> None:
        self.model = model

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path = "zero123-nano",
        config: str | Path | None = None,
        device: str = "auto",
        family: Family | None = None,
    ) -> ViewFusionPipeline:
        """Load ``checkpoint``, a name or a path; see :func:`viewfusion.zero123.open_checkpoint`.

        Args:
            config: an original file's YAML.
            family: "zero123" or "stable-zero123", for a file that nothing else tells apart.

        Raises:
            ViewFusionError: no such checkpoint, a damaged or foreign one, an absent device.
        """
        where = best_device() if device == "auto" else device
        return cls(load_zero123(checkpoint, config, device=where, family=family))

    def __call__(
        self,
        image: Any,
        trajectory: Trajectory | None = None,
        config: Config | None = None,
        on_step: OnStep | None = None,
        **changes: Any,
    ) -> ViewSet:
        """All views of ``trajectory`` (default: a ring of ``config.views``), in output order.

        Args:
            image: a path, PIL image or (H, W, 4) uint8 array; or a :class:`PreparedImage`.
            trajectory: from :mod:`viewfusion.geometry`; one input view.
            config: from :func:`viewfusion.load_config`; default: the "balanced" preset.
            changes: fields of ``config`` to set otherwise, e.g. ``views=36, seed=1``.
        """
        config = changed(config or load_config(), **changes)
        trajectory = trajectory or config.trajectory()
        views = {view.index: view for view in self.iter_views(image, trajectory, config, on_step=on_step)}
        return ViewSet(tuple(views[index] for index in sorted(views)))

    def prepare(self, image: Any) -> PreparedImage:
        """The photo as the network will see it; see :func:`viewfusion.preprocessing.prepare_image`."""
        if isinstance(image, PreparedImage):
            return image
        return prepare_image(image, self.model.image_size)

    @torch.inference_mode()
    def iter_views(
        self,
        image: Any,
        trajectory: Trajectory,
        config: Config,
        *,
        finished: Mapping[int, torch.Tensor] | None = None,
        noise: Callable[[Target], NoiseSource] | None = None,
        memory: ReferenceMemory | None = None,
        on_step: OnStep | None = None,
    ) -> Iterator[View]:
        """Views one at a time, in the order they are made; the input first.

        Args:
            image: as in :meth:`__call__`; for several posed inputs a list, in the trajectory's order.
            finished: latents (4, h, w) of views made by an earlier run; they are decoded, not made again.
            noise: a source of noise per target; default: :class:`ViewNoise` of (``config.seed``, view).
            memory: of an earlier call with the same inputs, whose encodings are then not made again.
            on_step: see :data:`OnStep`.
        """
        images = image if isinstance(image, list) else [image]
        inputs = [self.prepare(each).image for each in images]
        if len(inputs) != trajectory.num_inputs:
            raise ValueError(f"the trajectory has {trajectory.num_inputs} inputs, got {len(inputs)} images")
        finished = finished or {}
        memory = ReferenceMemory(self.model) if memory is None else memory
        for index, pixels in enumerate(inputs):
            memory.add(index, trajectory.views[index], pixels)
            yield View(index, trajectory.views[index], pixels[0])
        targets = schedule(trajectory, config.rules())
        for done, target in enumerate(targets):
            pose, record = trajectory.views[target.view], None
            if target.view in finished:
                latents = finished[target.view][None]
            else:
                source = noise(target) if noise else self._noise(target, config)
                step = partial(on_step, done, len(targets)) if on_step else None
                latents, record = self._denoise(memory.conditions(target, pose), target, source, config, step)
            decoded = self.model.decode_latents(latents.to(self.model.device, self.model.dtype))
            pixels = decoded.float().clamp(-1, 1).cpu()
            memory.add(target.view, pose, pixels)
            yield View(target.view, pose, pixels[0], latents[0].cpu(), record)

    def _denoise(
        self,
        conditions: Conditions,
        target: Target,
        noise: NoiseSource,
        config: Config,
        on_step: Callable[[int, int], None] | None,
    ) -> tuple[torch.Tensor, ViewRecord]:
        """Latents (1, 4, h, w) of one target, and how they came about."""
        started, sampling = time.perf_counter(), config.sampling
        scheduler = make_scheduler(sampling.solver, self.model.scheduler_config, sampling.num_inference_steps)
        denoiser = FusedDenoiser(self._predict_noise, conditions, sampling.guidance_scale)
        latents = sample(denoiser, scheduler, noise, sampling.eta, on_step)
        steps, seconds = len(scheduler.timesteps), time.perf_counter() - started
        return latents, ViewRecord(target.references, target.weights, steps, denoiser.evaluations, seconds)

    def _predict_noise(self, latents, timestep, tokens, cond_latents) -> torch.Tensor:
        # Solvers keep float32 whatever the network computes in: their rounding would add up over steps.
        predicted = self.model.predict_noise(latents.to(self.model.dtype), timestep, tokens, cond_latents)
        return predicted.float()

    def _noise(self, target: Target, config: Config) -> ViewNoise:
        return ViewNoise(
            view_generator(config.seed, target.view),
            self.model.latent_shape,
            target.weights,
            config.sampling.noise,
            self.model.device,
        )


def best_device() -> str:
    """The fastest device of this machine that torch can use."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
