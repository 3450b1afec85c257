"""The frozen Zero123 network: an input view and a camera move in, predicted noise out.

Enters: images in [-1, 1], poses, noisy latents. Leaves: embeddings, latents, noise, images. Four networks
(image tower, projection, UNet, autoencoder) behind small methods that know nothing of sampling or fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from viewfusion import clip_names
from viewfusion.geometry import Family, Pose, pose_embedding

from .conditioned import Conditioned, PlainUNet, SingleTokenUNet, split_unet
from .configs import SAMPLING
from .devices import vae_dtype
from .vq import VQAutoencoder, is_vq


class Zero123(nn.Module):
    """A Zero123-architecture network of any size; build with :func:`load_zero123` or :meth:`from_config`.

    ``config`` has the keys ``family`` ("zero123" or "stable-zero123"), ``image_size`` (pixels), and
    ``unet``, ``vae``, ``image_encoder``, ``scheduler``: the configs of diffusers' UNet2DConditionModel,
    AutoencoderKL (or of :class:`VQAutoencoder`), transformers' CLIPVisionConfig and of diffusers'
    schedulers. ``scheduler`` states what the UNet was trained to predict. ``sampling`` may
    say what suits the weights.
    """

    # Declared loosely: diffusers' and transformers' classes carry no usable types.
    unet: Any
    vae: Any
    image_encoder: Any
    cc_projection: nn.Linear
    alphas_cumprod: torch.Tensor

    def __init__(
        self,
        unet: nn.Module,
        vae: nn.Module,
        image_encoder: nn.Module,
        cc_projection: nn.Linear,
        config: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.unet, self.vae = unet, vae
        self.image_encoder, self.cc_projection = image_encoder, cc_projection
        self.config = dict(config)
        self._resident: str | None = None  # by name: assigned, a module becomes a part
        self._offloads = False
        self._split: SingleTokenUNet | PlainUNet | None = None
        self.register_buffer("alphas_cumprod", alphas_cumprod(config["scheduler"]), persistent=False)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Zero123:
        """A network with the shapes of ``config`` and untrained weights."""
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        unet = UNet2DConditionModel.from_config(dict(config["unet"]))
        vae: Any = VQAutoencoder if is_vq(config["vae"]) else AutoencoderKL.from_config
        image_encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**config["image_encoder"]))
        width = image_encoder.config.projection_dim
        projection = nn.Linear(width + 4, unet.config["cross_attention_dim"])
        return cls(unet, vae(dict(config["vae"])), image_encoder, projection, config)

    @property
    def family(self) -> Family:
        return self.config["family"]

    @property
    def image_size(self) -> int:
        """Pixels on a side of the images the network takes and gives."""
        return self.config["image_size"]

    def sampling(self, solver: str | None = None) -> dict[str, Any]:
        """What suits these weights where nobody chooses, as :class:`viewfusion.config.SamplingConfig` has it.

        Args:
            solver: one that is chosen; the steps and spacing of another one that the checkpoint states do
                not hold for it.
        """
        stated = dict(self.config.get("sampling", {}))
        if solver not in (None, stated.get("solver")):
            stated = {key: stated[key] for key in ("guidance_scale", "leap_sigma") if key in stated}
        return {**SAMPLING, **stated}

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(channels, h, w) of one image's latents."""
        size = self.image_size // 2 ** (len(self.vae.config["block_out_channels"]) - 1)
        return self.vae.config["latent_channels"], size, size

    @property
    def scheduler_config(self) -> dict[str, Any]:
        """Keyword arguments for any diffusers scheduler that steps with :meth:`predict_noise`.

        Always "epsilon": :meth:`predict_noise` converts. Never clips: clipping x0 would make fusing
        before a step differ from fusing after it.
        """
        return {
            # Latent diffusion's conventions: the last step ends at alphas_cumprod[0], timesteps end at 1.
            "set_alpha_to_one": False,
            "steps_offset": 1,
            **self.config["scheduler"],
            "prediction_type": "epsilon",
            "clip_sample": False,
            "thresholding": False,
        }

    @property
    def device(self) -> torch.device:
        return self.cc_projection.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.cc_projection.weight.dtype

    def offload(self, device: torch.device | str) -> None:
        """Compute on ``device`` with only the network in use there, the others in the CPU's memory.

        :meth:`to` ends it.
        """
        super().to("cpu")
        self.cc_projection.to(device)  # small, and says where inputs go
        self.alphas_cumprod = self.alphas_cumprod.to(device)
        self._resident, self._offloads = None, True

    @property
    def offloads(self) -> bool:
        """Whether :meth:`offload` is in force."""
        return self._offloads

    def to(self, *args: Any, **kwargs: Any) -> Zero123:
        """As of any module, but that the noise schedule stays in float32 and the autoencoder is never in
        float16; see :func:`.devices.vae_dtype`."""
        parse: Any = torch._C._nn._parse_to  # what Module.to itself reads its arguments with
        move: Any = nn.Module.to  # diffusers' own warns of what it does not do here
        device, dtype, non_blocking, layout = parse(*args, **kwargs)
        self._resident, self._offloads = None, False
        for part in self.children():
            # Never through a narrower type on the way, which would round it.
            own = vae_dtype(dtype or self.dtype) if part is self.vae else dtype
            move(part, device, own, non_blocking, memory_format=layout)
        self.alphas_cumprod = self.alphas_cumprod.to(device, non_blocking=non_blocking)
        return self

    def _use(self, part: str) -> None:
        """Under :meth:`offload`: have ``part`` on the device, in place of the one that was there."""
        if self._offloads and part != self._resident:
            if self._resident is not None:
                self.get_submodule(self._resident).to("cpu")
            self.get_submodule(part).to(self.device)
            self._resident = part

    def embed_images(self, images: torch.Tensor) -> torch.Tensor:
        """(N, D) projected CLIP embeddings of (N, 3, H, W) images in [-1, 1]."""
        self._use("image_encoder")
        size = self.image_encoder.config.image_size
        # Not antialiased and with aligned corners: what the network was trained on (kornia's defaults then).
        resized = nn.functional.interpolate(images, (size, size), mode="bicubic", align_corners=True)
        mean = resized.new_tensor(clip_names.MEAN)[:, None, None]
        std = resized.new_tensor(clip_names.STD)[:, None, None]
        return self.image_encoder(((resized + 1) / 2 - mean) / std).image_embeds

    def encode_cond_latents(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 4, h, w) condition latents of (N, 3, H, W) images in [-1, 1].

        The mode of the posterior, *not* multiplied by the scaling factor: the network was trained so.
        A VQ autoencoder has no posterior; its latents are taken as they are before quantisation.
        """
        self._use("vae")
        encoded = self.vae.encode(images.to(vae_dtype(self.dtype)))
        latents = encoded.latents if is_vq(self.vae.config) else encoded.latent_dist.mode()
        return latents.to(self.dtype)

    def project(self, embeds: torch.Tensor, pose_embeddings: torch.Tensor) -> torch.Tensor:
        """(N, 1, D) cross-attention tokens of embeddings (N, D) and pose embeddings (N, 4)."""
        return self.cc_projection(torch.cat([embeds, pose_embeddings.to(embeds)], dim=-1))[:, None]

    def predict_noise(
        self,
        latents: torch.Tensor,
        timestep: int | torch.Tensor,
        tokens: torch.Tensor,
        cond_latents: torch.Tensor,
    ) -> torch.Tensor:
        """(N, 4, h, w) predicted noise (epsilon), whatever the network was trained to predict.

        Args:
            latents: (N, 4, h, w) noisy, scaled.
            timestep: an int, or an (N,) or () tensor, in [0, 1000); rounded to whole ones.
            tokens: (N, 1, D) from :meth:`project`; zeros for the unconditional prediction.
            cond_latents: (N, 4, h, w) from :meth:`encode_cond_latents`; zeros for the unconditional one.
        """
        return self._predict(PlainUNet(self.unet), latents, timestep, Conditioned(tokens, cond_latents))

    def condition(self, tokens: torch.Tensor, cond_latents: torch.Tensor) -> Conditioned:
        """What :meth:`predict` is told of N references at every step, worked out once.

        Args:
            tokens, cond_latents: as of :meth:`predict_noise`.
        """
        return Conditioned(self.values(tokens), self.stem(cond_latents))

    def values(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, 1, D) of :class:`Conditioned`, from tokens (N, 1, D)."""
        self._use("unet")
        return self.split_unet.values(tokens)

    def stem(self, cond_latents: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) of :class:`Conditioned`, from condition latents (N, 4, h, w)."""
        self._use("unet")
        return self.split_unet.stem(cond_latents)

    def predict(
        self, latents: torch.Tensor, timestep: int | torch.Tensor, conditioned: Conditioned
    ) -> torch.Tensor:
        """(N, 4, h, w) predicted noise: what :meth:`predict_noise` gives, for less.

        Args:
            latents: (N, 4, h, w) noisy, scaled; or (1, 4, h, w) where all references share them.
            timestep: as of :meth:`predict_noise`.
            conditioned: N rows from :meth:`condition`.
        """
        return self._predict(self.split_unet, latents, timestep, conditioned)

    @property
    def split_unet(self) -> SingleTokenUNet | PlainUNet:
        """The UNet as :meth:`predict` runs it; decided at its first use, so change the UNet before that."""
        if self._split is None or self._split.unet is not self.unet:
            self._split = split_unet(self.unet)
        return self._split

    def _predict(
        self,
        unet: SingleTokenUNet | PlainUNet,
        latents: torch.Tensor,
        timestep: int | torch.Tensor,
        conditioned: Conditioned,
    ) -> torch.Tensor:
        self._use("unet")
        if not torch.is_tensor(timestep) or (timestep.device != latents.device and timestep.ndim == 0):
            # Filled, not copied: a copy to a GPU would first wait for all that is under way there.
            timestep = torch.full((), float(timestep), device=latents.device)
        # Some solvers have their timesteps as floats, and between those the network was trained on.
        timesteps = timestep.to(latents.device).round().long().reshape(-1)
        output = unet(latents, timesteps, conditioned)
        kind = self.config["scheduler"].get("prediction_type", "epsilon")
        if kind == "epsilon":
            return output
        if kind == "v_prediction":
            # In float32: near the end 1 - alpha would be 0 in bfloat16.
            alpha = self.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
            return (alpha.sqrt() * output + (1 - alpha).sqrt() * latents).to(output.dtype)
        raise ValueError(f"prediction_type must be 'epsilon' or 'v_prediction', got {kind!r}")

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) images, about [-1, 1] and not clamped, of scaled latents (N, 4, h, w)."""
        self._use("vae")
        scaled = latents / self.vae.config["scaling_factor"]
        return self.vae.decode(scaled.to(vae_dtype(self.dtype))).sample

    def pose_embedding(self, target: Pose, references: Sequence[Pose]) -> torch.Tensor:
        """(N, 4) what this checkpoint's family is told of the moves from ``references`` to ``target``."""
        rows = pose_embedding(target, references, self.family)
        return torch.from_numpy(rows).to(self.device, self.dtype)


def alphas_cumprod(scheduler: Mapping[str, Any]) -> torch.Tensor:
    """(T,) the share of signal left at each timestep of a scheduler's config."""
    # Computed as the original does: float64 square, rounded to float32 once.
    betas = torch.linspace(
        scheduler["beta_start"] ** 0.5,
        scheduler["beta_end"] ** 0.5,
        scheduler["num_train_timesteps"],
        dtype=torch.float64,
    ).square()
    return (1 - betas).cumprod(0).float()
