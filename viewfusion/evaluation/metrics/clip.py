"""CLIP similarity: two batches of pictures go in, the cosine of each pair's embeddings comes out.

The image tower of Radford et al., "Learning Transferable Visual Models From Natural Language Supervision"
(ICML 2021), by transformers' class; its weights lie in a file or folder of the user's and are read as data.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from viewfusion.clip_names import MEAN, STD

from .clip_files import open_tower
from .pictures import check_pair
from .weights import weights_sha256

_AT_ONCE = 16  # pictures


class Clip(nn.Module):
    """The similarity.

    Args:
        tower: transformers' CLIPVisionModelWithProjection.
        name: such as "ViT-B/32".
    """

    def __init__(self, tower: Any, name: str) -> None:
        super().__init__()
        self.tower, self.name = tower, name

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the weights, and of what else decides an embedding."""
        config = self.tower.config
        return weights_sha256(self.tower, config.hidden_act, config.num_attention_heads)

    def forward(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """(B,) cosines in [-1, 1] of the embeddings of two (B, 3, H, W) in [0, 1]; 1 for equal pictures."""
        check_pair(images, others)
        return cosines(self.embed(images), self.embed(others))

    def around(self, images: torch.Tensor) -> torch.Tensor:
        """(V,) cosines of the pairs (i, i + 1 mod V) of a turn (V, 3, H, W), each picture seen once."""
        check_pair(images, images)
        found = self.embed(images)
        return cosines(found, found.roll(-1, 0))

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """(B, D) embeddings, projected and of length 1, of (B, 3, H, W) in [0, 1]."""
        side = self.tower.config.image_size
        seen = [self.tower(clip_pixels(part, side)).image_embeds for part in images.split(_AT_ONCE)]
        return F.normalize(torch.cat(seen), dim=1)


def cosines(found: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(B,) of two (B, D) of length 1."""
    return (found * others).sum(1).clamp(-1, 1)


def clip_pixels(images: torch.Tensor, side: int = 224) -> torch.Tensor:
    """(B, 3, side, side): what CLIP sees of (B, 3, H, W) in [0, 1].

    As openai's preprocessing: the shorter side of the 8-bit picture is resized to ``side`` (bicubic, smoothed
    where it shrinks), the middle is cut out, mean and deviation are taken off. torch's resizing of 8-bit
    pictures rounds between its passes as PIL's does, and agrees with it to a level or two of 255.
    """
    height, width = images.shape[-2:]
    sizes = [side * each // min(height, width) for each in (height, width)]
    pixels = (images * 255).round().byte().cpu()
    pixels = F.interpolate(pixels, sizes, mode="bicubic", align_corners=False, antialias=True)
    top, left = (round((each - side) / 2) for each in sizes)
    cut = pixels[..., top : top + side, left : left + side].to(images) / 255
    mean, deviation = (images.new_tensor(each)[:, None, None] for each in (MEAN, STD))
    return (cut - mean) / deviation


def load_clip(path: Path, activation: str | None = None) -> Clip:
    """CLIP's image tower with the weights at ``path``; protocols say ViT-B/32.

    Args:
        path: openai's own ``ViT-B-32.pt`` (TorchScript), or weights under openai's, open_clip's or
            transformers' names as ``.pt`` or ``.safetensors``, or a folder of transformers or open_clip.
        activation: "quick_gelu", as openai's weights were trained with and is taken where nothing else is
            said, or "gelu", as most others. A folder's config says which; no file does.

    Raises:
        ViewFusionError: no such file, one that is damaged or hostile, or no vision transformer of CLIP's.
    """
    tower, name = open_tower(path, activation)
    return Clip(tower, name)
