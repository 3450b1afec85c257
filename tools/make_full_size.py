"""Write a random checkpoint in the exact layout of a released Zero123, to try loaders on its full size.

    python tools/make_full_size.py --out /tmp/full.ckpt
    python tools/make_full_size.py --out /tmp/half.ckpt --dtype fp16
    python tools/make_full_size.py --out /tmp/tiny.ckpt --config tests/assets/tiny_zero123.yaml \
        --clip width=128 layers=2 vocabulary=1000

A Lightning ``.ckpt``: the ``state_dict`` under the original names, UNet averages and text leftovers of CLIP
included, and beside it callbacks keyed by a class, loops and the two moments of AdamW. 15.5 GB as fp32, 8.6
of them weights; at no time more than a few hundred MB of it are in memory. The numbers are random and the
pictures noise. The zip's checksums are left out, as torch does not look at them.
"""

from __future__ import annotations

import argparse
import mmap
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import set_default_mmap_options, skip_data

from viewfusion.clip_names import CLIP_LAYERS, CLIP_NAMES
from viewfusion.outputs.files import atomic_path
from viewfusion.yaml_files import read_yaml
from viewfusion.zero123 import Zero123
from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config
from viewfusion.zero123.ldm_keys import CLIP, UNET, VAE
from viewfusion.zero123.pages import release
from viewfusion.zero123.weights import meta_model

