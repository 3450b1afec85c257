"""From the original code's weight names to ours.

Enters: a ``state_dict`` in the layout of the released Zero123 files, and the config made for it. Leaves:
a :class:`WeightSource`. Knows names and shapes only; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from viewfusion.clip_names import clip_names, clip_part
from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .vq import is_vq
from .weights import WeightSource

UNET, VAE, CLIP = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.model.visual."

# The schedule's buffers (recomputed), the text half of CLIP, training's own: no part of sampling.
_LEFTOVERS = frozenset(
    [
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "sqrt_alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod",
        "sqrt_recip_alphas_cumprod",
        "sqrt_recipm1_alphas_cumprod",
        "posterior_variance",
        "posterior_log_variance_clipped",
        "posterior_mean_coef1",
        "posterior_mean_coef2",
        "logvar",
        "lvlb_weights",
        "scale_factor",
        "model_ema.decay",
        "model_ema.num_updates",
        "cond_stage_model.mean",
        "cond_stage_model.std",
    ]
    + [
        f"cond_stage_model.model.{name}"
        for name in [
            "positional_embedding",
            "text_projection",
            "logit_scale",
            "token_embedding.weight",
            "ln_final.weight",
            "ln_final.bias",
        ]
    ]
)
_LEFTOVER_PREFIXES = ("first_stage_model.loss.", "cond_stage_model.model.transformer.")


def ldm_weights(
    state: Mapping[str, torch.Tensor], config: Mapping[str, Any], path: Path, use_ema: bool = True
) -> WeightSource:
    """The weights of ``state`` under our names, converted as they are fetched.

    Args:
        state: as read from ``path``; its tensors belong to the source from now on.
        use_ema: take the UNet's running averages where the file has them, as the original sampler does.

    Raises:
        ViewFusionError: the names are so far from Zero123's that they cannot be converted.
    """
    try:
        origins = _our_names(state, config)
    except Exception as error:  # the converters index by layer numbers found in the names
        raise ViewFusionError(
            f"{path}: its weights are not named as a Zero123's are ({shown([error])}); "
            "this looks like a checkpoint of another model"
        ) from error
    averages = {name: _ema_name(name) for name in state if name.startswith(UNET)}
    known = {name for name, _ in origins.values()} | set(averages.values()) | _LEFTOVERS
    unexpected = [name for name in state if name not in known and not name.startswith(_LEFTOVER_PREFIXES)]
    if use_ema and any(name in state for name in averages.values()):
        origins = {ours: (averages.get(name, name), part) for ours, (name, part) in origins.items()}
    origins = {ours: origin for ours, origin in origins.items() if origin[0] in state}

    def fetch(ours: str) -> torch.Tensor:
        name, part = origins[ours]
        return _take(state[name], part)

    shapes = {}
    for ours, (name, part) in origins.items():
        # On the meta device: the shape of a conversion without its memory.
        shapes[ours] = tuple(_take(torch.empty(state[name].shape, device="meta"), part).shape)
    dtypes = {ours: str(state[name].dtype)[6:] for ours, (name, _) in origins.items()}
    return WeightSource(path, shapes, fetch, tuple(unexpected), dtypes, mapped=True)


def _ema_name(name: str) -> str:
    """``model.a.b`` -> ``model_ema.ab``: the original's averages drop the dots."""
    return "model_ema." + name.removeprefix("model.").replace(".", "")


def _take(tensor: torch.Tensor, part: str) -> torch.Tensor:
    """``part`` of an original tensor: a 1x1 convolution's matrix, or one of those that CLIP's names tell."""
    if part == "matrix":
        return tensor.flatten(1) if tensor.ndim > 2 and set(tensor.shape[2:]) == {1} else tensor
    return clip_part(tensor, part)


class _Name:
    """Stands for a tensor in diffusers' converters, which rename and, in the VAE, look at shapes."""

    shape = ()

    def __init__(self, name: str) -> None:
        self.name = name


def _our_names(state: Iterable[str], config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Our name -> (original name, which part of it), for every name that has a place in a Zero123."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    names = list(state)
    rename_unet: Any = convert_ldm_unet_checkpoint  # not annotated in diffusers
    unet = rename_unet({name: _Name(name) for name in names if name.startswith(UNET)}, config["unet"])
    found = {f"unet.{ours}": (value.name, "whole") for ours, value in unet.items() if value is not None}
    found |= _vae_names([name for name in names if name.startswith(VAE)], config["vae"])
    for name in names:
        if name.startswith(CLIP):
            for ours, part in clip_names(name[len(CLIP) :]):
                found[f"image_encoder.{ours}"] = (name, part)
    for name in ("cc_projection.weight", "cc_projection.bias"):
        if name in names:
            found[name] = (name, "whole")
    return found


def _vae_names(names: list[str], config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    if is_vq(config):  # these networks are the original's own
        return {
            f"vae.{name.removeprefix(VAE)}": (name, "whole")
            for name in names
            if not name.startswith(_LEFTOVER_PREFIXES)
        }
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    rename: Any = convert_ldm_vae_checkpoint  # not annotated in diffusers
    found = {}
    for ours, value in rename({name: _Name(name) for name in names}, config).items():
        if value is not None:
            attention = ".attentions." in ours and ours.endswith("weight") and "norm" not in ours
            found[f"vae.{ours}"] = (value.name, "matrix" if attention else "whole")
    return found
