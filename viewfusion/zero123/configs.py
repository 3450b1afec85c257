"""What a config of ours may say, checked before anything is built from it.

Enters: an untrusted mapping. Leaves: the same as plain values, in keys and sizes that cannot run
anything, reach the network or exhaust memory; or an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FAMILIES
from viewfusion.untrusted import brief

from .vq import KEYS as VQ_KEYS
from .vq import is_vq

KEYS = ("family", "image_size", "unet", "vae", "image_encoder", "scheduler")
SAMPLING: dict[str, Any] = {
    "solver": "ddim",
    "num_inference_steps": 50,
    "spacing": "timesteps",
    "guidance_scale": 3.0,
    "leap_sigma": 0.0,
}
"""What a checkpoint may state about sampling, and what holds where it does not: as Zero123's own sampler."""
OPTIONAL = ("sampling",)

# Named here, with a value of the kind each takes, and not read off CLIPVisionConfig, which also takes keys
# that make it fetch kernels.
_IMAGE_ENCODER: dict[str, Any] = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "projection_dim": 768,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "initializer_factor": 1.0,
}
_SCHEDULER_KEYS = frozenset(
    ["num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type"]
)
_LARGEST = 4096
_LARGEST_OF = {
    "image_size": 1024,
    "downsample_padding": 1,
    "layers_per_block": 4,
    "transformer_layers_per_block": 4,
    "num_hidden_layers": 64,
    "intermediate_size": 4 * _LARGEST,
    "num_train_timesteps": 100_000,
    "num_vq_embeddings": 2**18,
}
_PER_LEVEL = ("attention_head_dim", "layers_per_block", "transformer_layers_per_block")
_LONGEST_LIST = 8
_LONGEST_STRING = 64


def check_config(config: Any, origin: str) -> dict[str, Any]:
    """The config of a :class:`Zero123`, or ViewFusionError naming ``origin`` and the offending key."""
    if not isinstance(config, Mapping):
        raise ViewFusionError(f"{origin}: wanted a mapping with {', '.join(KEYS)}")
    _check_keys(config, (*KEYS, *OPTIONAL), KEYS, origin)
    if config["family"] not in FAMILIES:
        raise ViewFusionError(
            f"{origin}: family must be one of {', '.join(FAMILIES)}, got {brief(config['family'])}"
        )
    checked: dict[str, Any] = {"family": config["family"]}
    checked["image_size"] = _number(config["image_size"], "image_size", origin, integer=True, least=8)
    if "sampling" in config:
        checked["sampling"] = _checked_sampling(config["sampling"], f"{origin}: sampling")
    for part, kinds in part_keys().items():
        if not isinstance(config[part], Mapping):
            raise ViewFusionError(f"{origin}: {part} must be a mapping, got {brief(config[part])}")
        vq, where = part == "vae" and is_vq(config[part]), f"{origin}: {part}"
        if vq:
            kinds = {key: kinds.get(key) for key in VQ_KEYS}
        _check_keys(config[part], kinds, kinds if vq or part == "scheduler" else (), where)
        checked[part] = {key: _plain(value, key, where) for key, value in config[part].items()}
        for key, value in checked[part].items():
            _check_kind(value, kinds[key], key, where)
    _check_scheduler(checked["scheduler"], origin)
    _check_sizes(checked, origin)
    return checked


def known_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``config`` is a checkpoint's: no more than that is written."""
    return {key: config[key] for key in (*KEYS, *OPTIONAL) if key in config}


def part_keys() -> dict[str, Mapping[str, Any]]:
    """What the config of each part may name, with a value of the kind it takes, where one is known."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    return {
        "unet": _parameters(UNet2DConditionModel),
        "vae": _parameters(AutoencoderKL),
        "image_encoder": _IMAGE_ENCODER,
        "scheduler": dict.fromkeys(_SCHEDULER_KEYS),
    }


def _parameters(cls: type) -> dict[str, Any]:
    """What ``cls`` takes, with the defaults."""
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {name: parameter.default for name, parameter in parameters.items() if name != "self"}


def _check_keys(
    given: Mapping[Any, Any], known: Collection[str], required: Collection[str], origin: str
) -> None:
    unknown = [key for key in given if key not in known]
    missing = sorted(key for key in required if key not in given)
    if unknown:
        raise ViewFusionError(
            f"{origin}: unknown key {brief(unknown[0])}; the file is not of this version of viewfusion"
        )
    if missing:
        raise ViewFusionError(f"{origin}: the key {missing[0]!r} is missing; fetch the checkpoint again")


def _checked_sampling(sampling: Any, where: str) -> dict[str, Any]:
    """Words and numbers; whether the words are known is seen when a run takes them up."""
    if not isinstance(sampling, Mapping):
        raise ViewFusionError(f"{where} must be a mapping, got {brief(sampling)}")
    _check_keys(sampling, SAMPLING, (), where)
    checked = {key: _plain(value, key, where) for key, value in sampling.items()}
    for key, value in checked.items():
        _check_kind(value, SAMPLING[key], key, where)
    return checked


def _plain(value: Any, key: str, origin: str, depth: int = 0) -> Any:
    """``value`` as None, bool, bounded number, short string or short list of these."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _number(value, key, origin)
    if isinstance(value, str) and len(value) <= _LONGEST_STRING:
        return value
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST_LIST and depth < 2:
        return [_plain(item, key, origin, depth + 1) for item in value]
    raise ViewFusionError(f"{origin}: {key} is {brief(value)}, which no checkpoint of this format holds")


