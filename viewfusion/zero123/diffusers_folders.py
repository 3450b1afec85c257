"""Folders in the layout of diffusers pipelines: the public ones of Zero123 in, one that diffusers opens out.

    model_index.json   scheduler/   unet/   vae/   image_encoder/
    cc_projection/     the last linear layer; clip_camera_projection/ in the other public layout

Enters: a folder, untrusted, or a model. Leaves: a config with a :class:`WeightSource`, or a folder. Classes
that a folder names are compared with short lists and never looked up, so nothing it names is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from viewfusion import clip_names
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FAMILIES, Family
from viewfusion.untrusted import brief

from .configs import OPTIONAL, check_config, known_keys, part_keys
from .folders import new_folder, read_json
from .lightning import read_state_dict
from .model import Zero123
from .safetensors_files import OnBytes, shards_of_index, stored_weights, write_weights
from .vq import is_vq
from .weights import WeightSource, check_shapes, meta_model, model_weights

INDEX = "model_index.json"
_VERSION = 1
_STATED = "_viewfusion"  # ours in the index; diffusers skips what begins with an underscore
# kxic's and the diffusers community pipeline; ashawkey's and bennyguo's.
_PIPELINES = frozenset(["Zero1to3StableDiffusionPipeline", "Zero123Pipeline"])
_PROJECTIONS = {"cc_projection": "CCProjection", "clip_camera_projection": "CLIPCameraProjection"}
_PROJECTION_LAYERS = ("projection.", "proj.")
_SCHEDULERS = frozenset(
    f"{name}Scheduler"
    for name in [
        "DDIM",
        "DDPM",
        "PNDM",
        "LMSDiscrete",
        "EulerDiscrete",
        "EulerAncestralDiscrete",
        "HeunDiscrete",
        "DPMSolverSinglestep",
        "DPMSolverMultistep",
        "UniPCMultistep",
    ]
)
_CLASSES = {
    "unet": frozenset(["UNet2DConditionModel"]),
    "vae": frozenset(["AutoencoderKL"]),
    "image_encoder": frozenset(["CLIPVisionModelWithProjection"]),
    "scheduler": _SCHEDULERS,
}
_UNUSED = {
    "feature_extractor": frozenset(["CLIPImageProcessor", "CLIPFeatureExtractor"]),
    "safety_checker": frozenset(["StableDiffusionSafetyChecker"]),
}
_BOOKKEEPING = frozenset(
    ["architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "dropout"]
)
_STEM = "diffusion_pytorch_model"
_VARIANTS = ("", ".fp16")
# The autoencoder's attention before diffusers 0.18.
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_FULL_SIZE_CHANNELS = [320, 640, 1280, 1280]


def read_diffusers(folder: Path) -> tuple[dict[str, Any], WeightSource, Family | None]:
    """Config, weights and the stated family of a folder; only headers are read here.

    Public folders do not state their family: it is None, and the config's is "zero123".

    Raises:
        ViewFusionError: not a Zero123, something is missing or damaged, or names what no Zero123 needs.
    """
    index = _object(folder / INDEX)
    projection = _check_index(index, folder / INDEX)
    stated = _stated(index, folder / INDEX)
    config: dict[str, Any] = {part: _part_config(folder, part) for part in ("unet", "vae", "image_encoder")}
    config["scheduler"] = _scheduler_config(folder)
    config["image_size"] = stated.get("image_size") or _image_size(config)
    config["family"] = stated.get("family") or "zero123"
    config |= {key: stated[key] for key in OPTIONAL if key in stated}
    _check_class(_object(folder / projection / "config.json"), _PROJECTIONS[projection], folder / projection)
    checked = check_config(config, str(folder))
    return checked, _weights(folder, projection), stated.get("family")


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ViewFusionError(f"{path}: wanted a JSON object, got {brief(content)}; fetch the folder again")
    return content


def _check_index(index: Mapping[str, Any], path: Path) -> str:
    """The name of the projection's folder, if ``index`` lists a Zero123's parts and no others."""
    if str(index.get("_class_name")) not in _PIPELINES:
        raise ViewFusionError(
            f"{path}: is of the pipeline {brief(index.get('_class_name'))}; a Zero123's is one of "
            f"{', '.join(sorted(_PIPELINES))}; this looks like a checkpoint of another model"
        )
    found = [name for name in _PROJECTIONS if name in index]
    if len(found) != 1:
        raise ViewFusionError(f"{path}: must list one of {' and '.join(_PROJECTIONS)}, lists {len(found)}")
    wanted = {**_CLASSES, found[0]: frozenset([_PROJECTIONS[found[0]]])}
    for name in wanted:
        if name not in index:
            raise ViewFusionError(f"{path}: lists no {name}; this folder is not a whole Zero123")
    allowed = {**wanted, **_UNUSED}
    for name, value in index.items():
        if name.startswith("_") or name == "requires_safety_checker":
            continue
        if name not in allowed:
            raise ViewFusionError(f"{path}: refused: lists {brief(name)}, which no Zero123 has")
        if name in _UNUSED and value in ([None, None], None):
            continue
        # The first entry is the library: never imported, whatever it says.
        if not isinstance(value, list) or len(value) != 2 or str(value[1]) not in allowed[name]:
            said = ".".join(map(brief, value)) if isinstance(value, list) else brief(value)
            raise ViewFusionError(
                f"{path}: refused: {name} asks for the class {said[:100]}; "
                f"viewfusion opens {', '.join(sorted(allowed[name]))} and runs no code of a checkpoint"
            )
    return found[0]


def _stated(index: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What :func:`write_diffusers` says in an index beyond diffusers' own words."""
    stated = index.get(_STATED)
    if stated is None:
        return {}
    if not isinstance(stated, dict) or stated.get("version") != _VERSION:
        raise ViewFusionError(f"{path}: {_STATED} is none of this version; update viewfusion")
    if stated.get("family") not in FAMILIES or type(stated.get("image_size")) is not int:
        raise ViewFusionError(f"{path}: {_STATED} states no family and image_size; fetch the folder again")
    return stated


