"""Train zero123-nano from scratch: the autoencoder first, then everything else.

    python tools/make_dataset.py --out STATE/objects
    python tools/train_nano.py autoencoder --data STATE/objects --state STATE --minutes 25
    python tools/train_nano.py diffusion --data STATE/objects --state STATE --minutes 100
    python tools/train_nano.py export --state STATE --out zero123_ckpts/zero123-nano

Every stage resumes from its last checkpoint in STATE; its learning rate falls to zero at ``--minutes`` of
training time in all, so a run may be stopped and started in slices. Dotted overrides
(``diffusion.lr=1e-3``) change the YAML.
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from torch.nn import functional

from viewfusion.zero123.model import Zero123

CONFIG = Path(__file__).resolve().parents[1] / "configs/training/zero123-nano.yaml"
LATENTS = "latents.pt"


def load_dataset(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (M, V, size, size, 3) uint8 and poses (M, V, 3) of every shard in ``folder``."""
    shards = [np.load(path) for path in sorted(folder.glob("objects-?????.npz"))]
    if not shards:
        raise SystemExit(f"no objects-*.npz in {folder}; make them with tools/make_dataset.py")
    images = torch.from_numpy(np.concatenate([shard["images"] for shard in shards]))
    return images, torch.from_numpy(np.concatenate([shard["poses"] for shard in shards]))


def to_float(images: torch.Tensor) -> torch.Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


class Endless(torch.utils.data.IterableDataset):
    """A generator: the training modules draw their own batches from memory."""

    def __iter__(self):
        while True:
            yield 0