DTYPES = {"fp32": torch.float32, "fp16": torch.float16}
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ClipSizes:
    """What the model YAML does not say: the sizes of CLIP, here those of ViT-L/14."""

    width: int = 1024
    layers: int = 24
    patch: int = 14
    image_size: int = 224
    embed: int = 768
    text_width: int = 768
    vocabulary: int = 49408
    context: int = 77

    def hints(self) -> dict[str, torch.Tensor]:
        """The weights, without memory, from which a loader reads these sizes."""
        shapes: Shapes = {
            "conv1.weight": (self.width, 3, self.patch, self.patch),
            "proj": (self.width, self.embed),
            "positional_embedding": ((self.image_size // self.patch) ** 2 + 1, self.width),
            **{
                f"transformer.resblocks.{layer}.mlp.c_fc.weight": (4 * self.width, self.width)
                for layer in range(self.layers)
            },
        }
        return {f"{CLIP}{name}": torch.empty(shape, device="meta") for name, shape in shapes.items()}

    def leftovers(self) -> Shapes:
        """What the original keeps of the text half."""
        shapes: Shapes = {
            "positional_embedding": (self.context, self.text_width),
            "text_projection": (self.text_width, self.embed),
            "logit_scale": (),
            "token_embedding.weight": (self.vocabulary, self.text_width),
            "ln_final.weight": (self.text_width,),
            "ln_final.bias": (self.text_width,),
        }
        return {f"cond_stage_model.model.{name}": shape for name, shape in shapes.items()}


# From diffusers' names to the original's, applied one after another to a name of the UNet ...
_UNET_RULES = (
    (r"^time_embedding\.linear_1\.", "time_embed.0."),
    (r"^time_embedding\.linear_2\.", "time_embed.2."),
    (r"^conv_in\.", "input_blocks.0.0."),
    (r"^conv_norm_out\.", "out.0."),
    (r"^conv_out\.", "out.2."),
    (r"^mid_block\.resnets\.0\.", "middle_block.0."),
    (r"^mid_block\.attentions\.0\.", "middle_block.1."),
    (r"^mid_block\.resnets\.1\.", "middle_block.2."),
    (r"(blocks?\.\d+\.\d+\.|middle_block\.\d\.)norm1\.", r"\1in_layers.0."),
    (r"(blocks?\.\d+\.\d+\.|middle_block\.\d\.)conv1\.", r"\1in_layers.2."),
    (r"(blocks?\.\d+\.\d+\.|middle_block\.\d\.)time_emb_proj\.", r"\1emb_layers.1."),
    (r"(blocks?\.\d+\.\d+\.|middle_block\.\d\.)norm2\.", r"\1out_layers.0."),
    (r"(blocks?\.\d+\.\d+\.|middle_block\.\d\.)conv2\.", r"\1out_layers.3."),
    (r"\.conv_shortcut\.", ".skip_connection."),
)
# ... and of the autoencoder.
_VAE_RULES = (
    (r"\.conv_norm_out\.", ".norm_out."),
    (r"\.conv_shortcut\.", ".nin_shortcut."),
    (r"\.mid_block\.resnets\.0\.", ".mid.block_1."),
    (r"\.mid_block\.resnets\.1\.", ".mid.block_2."),
    (r"\.mid_block\.attentions\.0\.", ".mid.attn_1."),
    (r"\.attn_1\.group_norm\.", ".attn_1.norm."),
    (r"\.attn_1\.to_([qkv])\.", r".attn_1.\1."),
    (r"\.attn_1\.to_out\.0\.", ".attn_1.proj_out."),
    (r"\.(down|up)samplers\.0\.conv\.", r".\1sample.conv."),
    (r"\.resnets\.(\d)\.", r".block.\1."),
    (r"\.down_blocks\.", ".down."),
)


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def unet_shapes(unet: Any) -> Shapes:
    """Original name -> shape of a diffusers UNet's weights."""
    layers, attends = unet.config["layers_per_block"], unet.config["up_block_types"]

    def moved(found: re.Match[str]) -> str:
        side, block, kind, number = found[1], int(found[2]), found[3], int(found[4])
        if side == "down":
            place = block * (layers + 1) + number + 1
            rest = {"resnets": f"{place}.0", "attentions": f"{place}.1"}
            return f"input_blocks.{rest.get(kind, f'{(block + 1) * (layers + 1)}.0')}"
        place = block * (layers + 1) + number
        last = f"{block * (layers + 1) + layers}.{2 if 'CrossAttn' in attends[block] else 1}"
        return f"output_blocks.{ {'resnets': f'{place}.0', 'attentions': f'{place}.1'}.get(kind, last) }"

    shapes = {}
    for ours, value in unet.state_dict().items():
        name = re.sub(r"downsamplers\.0\.conv", "downsamplers.0.op", ours)
        name = re.sub(r"^(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)", moved, name)
        shapes[f"{UNET}{_renamed(name, _UNET_RULES)}"] = tuple(value.shape)
    return shapes


def vae_shapes(vae: Any) -> Shapes:
    """Original name -> shape of a diffusers AutoencoderKL's weights."""
    levels = len(vae.config["block_out_channels"])
    shapes = {}
    for ours, value in vae.state_dict().items():
        # The original counts the decoder's levels from the picture's side.
        name = re.sub(r"\.up_blocks\.(\d)\.", lambda found: f".up.{levels - 1 - int(found[1])}.", ours)
        name = _renamed(name, _VAE_RULES)
        matrix = ".attn_1." in name and value.ndim == 2  # stored as a 1x1 convolution
        shapes[f"{VAE}{name}"] = (*value.shape, 1, 1) if matrix else tuple(value.shape)
    return shapes


def clip_shapes(image_encoder: Any) -> Shapes:
    """Original name -> shape of the image tower's weights."""
    stems = {f".{theirs}.": f".{original}." for original, theirs in CLIP_LAYERS.items()}
    heads = {f"vision_model.{theirs}": original for original, theirs in CLIP_NAMES.items()}
    shapes: Shapes = {}
    for ours, value in image_encoder.state_dict().items():
        name = heads.get(ours, ours.replace("vision_model.encoder.layers.", "transformer.resblocks."))
        for theirs, original in stems.items():
            name = name.replace(theirs, original)
        shape = tuple(value.shape)
        if ours == "visual_projection.weight":
            name, shape = "proj", (shape[1], shape[0])
        elif found := re.search(r"self_attn\.[qkv]_proj\.(\w+)$", name):  # three in one
            name = name.replace(found[0], f"attn.in_proj_{found[1]}")
            shape = (3 * shape[0], *shape[1:])
        shapes[f"{CLIP}{name}"] = shape
    return shapes


def schedule(model: Zero123) -> dict[str, torch.Tensor]:
    """The twelve buffers of the noise schedule that the original stores, float32."""
    settings = model.config["scheduler"]
    ends = (settings["beta_start"] ** 0.5, settings["beta_end"] ** 0.5)
    betas = np.linspace(*ends, settings["num_train_timesteps"], dtype=np.float64) ** 2
    alphas = 1 - betas
    bar = np.cumprod(alphas)
    before = np.append(1.0, bar[:-1])
    variance = betas * (1 - before) / (1 - bar)
    arrays = {
        "betas": betas,
        "alphas_cumprod": bar,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": np.sqrt(bar),
        "sqrt_one_minus_alphas_cumprod": np.sqrt(1 - bar),
        "log_one_minus_alphas_cumprod": np.log(1 - bar),
        "sqrt_recip_alphas_cumprod": np.sqrt(1 / bar),
        "sqrt_recipm1_alphas_cumprod": np.sqrt(1 / bar - 1),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.maximum(variance, 1e-20)),
        "posterior_mean_coef1": betas * np.sqrt(before) / (1 - bar),
        "posterior_mean_coef2": (1 - before) * np.sqrt(alphas) / (1 - bar),
    }
    return {name: torch.from_numpy(array).float() for name, array in arrays.items()}


def layout(original: Any, clip: ClipSizes) -> tuple[dict[str, torch.Tensor], Shapes]:
    """(stored constants, shapes of everything random) of a checkpoint of the model YAML ``original``."""
    model = meta_model(ldm_config(original, clip.hints(), "the model YAML"), Path("the model YAML"))
    unet = unet_shapes(model.unet)
    averages = {
        "model_ema." + name.removeprefix("model.").replace(".", ""): shape for name, shape in unet.items()
    }
    projection = {
        f"cc_projection.{name}": tuple(value.shape)
        for name, value in model.cc_projection.state_dict().items()
    }
    constants = schedule(model)
    constants["model_ema.decay"] = torch.tensor(0.9999)
    constants["model_ema.num_updates"] = torch.tensor(105000, dtype=torch.int32)
    parts = (unet, averages, vae_shapes(model.vae), clip.leftovers(), clip_shapes(model.image_encoder))
    return constants, {name: shape for part in (*parts, projection) for name, shape in part.items()}


def lightning_content(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What Lightning 1.4 stored around a ``state_dict``; the optimizer's tensors are not filled yet."""
    from pytorch_lightning.callbacks import ModelCheckpoint

    trained = [
        [value for name, value in state.items() if name.startswith(prefix)]
        for prefix in (UNET, "cc_projection.")
    ]
    groups, moments = [], {}
    for rate, values in zip((1e-4, 1e-3), trained, strict=True):
        numbers = list(range(len(moments), len(moments) + len(values)))
        groups.append(
            {"lr": rate, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "params": numbers}
        )
        for number, value in zip(numbers, values, strict=True):
            moments[number] = {
                "step": 105000,
                "exp_avg": torch.empty_like(value),
                "exp_avg_sq": torch.empty_like(value),
            }
    return {
        "epoch": 17,
        "global_step": 105000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": state,
        "callbacks": {ModelCheckpoint: {"monitor": "val/loss_simple_ema", "best_model_path": "last.ckpt"}},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 18}}}},
        "optimizer_states": [{"state": moments, "param_groups": groups}],
        "lr_schedulers": [{"base_lrs": [1e-4, 1e-3], "last_epoch": 105000, "_step_count": 105001}],
    }