def _check_class(config: Mapping[str, Any], wanted: str, folder: Path) -> None:
    given = config.get("_class_name", wanted)
    if given != wanted:
        raise ViewFusionError(f"{folder}: refused: its config is of the class {brief(given)}, not {wanted}")


def _part_config(folder: Path, part: str) -> dict[str, Any]:
    """The config of one network as :func:`check_config` wants it."""
    path = folder / part / "config.json"
    content = _object(path)
    (wanted,) = _CLASSES[part]
    if part == "image_encoder":
        if content.get("model_type", "clip_vision_model") != "clip_vision_model":
            raise ViewFusionError(f"{path}: is a {brief(content['model_type'])}, not CLIP's image tower")
        content = {key: value for key, value in content.items() if key not in _BOOKKEEPING}
    else:
        _check_class(content, wanted, folder / part)
    known = part_keys()[part]
    # Other versions know other keys; one that is off changes nothing here.
    return {
        key: value
        for key, value in content.items()
        if not key.startswith("_") and (key in known or (value is not None and value is not False))
    }


def _scheduler_config(folder: Path) -> dict[str, Any]:
    """The noise schedule; how a public folder would step through it is no matter here."""
    path = folder / "scheduler" / "scheduler_config.json"
    content = _object(path)
    if content.get("trained_betas") is not None:
        raise ViewFusionError(f"{path}: has a table of trained_betas, which no Zero123 has")
    known = {key: value for key, value in content.items() if key in part_keys()["scheduler"]}
    return {"prediction_type": "epsilon", **known}