def _check_kind(value: Any, example: Any, key: str, origin: str) -> None:
    """Refuse what a network could be built from and not run with: a word for a number, -1 heads."""
    if key in _PER_LEVEL:
        for count in value if isinstance(value, list) else [value]:
            _number(count, key, origin, integer=True, least=1)
    elif isinstance(example, (bool, str)):
        if type(value) is not type(example):
            kind = "true or false" if isinstance(example, bool) else "a word"
            raise ViewFusionError(f"{origin}: {key} must be {kind}, got {brief(value)}")
    elif isinstance(example, (int, float)):
        _number(value, key, origin, integer=isinstance(example, int), least=0)


def _number(value: Any, key: str, origin: str, integer: bool = False, least: float | None = None) -> Any:
    """``value`` if it is a number (a whole one) between ``least`` and the largest of its key."""
    most = _LARGEST_OF.get(key, _LARGEST)
    least = -most if least is None else least
    kinds = (int,) if integer else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        kind = "a whole number" if integer else "a number"
        raise ViewFusionError(
            f"{origin}: {key} must be {kind} between {least:g} and {most}, got {brief(value)}"
        )
    return value


def _check_scheduler(scheduler: Mapping[str, Any], origin: str) -> None:
    where = f"{origin}: scheduler"
    # A run may ask for as many steps as a thousand.
    _number(scheduler["num_train_timesteps"], "num_train_timesteps", where, integer=True, least=1000)
    for key in ("beta_start", "beta_end"):
        value = scheduler[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
            raise ViewFusionError(f"{where}: {key} must lie between 0 and 1, got {brief(value)}")
    allowed = {"beta_schedule": ("scaled_linear",), "prediction_type": ("epsilon", "v_prediction")}
    for key, values in allowed.items():
        if scheduler[key] not in values:
            raise ViewFusionError(
                f"{where}: {key} must be {' or '.join(values)}, got {brief(scheduler[key])}"
            )


def _check_sizes(config: Mapping[str, Any], origin: str) -> None:
    """The sizes that two parts share, and those that a build would divide by."""
    unet, vae, where = config["unet"], config["vae"], f"{origin}: unet"
    for part in ("unet", "vae"):
        channels = config[part].get("block_out_channels")
        if not isinstance(channels, list) or not channels:
            raise ViewFusionError(f"{origin}: {part}: block_out_channels must be a list of channel counts")
        for count in channels:
            _number(count, "block_out_channels", f"{origin}: {part}", integer=True, least=1)
    latents = _number(vae.get("latent_channels", 4), "latent_channels", where, integer=True, least=1)
    if unet.get("in_channels") != 2 * latents or unet.get("out_channels", 4) != latents:
        raise ViewFusionError(
            f"{where}: in_channels and out_channels must be {2 * latents} and {latents} (noisy "
            f"latents beside condition latents in, noise out), got {brief(unet.get('in_channels'))} and "
            f"{brief(unet.get('out_channels'))}; this is the config of another model"
        )
    width = _number(unet.get("cross_attention_dim"), "cross_attention_dim", where, integer=True, least=1)
    _check_embeddings(unet, width, where)
    _number(vae.get("scaling_factor", 0.18215), "scaling_factor", f"{origin}: vae", least=1e-6)
    if is_vq(vae):
        _check_vq(vae, f"{origin}: vae")
    factor = 2 ** (len(vae["block_out_channels"]) - 1)
    if config["image_size"] % factor:
        raise ViewFusionError(
            f"{origin}: image_size must be a multiple of {factor}, got {config['image_size']}"
        )


_FOREIGN = ("class_embed_type", "num_class_embeds", "encoder_hid_dim", "encoder_hid_dim_type")
"""Options by which diffusers' UNet wants labels, or tokens of another width, which Zero123 does not give."""


def _check_embeddings(unet: Mapping[str, Any], width: int, where: str) -> None:
    """What the UNet is told besides latents and timestep: tokens of ``width``, and nothing else."""
    for key in _FOREIGN:
        if unet.get(key):
            raise ViewFusionError(
                f"{where}: {key} must be absent or null; this is the config of another model"
            )
    kind = unet.get("addition_embed_type")
    if kind not in (None, "text"):
        raise ViewFusionError(
            f"{where}: addition_embed_type must be text or null; this is the config of another model"
        )
    key = "addition_embed_type_num_heads"
    if kind and width % _number(unet.get(key, 64), key, where, integer=True, least=1):
        raise ViewFusionError(f"{where}: {key} must divide cross_attention_dim, {width}")


def _check_vq(vae: Mapping[str, Any], where: str) -> None:
    """What taming's networks would multiply and divide by."""
    for key in ("num_vq_embeddings", "layers_per_block", "in_channels", "out_channels", "sample_size"):
        _number(vae[key], key, where, integer=True, least=1)
    widths = vae["block_out_channels"]
    if any(width % widths[0] for width in widths):
        raise ViewFusionError(f"{where}: block_out_channels must be whole multiples of the first one")
    if not isinstance(vae["attn_resolutions"], list):
        raise ViewFusionError(f"{where}: attn_resolutions must be a list of picture sizes")
    for size in vae["attn_resolutions"]:
        _number(size, "attn_resolutions", where, integer=True, least=1)
