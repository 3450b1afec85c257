"""Files of CLIP, untrusted: a path goes in, transformers' image tower with those weights comes out.

Every size is read off the weights themselves.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import torch

from viewfusion.clip_names import clip_names, clip_part
from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .saved import SavedTensors, open_tensors
from .weights import filled

ACTIVATIONS = ("quick_gelu", "gelu")
_KIND = "file of CLIP's weights"
_WANTED = "give CLIP's ViT-B/32: openai's ViT-B-32.pt, or a folder of transformers or open_clip"
_LETTERS = {768: "B", 1024: "L"}
_HEAD = 64
"""Numbers of a head in all of openai's towers; open_clip's wider ones have others."""
_WIDEST = 1024
_MOST_LAYERS, _LARGEST = 64, 1024
_MOST_JSON = 2**20  # bytes
_LAYER = re.compile(r"vision_model\.encoder\.layers\.\d+\.layer_norm1\.weight")


def open_tower(path: Path, activation: str | None = None) -> tuple[Any, str]:
    """A CLIPVisionModelWithProjection in eval mode, frozen, float32 on the CPU; and its name.

    The arguments and errors are those of :func:`.clip.load_clip`.
    """
    if activation not in (None, *ACTIVATIONS):
        raise ViewFusionError(f"CLIP's activation is one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    stated, heads = None, None
    weights = path
    if path.is_dir():
        weights, stated, heads = _in_folder(path)
    if activation and stated and activation != stated:
        raise ViewFusionError(f"{path}: its config says {stated}, not {activation}; leave the activation out")
    state = _under_our_names(open_tensors(weights, _KIND, _WANTED))
    settings = _settings(state, heads, weights)
    tower = _filled(state, settings | {"hidden_act": activation or stated or "quick_gelu"}, weights)
    width, patch = settings["hidden_size"], settings["patch_size"]
    return tower, f"ViT-{_LETTERS.get(width, width)}/{patch}"


def _in_folder(folder: Path) -> tuple[Path, str | None, int | None]:
    """The file of weights in a folder, and the activation and the number of heads that its config states."""
    stems = {
        "config.json": ("model", "pytorch_model"),
        "open_clip_config.json": ("open_clip_model", "open_clip_pytorch_model"),
    }
    for name, files in stems.items():
        if not (folder / name).is_file():
            continue
        config = _json(folder / name)
        places = [folder / f"{files[0]}.safetensors", folder / f"{files[1]}.bin"]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise ViewFusionError(f"{folder}: has {name} and no {places[0].name}; fetch the folder again")
        if name == "config.json":
            tower = config.get("vision_config", config)
            tower = tower if isinstance(tower, dict) else {}
            # What transformers leaves out of a config has these values.
            stated = tower.get("hidden_act", "quick_gelu"), tower.get("num_attention_heads", 12)
            return found, *_checked(*stated, folder / name)
        model = config.get("model_cfg")
        quick = isinstance(model, dict) and model.get("quick_gelu") is True
        return found, "quick_gelu" if quick else "gelu", None
    raise ViewFusionError(f"{folder}: has neither {' nor '.join(stems)}; {_WANTED}")


def _checked(activation: Any, heads: Any, path: Path) -> tuple[str, int]:
    if activation not in ACTIVATIONS or type(heads) is not int or not 0 < heads <= 256:
        raise ViewFusionError(
            f"{path}: states {shown([activation])} and {shown([heads])} heads, as none of CLIP's towers has; "
            f"{_WANTED}"
        )
    return activation, heads


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ViewFusionError(f"{path}: cannot be read ({shown([error])}); fetch the folder again") from error
    if not isinstance(content, dict):
        raise ViewFusionError(f"{path}: is no dictionary; fetch the folder again")
    return content


def _under_our_names(source: SavedTensors) -> dict[str, torch.Tensor]:
    """The image tower's weights, whoever's names they have in the file, under transformers'."""
    origins: dict[str, tuple[str, str]] = {}
    for name in source.names:
        bare = name.removeprefix("module.")  # of training on several devices
        if bare.startswith("visual."):
            origins |= {ours: (name, part) for ours, part in clip_names(bare.removeprefix("visual."))}
        elif bare.startswith(("vision_model.", "visual_projection.")) and not bare.endswith("position_ids"):
            origins[bare] = (name, "whole")
    if "vision_model.embeddings.class_embedding" not in origins:
        raise ViewFusionError(f"{source.path}: holds no vision transformer of CLIP's; {_WANTED}")
    stored = source.fetch(sorted({name for name, _ in origins.values()}))
    return {ours: clip_part(stored[name], part) for ours, (name, part) in origins.items()}


def _settings(state: dict[str, torch.Tensor], heads: int | None, path: Path) -> dict[str, int]:
    """The sizes of a CLIPVisionConfig, off the weights."""
    layers = sum(1 for name in state if _LAYER.fullmatch(name))
    try:
        width, _, _, patch = state["vision_model.embeddings.patch_embedding.weight"].shape
        grid = math.isqrt(state["vision_model.embeddings.position_embedding.weight"].shape[0] - 1)
        settings = {
            "hidden_size": width,
            "patch_size": patch,
            "image_size": grid * patch,
            "num_hidden_layers": layers,
            "intermediate_size": state["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
            "projection_dim": state["visual_projection.weight"].shape[0],
            "num_attention_heads": heads or width // _HEAD,
        }
    except (KeyError, ValueError, IndexError) as error:
        raise ViewFusionError(
            f"{path}: its image tower is not whole ({shown([error])}); fetch it again"
        ) from error
    known = heads is not None or width <= _WIDEST
    if not known or width % (settings["num_attention_heads"] or 1) or not all(settings.values()):
        raise ViewFusionError(f"{path}: an image tower {width} wide, whose heads nothing tells; {_WANTED}")
    if layers > _MOST_LAYERS or settings["image_size"] > _LARGEST:
        raise ViewFusionError(f"{path}: an image tower larger than any of CLIP's; {_WANTED}")
    return settings


def _filled(state: dict[str, torch.Tensor], settings: dict[str, Any], path: Path) -> Any:
    """The tower of ``settings`` with the weights of ``state``."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.device("meta"):
        tower = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings))
    # Copies: the file may change, and its numbers lie anywhere in memory.
    copies = {name: value.to(torch.float32, copy=True) for name, value in state.items()}
    filled(tower, copies, "of CLIP", path, _WANTED)
    embeddings: Any = tower.get_submodule("vision_model.embeddings")
    embeddings.position_ids = torch.arange(embeddings.num_positions)[None]  # computed, and stored nowhere
    return tower