def _image_size(config: Mapping[str, Any]) -> Any:
    """Pixels a side. Converters write Stable Diffusion's sample_size into the published full-size folders."""
    unet, channels = config["unet"], config["vae"].get("block_out_channels")
    if unet.get("block_out_channels") == _FULL_SIZE_CHANNELS:
        return 256
    size = unet.get("sample_size")
    if type(size) is not int or not isinstance(channels, list) or not 1 <= len(channels) <= 8:
        return None  # which check_config refuses
    return size * 2 ** (len(channels) - 1)


def _weights(folder: Path, projection: str) -> WeightSource:
    homes: dict[str, tuple[WeightSource, str]] = {}
    for part in ("unet", "vae", "image_encoder", projection):
        source = _part_weights(folder / part)
        for name in source.shapes:
            ours = _our_name(part, name)
            if ours is not None:
                homes[ours] = source, name

    def fetch(ours: str) -> torch.Tensor:
        source, name = homes[ours]
        return source.fetch(name)

    shapes = {ours: source.shapes[name] for ours, (source, name) in homes.items()}
    dtypes = {ours: source.dtypes[name] for ours, (source, name) in homes.items()}
    return WeightSource(folder, shapes, fetch, dtypes=dtypes, mapped=True)


def _our_name(part: str, name: str) -> str | None:
    """The name in a :class:`Zero123`; None for what is computed and not learned."""
    if part in _PROJECTIONS:
        for layer in _PROJECTION_LAYERS:
            name = name.removeprefix(layer)
        return f"cc_projection.{name}"
    if part == "image_encoder" and name.endswith(".position_ids"):
        return None
    if part == "vae" and ".attentions." in name:
        head, layer, kind = name.rsplit(".", 2) if name.count(".") > 1 else ("", "", "")
        if layer in _OLD_NAMES:
            return f"vae.{head}.{_OLD_NAMES[layer]}.{kind}"
    return f"{part}.{name}"


def _part_weights(folder: Path) -> WeightSource:
    """The weights of one part: whole or in shards, safetensors or pickled, full precision first."""
    tower = folder.name == "image_encoder"
    for variant in _VARIANTS:
        files = _files(folder, "model" if tower else _STEM, variant, "safetensors")
        if files:
            return stored_weights(folder, files)
        files = _files(folder, "pytorch_model" if tower else _STEM, variant, "bin")
        if files:
            return _pickled(folder, files)
    raise ViewFusionError(f"{folder}: holds no weights (.safetensors or .bin); fetch the folder again")


def _files(folder: Path, stem: str, variant: str, suffix: str) -> list[Path]:
    index, single = folder / f"{stem}.{suffix}.index{variant}.json", folder / f"{stem}{variant}.{suffix}"
    if index.is_file():
        return shards_of_index(index, read_json(index), stem, suffix)
    return [single] if single.is_file() else []


def _pickled(folder: Path, files: list[Path]) -> WeightSource:
    state: dict[str, torch.Tensor] = {}
    for path in files:
        state |= read_state_dict(path)
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    dtypes = {name: str(value.dtype)[6:] for name, value in state.items()}
    return WeightSource(folder, shapes, state.__getitem__, dtypes=dtypes, mapped=True)


def save_diffusers(
    model: Zero123,
    folder: str | os.PathLike[str],
    dtype: torch.dtype = torch.float16,
    max_shard_size: int | str = "5GB",
) -> Path:
    """Write ``model`` as a folder whose parts diffusers and transformers open; return the folder.

    The layout is that of diffusers' community pipeline ``pipeline_zero1to3``. The folder appears under its
    name only when it is complete. :func:`load_zero123` reads it back, its family included.

    Args:
        folder: made if need be; must be absent or empty.
        dtype: of the stored weights.
        max_shard_size: of one weight file, in bytes or such as "5GB" (decimal).

    Raises:
        ViewFusionError: the folder holds something, cannot be written, the model has parts this layout
            has no place for, or a weight is not finite in ``dtype``.
    """
    return write_diffusers(model.config, model_weights(model), folder, dtype, max_shard_size)


