"""The second stage: UNet, image tower and projection, on the frozen autoencoder's latents."""

from __future__ import annotations

import torch
from omegaconf import DictConfig, ListConfig
from torch.nn import functional

from viewfusion.zero123.model import Zero123

from .attention import compile_unet
from .loop import TimedModule
from .views import MoveSource
from .watch import Watch

PHASE = {"share", "noise_alone", "noise_power", "unconditional_share", "blemished_share"}
"""What is said of each part of the time, see configs/training/zero123-nano.yaml."""


class DiffusionModule(TimedModule):
    """Trains everything of ``model`` but its autoencoder to predict v.

    Args:
        model: its autoencoder is no part of this module's state.
        moves: what to train on.
        spread: standard deviation of the scaled latents.
        watch: what is measured on the averaged weights meanwhile.
        settings, minutes, options: of :class:`TimedModule`.

    Raises:
        SystemExit: phases with other keys than :data:`PHASE`.
    """

    def __init__(
        self,
        model: Zero123,
        moves: MoveSource,
        spread: float,
        settings: DictConfig,
        minutes: float,
        watch: Watch | None = None,
        **options: object,
    ) -> None:
        super().__init__(settings, minutes, **options)
        check_phases(settings.phases)
        self.spread, self.moves = spread, moves
        self.unet, self.image_encoder = model.unet, model.image_encoder
        self.cc_projection = model.cc_projection
        self.image_encoder.requires_grad_(settings.tower_rate > 0)
        self.outside = (model, watch)  # in a tuple, so that torch does not take the model for a part
        if settings.compile:
            compile_unet(self.unet)

    def rates(self) -> list[tuple[float, list[torch.nn.Parameter]]]:
        tower = list(self.image_encoder.parameters())
        rest = [*self.unet.parameters(), *self.cc_projection.parameters()]
        rate = self.settings.tower_rate
        return [(1.0, rest), (rate, tower)] if rate else [(1.0, rest)]

    def on_fit_start(self) -> None:
        self.outside[0].to(self.device)

    def loss(self) -> torch.Tensor:
        model, settings = self.outside[0], self.settings
        drawn = self.moves.draw(settings.inputs_per_batch, settings.targets_per_input)
        moves = drawn.to(self.device)
        phase = self.phase()
        images, cond = self.blemish(moves.images, moves.cond_latents, phase.blemished_share)
        repeat = moves.pose_embeddings.shape[1]  # fewer than asked for, of objects with few views
        embeds, cond = (x.repeat_interleave(repeat, 0) for x in (model.embed_images(images), cond))
        tokens = model.project(embeds, moves.pose_embeddings.flatten(0, 1))
        keep = (torch.rand(len(cond), device=cond.device) >= phase.unconditional_share).float()
        tokens, cond = tokens * keep[:, None, None], cond * keep[:, None, None, None]
        clean = moves.latents.flatten(0, 1) * model.vae.config["scaling_factor"]
        t = draw_timesteps(len(clean), model.alphas_cumprod, phase.noise_power, phase.noise_alone)
        alpha = model.alphas_cumprod[t][:, None, None, None]
        noise = torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        truth = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        output = self.unet(torch.cat([noisy, cond], 1), t, encoder_hidden_states=tokens).sample
        error = (output.float() - truth).square().mean((1, 2, 3))
        return (error * evening_weights(model.alphas_cumprod[t], self.spread)).mean()

    def phase(self) -> DictConfig:
        """The part of the time that is now."""
        ends = 0.0
        for phase in self.settings.phases:
            ends += phase.share
            if 1 - self.left < ends:
                break
        return phase

    def blemish(
        self, images: torch.Tensor, cond: torch.Tensor, share: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Speckle a ``share`` of the inputs: fused sampling shows the network its own imperfect views."""
        count, device = len(images), images.device
        chosen = torch.rand(count, 1, 1, 1, device=device) < share
        strength = chosen * torch.rand(count, 1, 1, 1, device=device) * self.settings.blemish
        specks = torch.randn(count, 3, *cond.shape[-2:], device=device)
        specks = functional.interpolate(specks, images.shape[-2:], mode="bilinear")
        noise = torch.randn_like(cond) * cond.std()
        return (images + strength * specks).clamp(-1, 1), cond + strength * noise

    def validation_step(self, batch: int, batch_index: int) -> None:
        """Lightning has put the averaged weights in place."""
        model, watch = self.outside
        if watch and self.trainer.is_global_zero:
            # Uncompiled: other batch sizes would each be compiled. In full precision: at high noise x0 is
            # the small difference of large numbers, and bfloat16 costs 1.5 dB.
            whole = torch.autocast(self.device.type, enabled=False)
            with torch.compiler.set_stance("force_eager"), whole:
                watch(model, self.global_step, float(self.trained_seconds) / 60)


def check_phases(phases: ListConfig) -> None:
    for phase in phases:
        if set(phase) != PHASE:
            raise SystemExit(f"a phase must have {', '.join(sorted(PHASE))}; got {', '.join(sorted(phase))}")


def draw_timesteps(
    count: int, alphas_cumprod: torch.Tensor, power: float, alone: float = 0.0
) -> torch.Tensor:
    """(count,) timesteps whose log noise-to-signal ratios go evenly from least to most at ``power`` 1.

    Evenly in t would leave a few in a hundred for the noises at which small latents get their detail.
    Below 1 favours high noise, where the geometry is decided. A share ``alone`` is the noisiest instead.
    """
    ratio = (1 / alphas_cumprod - 1).sqrt().log()
    share = torch.rand(count, device=ratio.device) ** power
    share = share.where(torch.rand(count, device=ratio.device) >= alone, 1.0)
    drawn = ratio[0] + (ratio[-1] - ratio[0]) * share
    return torch.searchsorted(ratio, drawn).clamp(max=len(ratio) - 1)


def evening_weights(alphas_cumprod: torch.Tensor, spread: float) -> torch.Tensor:
    """What v's squared error counts at each noise for latents of standard deviation ``spread``.

    Makes it the error of x0 relative to what can be unknown of it: sigma^2 spread^2 / (sigma^2 + spread^2)
    (Karras et al. 2022, table 1, whose output scaling has unit targets at every noise).
    """
    variance = 1 / alphas_cumprod - 1
    return (variance + spread**2) / (spread**2 * (variance + 1))
