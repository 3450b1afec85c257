"""The VQ autoencoder of some original configs, made of taming-transformers' networks; nobody else imports it.

Enters: the ``vae`` part of a checked config that names ``num_vq_embeddings``. Leaves: a network that is
called as diffusers' VQModel is, with weights under the original's names.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from viewfusion.errors import ViewFusionError

KEYS = frozenset(
    [
        "sample_size",
        "in_channels",
        "out_channels",
        "block_out_channels",
        "layers_per_block",
        "latent_channels",
        "num_vq_embeddings",
        "attn_resolutions",
        "scaling_factor",
    ]
)
"""What such a config says: diffusers' names, and the picture sizes at which the original attends."""


def is_vq(vae: Mapping[str, Any]) -> bool:
    """Whether the ``vae`` part of a config asks for a VQ autoencoder."""
    return "num_vq_embeddings" in vae


class Encoded(NamedTuple):
    latents: torch.Tensor


class Decoded(NamedTuple):
    sample: torch.Tensor


class VQAutoencoder(nn.Module):
    """Images to latents and back, by way of the nearest of ``num_vq_embeddings`` codes.

    Raises:
        ViewFusionError: taming-transformers is not installed.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        encoder, decoder, quantizer = _taming()
        self.config = dict(config)
        widths, channels = config["block_out_channels"], config["latent_channels"]
        sizes = {
            "ch": widths[0],
            "ch_mult": [width // widths[0] for width in widths],
            "num_res_blocks": config["layers_per_block"],
            "attn_resolutions": config["attn_resolutions"],
            "resolution": config["sample_size"],
            "in_channels": config["in_channels"],
            "out_ch": config["out_channels"],
            "z_channels": channels,
            "double_z": False,
        }
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its sizes
            self.encoder, self.decoder = encoder(**sizes), decoder(**sizes)
        # beta weighs a loss of training.
        self.quantize = quantizer(config["num_vq_embeddings"], channels, beta=0.25)
        self.quant_conv = nn.Conv2d(channels, channels, 1)
        self.post_quant_conv = nn.Conv2d(channels, channels, 1)

    def encode(self, images: torch.Tensor) -> Encoded:
        """(N, C, h, w) latents of (N, 3, H, W) images in [-1, 1], not quantised: as the UNet sees them."""
        return Encoded(self.quant_conv(self.encoder(images)))

    def decode(self, latents: torch.Tensor) -> Decoded:
        """(N, 3, H, W) images of unscaled latents, each position of which becomes its nearest code first."""
        codes, _, _ = self.quantize(latents)
        return Decoded(self.decoder(self.post_quant_conv(codes)))


def _taming() -> tuple[Any, Any, Any]:
    """Encoder, Decoder and VectorQuantizer2; these modules need neither Lightning nor torchvision."""
    try:
        from taming.modules.diffusionmodules.model import Decoder, Encoder
        from taming.modules.vqvae.quantize import VectorQuantizer2
    except ImportError as error:
        raise ViewFusionError(
            "this model's autoencoder is a VQ one, which needs taming-transformers and einops; install them "
            "with `pip install --no-deps taming-transformers-rom1504 einops` (what the extra [ldm] adds, "
            "without the torchvision it would bring)"
        ) from error
    return Encoder, Decoder, VectorQuantizer2