def random_values(name: str, shape: torch.Size, seed: int) -> torch.Tensor:
    """Float32 of a size that keeps activations finite; depends on (seed, name) alone."""
    # One number of 32 bits: torch looks at no more of a seed.
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode(), seed))
    values = torch.randn(shape, generator=generator)
    if len(shape) > 1:
        return values.mul_((values.numel() / shape[0]) ** -0.5)
    return values.mul_(0.02).add_(1.0 if name.endswith("weight") else 0.0)


def _tensors(content: dict[str, Any]) -> Iterator[tuple[str, torch.Tensor]]:
    yield from content["state_dict"].items()
    for number, moments in content["optimizer_states"][0]["state"].items():
        yield f"exp_avg {number}", moments["exp_avg"]
        yield f"exp_avg_sq {number}", moments["exp_avg_sq"]


def make_checkpoint(
    path: Path, original: Any = FULL_SIZE, clip: ClipSizes = ClipSizes(), dtype: str = "fp32", seed: int = 0
) -> None:
    """Write a random checkpoint to ``path``, which appears once it is complete."""
    constants, shapes = layout(original, clip)
    # Reserved and never touched, so these tensors take addresses and no memory.
    state = {
        name: value.to(DTYPES[dtype]) if value.is_floating_point() else value
        for name, value in constants.items()
    }
    state |= {name: torch.empty(shape, dtype=DTYPES[dtype]) for name, shape in shapes.items()}
    content = lightning_content(state)
    size = sum(value.nbytes for _, value in _tensors(content))
    if shutil.disk_usage(path.resolve().parent).free < 1.01 * size:
        raise SystemExit(f"{path}: needs {size / 1e9:.1f} GB of disk; choose another place or --dtype fp16")
    with atomic_path(path) as partial:
        with skip_data():
            torch.save(content, partial)
        with set_default_mmap_options(mmap.MAP_SHARED):  # what is written into the tensors goes to the file
            stored = torch.load(partial, mmap=True, weights_only=False)
        for name, tensor in _tensors(stored):
            known = constants.get(name)
            tensor.copy_(random_values(name, tensor.shape, seed) if known is None else known)
            release(tensor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, help="a model YAML; the released full-size one if left out")
    names = ", ".join(field.name for field in fields(ClipSizes))
    parser.add_argument("--clip", nargs="*", default=[], metavar="NAME=NUMBER", help=f"CLIP's sizes: {names}")
    args = parser.parse_args()
    original = read_yaml(args.config, "model YAML", "--config") if args.config else FULL_SIZE
    clip = ClipSizes(**{name: int(value) for name, _, value in (pair.partition("=") for pair in args.clip)})
    make_checkpoint(args.out, original, clip, args.dtype, args.seed)
    print(f"{args.out}: {args.out.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