def write_diffusers(
    config: Mapping[str, Any],
    source: WeightSource,
    folder: str | os.PathLike[str],
    dtype: torch.dtype,
    max_shard_size: int | str = "5GB",
    on_bytes: OnBytes | None = None,
) -> Path:
    """:func:`save_diffusers` for weights that need not be in memory: they are read one at a time."""
    import diffusers

    checked = check_config(known_keys(config), "model.config")
    if is_vq(checked["vae"]):
        raise ViewFusionError(
            f"{folder}: this layout has no place for a VQ autoencoder; write a viewfusion folder "
            "(--to viewfusion)"
        )
    skeleton = meta_model(checked, source.path)
    check_shapes(source, skeleton)
    version = diffusers.__version__
    tower = skeleton.image_encoder.config
    tower.architectures = ["CLIPVisionModelWithProjection"]
    texts = {
        "model_index.json": _index_text(checked, version),
        "scheduler/scheduler_config.json": _scheduler_text(checked, version),
        "feature_extractor/preprocessor_config.json": _preprocessor_text(tower.image_size),
        "unet/config.json": skeleton.unet.to_json_string(),
        "vae/config.json": skeleton.vae.to_json_string(),
        "image_encoder/config.json": tower.to_json_string(),
        "cc_projection/config.json": _projection_text(skeleton.cc_projection, version),
    }
    with new_folder(folder) as partial:
        for name, text in texts.items():
            (partial / name).parent.mkdir(exist_ok=True)
            (partial / name).write_text(text.rstrip() + "\n", encoding="utf-8")
        for part in ("unet", "vae", "image_encoder", "cc_projection"):
            stem = "model" if part == "image_encoder" else _STEM
            write_weights(partial / part, stem, _part_of(source, part), dtype, max_shard_size, None, on_bytes)
    return Path(folder).resolve()


def _part_of(source: WeightSource, part: str) -> WeightSource:
    """The weights of one part under the names they have in its folder."""
    layer = _PROJECTION_LAYERS[0] if part == "cc_projection" else ""
    names = {
        layer + ours.removeprefix(f"{part}."): ours for ours in source.shapes if ours.startswith(f"{part}.")
    }
    shapes = {name: source.shapes[ours] for name, ours in names.items()}
    return WeightSource(source.path, shapes, lambda name: source.fetch(names[name]), mapped=source.mapped)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, sort_keys=True)


def _index_text(config: Mapping[str, Any], version: str) -> str:
    return _json(
        {
            "_class_name": "Zero1to3StableDiffusionPipeline",
            "_diffusers_version": version,
            _STATED: {
                "version": _VERSION,
                "family": config["family"],
                "image_size": config["image_size"],
                **{key: config[key] for key in OPTIONAL if key in config},
            },
            "cc_projection": ["pipeline_zero1to3", "CCProjection"],
            "feature_extractor": ["transformers", "CLIPImageProcessor"],
            "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
    )


def _scheduler_text(config: Mapping[str, Any], version: str) -> str:
    # Latent diffusion's conventions, and never clipping: see Zero123.scheduler_config.
    stepping = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
    named = {"_class_name": "DDIMScheduler", "_diffusers_version": version}
    return _json({**named, **config["scheduler"], **stepping})


def _projection_text(projection: torch.nn.Linear, version: str) -> str:
    sizes = {"in_channel": projection.in_features, "out_channel": projection.out_features}
    return _json({"_class_name": "CCProjection", "_diffusers_version": version, **sizes})


def _preprocessor_text(size: int) -> str:
    """CLIP's own preprocessing, for pipelines that ask for it; ours is in :meth:`Zero123.embed_images`."""
    return _json(
        {
            "image_processor_type": "CLIPImageProcessor",
            "crop_size": {"height": size, "width": size},
            "do_center_crop": True,
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": list(clip_names.MEAN),
            "image_std": list(clip_names.STD),
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"shortest_edge": size},
        }
    )
