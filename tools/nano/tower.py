"""The stage between: the image tower, taught by a small helper that is then thrown away.

Taught through the UNet alone, a tower this small and this young dies: its output stops depending on the
picture, and the network sees the object only as laid out in the condition latents. Here the helper has
nothing but the tower's embedding and the camera move to guess the other view from.
"""

from __future__ import annotations

import torch
from omegaconf import DictConfig
from torch import nn

from viewfusion.zero123.model import Zero123

from .loop import TimedModule
from .views import MoveSource


class TowerModule(TimedModule):
    """Trains ``model.image_encoder``; arguments as of :class:`nano.diffusion.DiffusionModule`."""

    def __init__(
        self, model: Zero123, moves: MoveSource, settings: DictConfig, minutes: float, **options: object
    ) -> None:
        super().__init__(settings, minutes, **options)
        self.moves, self.outside = moves, (model,)
        self.image_encoder = model.image_encoder
        width, size = settings.helper_width, torch.Size(model.latent_shape)
        self.helper = nn.Sequential(
            nn.Linear(model.image_encoder.config.projection_dim + 4, width),
            *(layer for _ in range(2) for layer in (nn.GELU(), nn.LayerNorm(width), nn.Linear(width, width))),
            nn.GELU(),
            nn.LayerNorm(width),
            nn.Linear(width, size.numel()),
            nn.Unflatten(-1, size),
        )

    def on_fit_start(self) -> None:
        self.outside[0].to(self.device)

    def loss(self) -> torch.Tensor:
        moves = self.moves.draw(self.settings.inputs_per_batch, self.settings.targets_per_input)
        moves = moves.to(self.device)
        embeds = self.outside[0].embed_images(moves.images)
        each = embeds[:, None].expand(-1, moves.pose_embeddings.shape[1], -1)
        guess = self.helper(torch.cat([each, moves.pose_embeddings.to(each)], -1))
        # Relative to the spread of the views: 1 is what guessing their mean costs.
        return (guess.float() - moves.latents).square().mean() / moves.latents.var((0, 1)).mean()
