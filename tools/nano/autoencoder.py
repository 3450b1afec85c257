"""The first stage: a small KL autoencoder of views."""

from __future__ import annotations

import math

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
        # Left alone, a small autoencoder spends its channels on brightness and one colour axis. Most are told
        # to be a thumbnail; the rest are free to say where inside a cell the edges run.
        small = thumbnail(images, posterior.mean.shape[1:])
        told = posterior.mean[:, : small.shape[1]].float() - small
        fit = error.abs().mean() + error.square().mean() + edges
        return fit + self.settings.kl_weight * kl + self.settings.thumbnail_weight * told.abs().mean()


def thumbnail(images: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The finest thumbnail of (N, 3, H, W) images that fits into latents of ``shape`` (C, h, w).

    (N, 3 k^2, h, w): area-averaged brightness and colour of k h times k w pixels, of about unit spread, each
    channel with one of the k^2 pixels of its cell.
    """
    channels, height, width = shape
    fold = math.isqrt(channels // 3)
    small = 2 * opponent(functional.interpolate(images, (fold * height, fold * width), mode="area"))
    small = small - small.new_tensor([1.0, 0.0, 0.0])[:, None, None]
    return functional.pixel_unshuffle(small, fold)


def opponent(rgb: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) RGB -> brightness, red-green, blue-yellow.

    Colour is a small part of RGB's variance, and a young autoencoder that is judged in RGB stays grey.
    """
    red, green, blue = rgb.unbind(1)
    return torch.stack([(red + green + blue) / 3, 2 * (red - green), 2 * blue - red - green], 1)


@torch.no_grad()
def balance_channels(model: Zero123, views: MoveSource) -> None:
    """Give the channels that are no thumbnail its spread; pictures stay as they are.

    Squared errors of latents are what the later stages learn by. Nothing keeps the free channels small, and
    as they come they count for two thirds of it, while colours are in the others.
    """
    vae, latents = model.vae, some_latents(model, views)
    told = 3 * math.isqrt(latents.shape[1] // 3) ** 2
    spreads = latents.std((0, 2, 3))
    factors = torch.ones_like(spreads)
    factors[told:] = spreads[:told].mean() / spreads[told:]
    scale = torch.cat([factors, torch.ones_like(factors)])  # of the means; then the log variances
    vae.quant_conv.weight.mul_(scale[:, None, None, None])
    vae.quant_conv.bias.mul_(scale).add_(2 * torch.cat([torch.zeros_like(factors), factors.log()]))
    vae.post_quant_conv.weight.div_(factors[:, None, None])


def measure_scale(model: Zero123, views: MoveSource, spread: float) -> float:
    """The scaling factor that gives latents the standard deviation ``spread``."""
    return spread / float(some_latents(model, views).std())


@torch.no_grad()
def some_latents(model: Zero123, views: MoveSource) -> torch.Tensor:
    """Unscaled latents of 2000 views."""
    batches = (views.pictures(100).to(model.device) for _ in range(20))
    return torch.cat([model.encode_cond_latents(pictures) for pictures in batches])
