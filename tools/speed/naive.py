"""A spin as the released code makes it: the baseline of speed, and nothing else.

Enters: a network, a photo, settings. Leaves: the pipeline's pictures up to rounding, at the released code's
cost: every reference is encoded anew for every target, and each has an unconditional prediction (2N rows a
step, N of them equal) and a solver step of its own. Its three copies of the UNet in memory are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from viewfusion import Config, View
from viewfusion.fusion import Target, ViewNoise, fuse, sample, schedule, view_generator
from viewfusion.geometry import Pose
from viewfusion.solvers import scheduler_of
from viewfusion.views import ViewRecord
from viewfusion.zero123 import Zero123

Known = dict[int, tuple[Pose, torch.Tensor]]
"""Views made so far: pose and pixels (1, 3, H, W)."""


class NaiveDenoiser:
    """Guidance with an unconditional row for each reference.

    Args:
        tokens, cond_latents: (N, 1, D) and (N, 4, h, w), as of :class:`viewfusion.fusion.Conditions`.

    Attributes:
        evaluations: network evaluations (rows) so far.
    """

    def __init__(
        self, model: Zero123, tokens: torch.Tensor, cond_latents: torch.Tensor, guidance_scale: float
    ) -> None:
        self.model, self.guidance_scale = model, guidance_scale
        self.tokens = torch.cat([torch.zeros_like(tokens), tokens])
        self.cond_latents = torch.cat([torch.zeros_like(cond_latents), cond_latents])
        self.evaluations = 0

    def __call__(self, latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        """(N, 4, h, w) predictions at (N, 4, h, w) latents."""
        twice = torch.cat([latents, latents]).to(self.model.dtype)
        predicted = self.model.predict_noise(twice, timestep, self.tokens, self.cond_latents).float()
        self.evaluations += len(predicted)
        unconditional, conditional = predicted.chunk(2)
        return unconditional + self.guidance_scale * (conditional - unconditional)


@torch.inference_mode()
def naive_views(model: Zero123, image: torch.Tensor, config: Config) -> Iterator[View]:
    """Views of a ring in the order they are made, the input first.

    Args:
        image: (1, 3, H, W) in [-1, 1].
        config: settled, see :meth:`viewfusion.ViewFusionPipeline.settled`.
    """
    trajectory = config.trajectory()
    known: Known = {0: (trajectory.views[0], image)}
    yield View(0, trajectory.views[0], image[0])
    for target in schedule(trajectory, config.rules()):
        pose = trajectory.views[target.view]
        latents, record = _denoised(model, known, target, pose, config)
        decoded = model.decode_latents(latents.to(model.dtype))
        pixels = decoded.float().clamp(-1, 1).cpu()
        known[target.view] = pose, pixels
        yield View(target.view, pose, pixels[0], latents[0].cpu(), record)


def _denoised(
    model: Zero123, known: Known, target: Target, pose: Pose, config: Config
) -> tuple[torch.Tensor, ViewRecord]:
    """Latents (1, 4, h, w) of one target: the average after each step of those of each reference."""
    started, count = time.perf_counter(), len(target.references)
    references = [known[index] for index in target.references]
    embeds, cond_latents = _encoded(model, [pixels for _, pixels in references])
    tokens = model.project(embeds, model.pose_embedding(pose, [each for each, _ in references]))
    sampling, weights = config.sampling, torch.tensor(target.weights)
    scheduler = scheduler_of(sampling, model.scheduler_config)
    noise = ViewNoise(
        view_generator(config.seed, target.view),
        model.latent_shape,
        target.weights,
        sampling.noise,
        model.device,
        rows=count,
    )
    denoiser = NaiveDenoiser(model, tokens, cond_latents, sampling.guidance_scale)

    def averaged(step: int, timestep: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return fuse(latents, weights).expand(count, -1, -1, -1)

    latents = sample(denoiser, scheduler, noise, sampling.eta, averaged)[:1]
    seconds = time.perf_counter() - started
    steps = len(scheduler.timesteps)
    return latents, ViewRecord(target.references, target.weights, steps, denoiser.evaluations, seconds)


def _encoded(model: Zero123, pixels: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, D) embeddings and (N, 4, h, w) condition latents, one picture after another."""
    there = [each.to(model.device, model.dtype) for each in pixels]
    embeds = [model.embed_images(each) for each in there]
    return torch.cat(embeds), torch.cat([model.encode_cond_latents(each) for each in there])
