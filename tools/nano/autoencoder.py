"""The first stage: a small KL autoencoder of views."""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from torch.nn import functional

from viewfusion.zero123.model import Zero123

from .loop import TimedModule
from .views import MoveSource


class AutoencoderModule(TimedModule):
    """Trains ``model.vae`` on the pictures of ``views``; the rest is as of :class:`TimedModule`."""

    def __init__(
        self, model: Zero123, views: MoveSource, settings: DictConfig, minutes: float, **options: object
    ) -> None:
        super().__init__(settings, minutes, **options)
        self.vae, self.views = model.vae, views

    def loss(self) -> torch.Tensor:
        images = self.views.pictures(self.settings.batch_size).to(self.device)
        posterior = self.vae.encode(images).latent_dist
        # Most of a frame is white paper; the object is what has to be learned.
        weight = 0.25 + (images.amin(1, keepdim=True) < 0.98).float()
        error = weight * opponent(self.vae.decode(posterior.sample()).sample.float() - images)
        edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) / 2
        kl = posterior.kl().mean() / posterior.mean[0].numel()
        # Left alone, a small autoencoder spends its four channels on brightness and one colour axis.
        # Three are told to be a thumbnail; the fourth is free to say where inside a cell the edges run.
        told = posterior.mean[:, :3].float() - thumbnail(images, posterior.mean.shape[-1])
        fit = error.abs().mean() + error.square().mean() + edges
        return fit + self.settings.kl_weight * kl + self.settings.thumbnail_weight * told.abs().mean()


def thumbnail(images: torch.Tensor, size: int) -> torch.Tensor:
    """(N, 3, size, size) area-averaged brightness and colour of (N, 3, H, W) images, of about unit spread."""
    small = 2 * opponent(functional.interpolate(images, (size, size), mode="area"))
    return small - small.new_tensor([1.0, 0.0, 0.0])[:, None, None]


def opponent(rgb: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) RGB -> brightness, red-green, blue-yellow.

    Colour is a small part of RGB's variance, and a young autoencoder that is judged in RGB stays grey.
    """
    red, green, blue = rgb.unbind(1)
    return torch.stack([(red + green + blue) / 3, 2 * (red - green), 2 * blue - red - green], 1)


@torch.no_grad()
def measure_scale(model: Zero123, views: MoveSource, spread: float) -> float:
    """The scaling factor that gives latents the standard deviation ``spread``."""
    latents = [model.encode_cond_latents(views.pictures(100).to(model.device)) for _ in range(20)]
    return spread / float(torch.cat(latents).std())
