"""Files of CLIP, untrusted: a path goes in, transformers' image tower with those weights comes out.

Every size is read off the weights themselves. Nothing in a file is run: openai's are archives of TorchScript,
of which only the numbers and their names are read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from viewfusion.clip_names import clip_names, clip_part
from viewfusion.errors import ViewFusionError
from viewfusion.pickles import ModuleRecord, TensorRecord
from viewfusion.torch_files import TENSOR_NAMES, open_torch_file
from viewfusion.untrusted import shown

ACTIVATIONS = ("quick_gelu", "gelu")
_KIND = "file of CLIP's weights"
_WANTED = "give CLIP's ViT-B/32: openai's ViT-B-32.pt, or a folder of transformers or open_clip"
_LETTERS = {768: "B", 1024: "L"}
_HEAD = 64
"""Numbers of a head in all of openai's towers; open_clip's wider ones have others."""
_WIDEST = 1024
_MOST_LAYERS, _LARGEST = 64, 1024
_MOST_JSON = 2**20  # bytes
_LAYER = re.compile(r"vision_model\.encoder\.layers\.(\d+)\.layer_norm1\.weight")


@dataclass(frozen=True)
class _Source:
    """Names of weights in a file, and how some of them are fetched."""

    path: Path
    names: Iterable[str]
    fetch: Callable[[list[str]], dict[str, torch.Tensor]]


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
    state = _under_our_names(_opened(weights))
    settings = _settings(state, heads, weights)
    tower = _filled(state, settings | {"hidden_act": activation or stated or "quick_gelu"}, weights)
    width, patch = settings["hidden_size"], settings["patch_size"]
    return tower, f"ViT-{_LETTERS.get(width, width)}/{patch}"


def _in_folder(folder: Path) -> tuple[Path, str | None, int | None]:
    """The file of weights in a folder, and the activation and the number of heads that its config states."""
    stems = {"config.json": ("model", "pytorch_model")}
    stems["open_clip_config.json"] = ("open_clip_model", "open_clip_pytorch_model")
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
            return found, *_checked(tower.get("hidden_act", "quick_gelu"), _heads(tower), folder / name)
        model = config.get("model_cfg")
        quick = model.get("quick_gelu", False) if isinstance(model, dict) else False
        return found, *_checked("quick_gelu" if quick is True else "gelu", None, folder / name)
    raise ViewFusionError(f"{folder}: has neither {' nor '.join(stems)}; {_WANTED}")


def _heads(tower: dict[str, Any]) -> Any:
    return tower.get("num_attention_heads", 12)


def _checked(activation: Any, heads: Any, path: Path) -> tuple[str, int | None]:
    if activation not in ACTIVATIONS or not (heads is None or (type(heads) is int and 0 < heads <= 256)):
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


def _opened(path: Path) -> _Source:
    if not path.is_file():
        raise ViewFusionError(f"{path}: no such file; {_WANTED}")
    return _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path)


def _safetensors(path: Path) -> _Source:
    from safetensors import safe_open

    def fetch(names: list[str]) -> dict[str, torch.Tensor]:
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                return {name: file.get_tensor(name) for name in names}
        except Exception as error:
            raise damaged(error) from error

    def damaged(error: Exception) -> ViewFusionError:
        return ViewFusionError(f"{path}: cut short or damaged ({shown([error])}); fetch it again")

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return _Source(path, list(file.keys()), fetch)
    except Exception as error:  # SafetensorError, and OSError over unreadable files
        raise damaged(error) from error


def _torch_file(path: Path) -> _Source:
    file = open_torch_file(path, _is_known, _KIND)
    content = file.content
    if isinstance(content, ModuleRecord):
        records = _flattened(content)
    else:
        inner = content.get("state_dict", content) if isinstance(content, dict) else {}
        inner = inner if isinstance(inner, dict) else {}
        records = {name: each for name, each in inner.items() if isinstance(each, TensorRecord)}
    return _Source(path, records, lambda names: file.tensors({name: records[name] for name in names}))


def _is_known(name: str) -> bool:
    # TorchScript names the classes of its modules, and how lists among their attributes are made.
    return name in TENSOR_NAMES or name.startswith(("__torch__.", "torch.jit._pickle."))


def _flattened(module: ModuleRecord) -> dict[str, TensorRecord]:
    """The tensors of a module and of those below it by their dotted names; each module is entered once."""
    found, waiting, entered = {}, [("", module)], {id(module)}
    while waiting:
        prefix, each = waiting.pop()
        for name, value in each.attributes.items():
            if isinstance(value, TensorRecord):
                found[f"{prefix}{name}"] = value
            elif isinstance(value, ModuleRecord) and id(value) not in entered:
                entered.add(id(value))
                waiting.append((f"{prefix}{name}.", value))
    return found


def _under_our_names(source: _Source) -> dict[str, torch.Tensor]:
    """The image tower's weights, whoever's names they have in the file, under transformers'."""
    origins: dict[str, tuple[str, str]] = {}
    for name in source.names:
        bare = str(name).removeprefix("module.")  # of training on several devices
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
    layers = [int(found[1]) for found in map(_LAYER.fullmatch, state) if found]
    try:
        width, _, _, patch = state["vision_model.embeddings.patch_embedding.weight"].shape
        grid = math.isqrt(state["vision_model.embeddings.position_embedding.weight"].shape[0] - 1)
        settings = {
            "hidden_size": width,
            "patch_size": patch,
            "image_size": grid * patch,
            "num_hidden_layers": len(layers),
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
    if len(layers) > _MOST_LAYERS or settings["image_size"] > _LARGEST:
        raise ViewFusionError(f"{path}: an image tower larger than any of CLIP's; {_WANTED}")
    return settings


def _filled(state: dict[str, torch.Tensor], settings: dict[str, Any], path: Path) -> Any:
    """The tower of ``settings`` with the weights of ``state``."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.device("meta"):
        tower = CLIPVisionModelWithProjection(CLIPVisionConfig(**settings))
    wanted = {name: tuple(value.shape) for name, value in tower.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in state.items()}
    if wanted != got:
        odd = min(name for name in {*wanted, *got} if wanted.get(name) != got.get(name))
        raise ViewFusionError(
            f"{path}: {shown([odd])} should be {wanted.get(odd, 'absent')} and is {got.get(odd, 'absent')}; "
            "fetch it again"
        )
    # Copies: the file may change, and lies anywhere in memory.
    floats = {name: value.to(torch.float32, copy=True) for name, value in state.items()}
    if not all(bool(value.isfinite().all()) for value in floats.values()):
        raise ViewFusionError(f"{path}: holds a weight that is not finite; fetch it again")
    tower.load_state_dict(floats, assign=True)
    embeddings: Any = tower.get_submodule("vision_model.embeddings")
    embeddings.position_ids = torch.arange(embeddings.num_positions)[None]  # computed, and stored nowhere
    return tower.requires_grad_(False).eval()