class TimedModule(pl.LightningModule):
    """AdamW with a learning rate that falls to zero as the time budget runs out."""

    def __init__(self, settings: DictConfig, minutes: float) -> None:
        super().__init__()
        self.settings, self.budget = settings, 60 * minutes
        self.register_buffer("trained_seconds", torch.zeros((), dtype=torch.float64))
        self._clock: float | None = None
        self.losses: list[float] = []

    def tick(self, optimizer) -> None:
        """Add the time since the last step (a pause between two runs does not count); set the rates."""
        now = time.monotonic()
        self.trained_seconds += min(now - self._clock, 60) if self._clock else 0
        self._clock = now
        left = 1 - float(self.trained_seconds) / self.budget
        warm = min(1.0, (self.global_step + 1) / self.settings.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = self.settings.lr * warm * max(0.0, min(1.0, 1.6 * left))
        if left <= 0:
            self.trainer.should_stop = True

    def configure_optimizers(self):
        settings, weights = self.settings, [p for p in self.parameters() if p.requires_grad]
        return torch.optim.AdamW(
            weights, lr=settings.lr, weight_decay=settings.weight_decay, betas=(0.9, 0.98)
        )

    def training_step(self, batch, batch_index):
        self.tick(self.optimizers())
        loss = self.loss()
        self.losses.append(float(loss.detach()))
        if self.global_step % 50 == 49:
            mean, minutes = np.mean(self.losses), float(self.trained_seconds) / 60
            print(f"step {self.global_step + 1} {minutes:.1f} min loss {mean:.4f}", flush=True)
            self.losses.clear()
        return loss

    def loss(self) -> torch.Tensor:
        raise NotImplementedError


class AutoencoderModule(TimedModule):
    def __init__(self, model: Zero123, images: torch.Tensor, settings: DictConfig, minutes: float) -> None:
        super().__init__(settings, minutes)
        self.vae = model.vae
        self.images = images.flatten(0, 1)

    def loss(self) -> torch.Tensor:
        rows = torch.randint(len(self.images), (self.settings.batch_size,))
        images = to_float(self.images[rows]).to(self.device)
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


class DiffusionModule(TimedModule):
    """UNet, image tower and projection; the frozen autoencoder's latents are computed once."""

    def __init__(
        self, model: Zero123, data, latents, spread: float, settings: DictConfig, minutes: float
    ) -> None:
        super().__init__(settings, minutes)
        self.spread = spread
        self.unet, self.image_encoder = model.unet, model.image_encoder
        self.cc_projection = model.cc_projection
        self.model = [model]  # in a list: its autoencoder is no part of this module's state
        self.images, self.poses = data
        self.latents = latents.to(model.device)
        if settings.compile:
            plain_attention(self.unet)
            self.unet.compile()

    def loss(self) -> torch.Tensor:
        model, settings = self.model[0], self.settings
        rows, flip, source, targets = self.draw()
        images, cond = self.blemish(
            self.input_images(rows, flip, source), self.latents[flip.long(), rows, source].float()
        )
        embeds = model.embed_images(images)
        repeat = settings.targets_per_input
        rows, flip, source = (x.repeat_interleave(repeat) for x in (rows, flip, source))
        embeds, cond = embeds.repeat_interleave(repeat, 0), cond.repeat_interleave(repeat, 0)
        targets = targets.flatten()
        tokens = model.project(embeds, self.moves(rows, flip, source, targets))
        keep = (torch.rand(len(rows), device=cond.device) >= settings.unconditional_share).float()
        tokens, cond = tokens * keep[:, None, None], cond * keep[:, None, None, None]
        clean = self.latents[flip.long(), rows, targets].float() * model.vae.config["scaling_factor"]
        t = draw_timesteps(len(rows), model.alphas_cumprod, settings.noise_power)
        alpha = model.alphas_cumprod[t][:, None, None, None]
        noise = torch.randn_like(clean)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        truth = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        output = self.unet(torch.cat([noisy, cond], 1), t, encoder_hidden_states=tokens).sample
        error = (output.float() - truth).square().mean((1, 2, 3))
        return (error * evening_weights(model.alphas_cumprod[t], self.spread)).mean()

    def draw(self):
        """Objects (B,), mirrored or not (B,), input views (B,), target views (B, T) distinct from it."""
        objects, views = self.images.shape[:2]
        count, repeat = self.settings.inputs_per_batch, self.settings.targets_per_input
        rows, flip = torch.randint(objects, (count,)), torch.rand(count) < 0.5
        order = torch.rand(count, views).argsort(1)
        moved = (rows, flip, order[:, 0], order[:, 1 : 1 + repeat])
        return tuple(x.to(self.latents.device) for x in moved)

    def input_images(self, rows, flip, source) -> torch.Tensor:
        images = to_float(self.images[rows.cpu(), source.cpu()]).to(self.device)
        return torch.where(flip[:, None, None, None], images.flip(-1), images)

    def blemish(self, images: torch.Tensor, cond: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Speckle a share of the inputs: fused sampling shows the network its own imperfect views."""
        count, device = len(images), images.device
        chosen = torch.rand(count, 1, 1, 1, device=device) < self.settings.blemished_share
        strength = chosen * torch.rand(count, 1, 1, 1, device=device) * self.settings.blemish
        specks = torch.randn(count, 3, *cond.shape[-2:], device=device)
        specks = functional.interpolate(specks, images.shape[-2:], mode="bilinear")
        noise = torch.randn_like(cond) * cond.std()
        return (images + strength * specks).clamp(-1, 1), cond + strength * noise

    def moves(self, rows, flip, source, targets) -> torch.Tensor:
        """(B, 4) Zero123 pose embeddings; a mirrored object turns the other way."""
        poses = self.poses.to(rows.device)
        change = poses[rows, targets] - poses[rows, source]
        azimuth = torch.where(flip, -change[:, 0], change[:, 0])
        return torch.stack([-change[:, 1], azimuth.sin(), azimuth.cos(), change[:, 2]], -1)


class OneTokenAttention:
    """Attention to a single token: its weight is 1 whatever asks, so the value is the answer.

    Equal to the general formula bit for bit; what it leaves out (queries, keys) gets no gradient there either.
    """

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None):
        value = attn.to_out[0](attn.to_v(encoder_hidden_states))
        return value.expand(-1, hidden_states.shape[1], -1)


class PlainSelfAttention:
    """Written out: at 256 positions a compiled product is faster on a CPU than the fused kernel in bfloat16."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None):
        projections = (attn.to_q, attn.to_k, attn.to_v)
        q, k, v = (
            f(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for f in projections
        )
        weights = (q * q.shape[-1] ** -0.5 @ k.transpose(-1, -2)).softmax(-1)
        return attn.to_out[0]((weights @ v).to(q.dtype).transpose(1, 2).flatten(2))


def plain_attention(unet: torch.nn.Module) -> None:
    """Give ``unet`` attention that compiles well; with it a step takes about two thirds of the time."""
    unet.set_attn_processor(
        {
            name: OneTokenAttention() if name.endswith("attn2.processor") else PlainSelfAttention()
            for name in unet.attn_processors
        }
    )


def draw_timesteps(count: int, alphas_cumprod: torch.Tensor, power: float) -> torch.Tensor:
    """(count,) timesteps whose log noise-to-signal ratios go evenly from least to most at ``power`` 1.

    Evenly in t would leave a few in a hundred for the noises at which small latents get their detail.
    Below 1 favours high noise, where the geometry is decided.
    """
    ratio = (1 / alphas_cumprod - 1).sqrt().log()
    share = torch.rand(count, device=ratio.device) ** power
    drawn = ratio[0] + (ratio[-1] - ratio[0]) * share
    return torch.searchsorted(ratio, drawn).clamp(max=len(ratio) - 1)


def evening_weights(alphas_cumprod: torch.Tensor, spread: float) -> torch.Tensor:
    """What v's squared error counts at each noise for latents of standard deviation ``spread``.

    Makes it the error of x0 relative to what can be unknown of it: sigma^2 spread^2 / (sigma^2 + spread^2)
    (Karras et al. 2022, table 1, whose output scaling has unit targets at every noise).
    """
    variance = 1 / alphas_cumprod - 1
    return (variance + spread**2) / (spread**2 * (variance + 1))


def cached_latents(model: Zero123, images: torch.Tensor, state: Path) -> torch.Tensor:
    """:func:`encode_all`, kept in STATE until the autoencoder is trained again."""
    path = state / LATENTS
    if path.exists():
        latents = torch.load(path, mmap=True)
        if latents.shape[1:3] == images.shape[:2]:
            return latents
    latents = encode_all(model, images)
    torch.save(latents, path)
    return latents


@torch.no_grad()
def encode_all(model: Zero123, images: torch.Tensor) -> torch.Tensor:
    """(2, M, V, 4, h, w) float16 unscaled latents of the images and of their mirror images."""
    flat = images.flatten(0, 1)
    result = torch.empty(2, len(flat), *model.latent_shape, dtype=torch.float16, device=model.device)
    for start in range(0, len(flat), 64):
        batch = to_float(flat[start : start + 64]).to(model.device)
        for flip in (0, 1):
            latents = model.encode_cond_latents(batch.flip(-1) if flip else batch)
            result[flip, start : start + 64] = latents.half()
    return result.unflatten(1, images.shape[:2])


def fit(module: TimedModule, state: Path, name: str, config: DictConfig, ema: float | None) -> None:
    """Train until the time budget is spent, from the last checkpoint where there is one."""
    folder = state / name
    keep = ModelCheckpoint(
        folder,
        filename="last",
        save_last=False,
        train_time_interval=timedelta(minutes=4),
        enable_version_counter=False,
    )
    callbacks = [keep] + ([EMAWeightAveraging(use_buffers=False, decay=ema)] if ema else [])
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        precision=config.precision,
        max_epochs=-1,
        callbacks=callbacks,
        gradient_clip_val=1.0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(state),
    )
    loader = torch.utils.data.DataLoader(Endless(), batch_size=None)
    last = folder / "last.ckpt"
    trainer.fit(module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    trainer.save_checkpoint(last)


def trained_model(config: DictConfig, state: Path) -> Zero123:
    """The model with whatever stages STATE holds: the EMA weights, and the measured latent scale."""
    model = Zero123.from_config(OmegaConf.to_container(config.model, resolve=True))
    for name in ("autoencoder", "diffusion"):
        path = state / name / "last.ckpt"
        if path.exists():
            # Our own file; EMAWeightAveraging stores the averaged weights as the state_dict.
            weights = torch.load(path, map_location="cpu", weights_only=False)["state_dict"]
            weights.pop("trained_seconds")
            model.load_state_dict(weights, strict=False)
    scale = state / "scaling_factor.txt"
    if scale.exists():
        factor = float(scale.read_text())
        model.config["vae"]["scaling_factor"] = factor
        model.vae.register_to_config(scaling_factor=factor)
    return model


@torch.no_grad()
def measure_scale(model: Zero123, images: torch.Tensor, spread: float) -> float:
    """The scaling factor that gives latents the standard deviation ``spread``."""
    sample = images.flatten(0, 1)[:: max(1, images.shape[0] * images.shape[1] // 2000)]
    latents = [model.encode_cond_latents(to_float(part)) for part in sample.split(100)]
    return spread / float(torch.cat(latents).std())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stage", choices=["autoencoder", "diffusion", "export"])
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    config = OmegaConf.merge(OmegaConf.load(args.config), OmegaConf.from_dotlist(args.overrides))
    pl.seed_everything(config.seed)
    model = trained_model(config, args.state)
    if args.stage == "export":
        from viewfusion.zero123 import save_zero123

        save_zero123(model, args.out)
        return
    images, poses = load_dataset(args.data)
    if args.stage == "autoencoder":
        module = AutoencoderModule(model, images, config.autoencoder, args.minutes)
        fit(module, args.state, "autoencoder", config, ema=None)
        scale = measure_scale(model.float(), images, config.autoencoder.latent_spread)
        (args.state / "scaling_factor.txt").write_text(str(scale))
        (args.state / LATENTS).unlink(missing_ok=True)
        return
    model.vae.requires_grad_(False)
    latents = cached_latents(model, images, args.state)
    spread = config.autoencoder.latent_spread
    module = DiffusionModule(model, (images, poses), latents, spread, config.diffusion, args.minutes)
    fit(module, args.state, "diffusion", config, ema=config.diffusion.ema_decay)


if __name__ == "__main__":
    main()
