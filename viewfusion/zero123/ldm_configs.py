"""From the original code's model YAML to our config.

Enters: a parsed YAML and a ``state_dict`` in the layout of the released Zero123 files. Leaves: a config
of :class:`Zero123`. Reads no file and imports nothing a YAML names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Family
from viewfusion.untrusted import shown

from .configs import check_config
from .ldm_keys import CLIP, UNET, VAE

FULL_SIZE: dict[str, Any] = {
    "model": {
        "params": {
            "linear_start": 0.00085,
            "linear_end": 0.012,
            "timesteps": 1000,
            "image_size": 32,
            "scale_factor": 0.18215,
            "unet_config": {
                "params": {
                    "in_channels": 8,
                    "out_channels": 4,
                    "model_channels": 320,
                    "attention_resolutions": [4, 2, 1],
                    "num_res_blocks": 2,
                    "channel_mult": [1, 2, 4, 4],
                    "num_heads": 8,
                    "transformer_depth": 1,
                    "context_dim": 768,
                }
            },
            "first_stage_config": {
                "params": {
                    "embed_dim": 4,
                    "ddconfig": {
                        "z_channels": 4,
                        "in_channels": 3,
                        "out_ch": 3,
                        "ch": 128,
                        "ch_mult": [1, 2, 4, 4],
                        "num_res_blocks": 2,
                        "attn_resolutions": [],
                    },
                }
            },
        }
    }
}
"""What the YAML published with Zero123 (sd-objaverse-finetune-c_concat-256) says of the network."""

_FULL_SIZE_SHAPES = {
    f"{UNET}input_blocks.0.0.weight": (320, 8, 3, 3),
    f"{VAE}encoder.conv_in.weight": (128, 3, 3, 3),
    f"{CLIP}proj": (1024, 768),
    "cc_projection.weight": (768, 772),
}


def is_full_size(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether ``state`` has the shapes of the released full-size Zero123."""
    return all(name in state and tuple(state[name].shape) == s for name, s in _FULL_SIZE_SHAPES.items())


def ldm_config(
    original: Any, state: Mapping[str, torch.Tensor], origin: str, family: Family = "zero123"
) -> dict[str, Any]:
    """Our config for an original model YAML; the image tower's sizes come from the weights.

    ``target`` entries are never looked at, so nothing a YAML names is imported.

    Args:
        original: the parsed YAML, untrusted.
        state: weights under their original names.
        origin: the YAML's path, for messages.

    Raises:
        ViewFusionError: not a Zero123 YAML, or one that asks for what the released files never do.
    """
    try:
        params = original["model"]["params"]
        unet, first_stage = params["unet_config"]["params"], params["first_stage_config"]["params"]
        vae, vq = first_stage["ddconfig"], "n_embed" in first_stage  # the number of codes of a VQ model
        _check_counts(unet, "model_channels", "channel_mult")
        _check_counts(vae, "ch", "ch_mult")
        config = {
            "family": family,
            "image_size": int(params["image_size"]) * 2 ** (len(vae["ch_mult"]) - 1),
            "unet": _unet_config(unet, params["image_size"]),
            "vae": _vq_config(vae, params) if vq else _vae_config(vae, params),
            "image_encoder": _image_encoder_config(state),
            "scheduler": _scheduler_config(params),
        }
        unsupported = _unsupported(params, unet) + _unsupported_first_stage(first_stage, vq)
    except Exception as error:  # missing keys and wrong types alike
        raise ViewFusionError(
            f"{origin}: not the YAML of a Zero123 model ({type(error).__name__}: {shown([error])}); "
            "give --config the file that was published beside the checkpoint"
        ) from error
    if unsupported:
        raise ViewFusionError(
            f"{origin}: asks for {unsupported[0]}, which Zero123 models do not have; "
            "give --config the file that was published beside the checkpoint"
        )
    return check_config(config, origin)


def _check_counts(params: Any, width: str, multiples: str) -> None:
    """TypeError unless these are what they will be multiplied as: small whole numbers."""
    counts = params[multiples]
    if not isinstance(counts, list) or not 1 <= len(counts) <= 8:
        raise TypeError(f"{multiples} must be a list of 1 to 8 whole numbers")
    for count in (params[width], *counts):
        if type(count) is not int or not 1 <= count <= 4096:
            raise TypeError(f"{width} and {multiples} must be whole numbers from 1 to 4096")


def _unsupported(params: Any, unet: Any) -> list[str]:
    """Settings that change the network and that no Zero123 uses."""
    wanted = {
        "beta_schedule": (params.get("beta_schedule", "linear"), ("linear",)),
        "parameterization": (params.get("parameterization", "eps"), ("eps", "v")),
        "num_classes": (unet.get("num_classes"), (None,)),
        "resblock_updown": (unet.get("resblock_updown", False), (False,)),
        "use_scale_shift_norm": (unet.get("use_scale_shift_norm", False), (False,)),
        "scale_by_std": (params.get("scale_by_std", False), (False,)),
    }
    return _outside(wanted)


