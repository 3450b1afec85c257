"""OpenAI's names for the weights of CLIP's image tower go in, transformers' names for them come out."""

from __future__ import annotations

import torch

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of the colours that CLIP was trained on, in [0, 1]; part of the trained tower."""

CLIP_NAMES = {
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
CLIP_LAYERS = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
    "attn.out_proj": "self_attn.out_proj",
}


def clip_names(name: str) -> list[tuple[str, str]]:
    """transformers' names (and parts) for a name in OpenAI's image tower; none if it has no place."""
    if name == "proj":
        return [("visual_projection.weight", "transposed")]
    if name in CLIP_NAMES:
        return [(f"vision_model.{CLIP_NAMES[name]}", "whole")]
    if not name.startswith("transformer.resblocks."):
        return []
    number, _, rest = name.removeprefix("transformer.resblocks.").partition(".")
    layer = f"vision_model.encoder.layers.{number}"
    if rest in ("attn.in_proj_weight", "attn.in_proj_bias"):
        kind = rest.rpartition("_")[2]
        return [(f"{layer}.self_attn.{part}_proj.{kind}", part) for part in "qkv"]
    stem, _, kind = rest.rpartition(".")
    return [(f"{layer}.{CLIP_LAYERS[stem]}.{kind}", "whole")] if stem in CLIP_LAYERS else []


def clip_part(tensor: torch.Tensor, part: str) -> torch.Tensor:
    """``part`` of an original tensor, as :func:`clip_names` tells it: transposed, q, k or v, or all."""
    if part == "transposed":
        return tensor.T.contiguous() if tensor.ndim == 2 else tensor
    if part in ("q", "k", "v") and tensor.ndim:
        return tensor.tensor_split(3)["qkv".index(part)]
    return tensor