def _unsupported_first_stage(first_stage: Any, vq: bool) -> list[str]:
    vae = first_stage["ddconfig"]
    wanted = {
        "double_z": (vae.get("double_z", True), (not vq,)),
        "embed_dim": (first_stage["embed_dim"], (vae["z_channels"],)),
    }
    if vq:
        wanted["ch_mult"] = (vae["ch_mult"][0], (1,))
        wanted["remap"] = (first_stage.get("remap"), (None,))
        wanted["resamp_with_conv"] = (vae.get("resamp_with_conv", True), (True,))
    else:
        wanted["attn_resolutions"] = (vae.get("attn_resolutions", []), ([],))
    return _outside(wanted)


def _outside(wanted: Mapping[str, tuple[Any, tuple[Any, ...]]]) -> list[str]:
    return [f"{key} {shown([value])}" for key, (value, allowed) in wanted.items() if value not in allowed]


def _unet_config(unet: Any, sample_size: int) -> dict[str, Any]:
    levels = len(unet["channel_mult"])
    attends = [2**level in unet["attention_resolutions"] for level in range(levels)]
    heads, width = unet.get("num_heads", -1), unet.get("num_head_channels", -1)
    if width not in (None, -1):  # it goes before a number of heads, which then follows a level's channels
        heads = [unet["model_channels"] * mult // width for mult in unet["channel_mult"]]
    return {
        "sample_size": sample_size,
        "in_channels": unet["in_channels"],
        "out_channels": unet["out_channels"],
        "block_out_channels": [unet["model_channels"] * mult for mult in unet["channel_mult"]],
        "down_block_types": ["CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)],
        "layers_per_block": unet["num_res_blocks"],
        "cross_attention_dim": unet["context_dim"],
        # diffusers' historical name for the number of heads in SD 1.x models.
        "attention_head_dim": heads,
        "transformer_layers_per_block": unet.get("transformer_depth", 1),
        "use_linear_projection": unet.get("use_linear_in_transformer", False),
    }


def _vae_config(vae: Any, params: Any) -> dict[str, Any]:
    levels = len(vae["ch_mult"])
    return {
        "sample_size": int(params["image_size"]) * 2 ** (levels - 1),
        "in_channels": vae["in_channels"],
        "out_channels": vae["out_ch"],
        "block_out_channels": [vae["ch"] * mult for mult in vae["ch_mult"]],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": vae["num_res_blocks"],
        "latent_channels": vae["z_channels"],
        "scaling_factor": float(params.get("scale_factor", 0.18215)),
    }


def _vq_config(vae: Any, params: Any) -> dict[str, Any]:
    return {
        "sample_size": vae["resolution"],
        "in_channels": vae["in_channels"],
        "out_channels": vae["out_ch"],
        "block_out_channels": [vae["ch"] * mult for mult in vae["ch_mult"]],
        "layers_per_block": vae["num_res_blocks"],
        "latent_channels": vae["z_channels"],
        "num_vq_embeddings": params["first_stage_config"]["params"]["n_embed"],
        "attn_resolutions": vae["attn_resolutions"],
        # The published VQ configs leave it out where it is the original's default.
        "scaling_factor": float(params.get("scale_factor", 1.0)),
    }


def _scheduler_config(params: Any) -> dict[str, Any]:
    return {
        "num_train_timesteps": params.get("timesteps", 1000),
        "beta_start": float(params["linear_start"]),
        "beta_end": float(params["linear_end"]),
        # The original's "linear" is linear in the square root, diffusers' "scaled_linear".
        "beta_schedule": "scaled_linear",
        "prediction_type": {"eps": "epsilon", "v": "v_prediction"}.get(
            params.get("parameterization", "eps"), "epsilon"
        ),
    }


def _image_encoder_config(state: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """CLIP's image tower as OpenAI's code derives it: 64 channels a head, sizes from the weights."""
    width, _, patch, _ = state[f"{CLIP}conv1.weight"].shape
    blocks = {
        name[len(CLIP) :].split(".")[2] for name in state if name.startswith(f"{CLIP}transformer.resblocks.")
    }
    return {
        "hidden_size": width,
        "intermediate_size": state[f"{CLIP}transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "projection_dim": state[f"{CLIP}proj"].shape[1],
        "num_hidden_layers": len(blocks),
        "num_attention_heads": width // 64,
        "image_size": math.isqrt(state[f"{CLIP}positional_embedding"].shape[0] - 1) * patch,
        "patch_size": patch,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
    }
