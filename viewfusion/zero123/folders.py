"""The project's own checkpoint: a folder with ``config.json`` and safetensors, written whole or not at all.

Enters: a folder, untrusted, or a model. Leaves: a config with a :class:`WeightSource`, or a folder.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError

from .configs import KEYS, check_config
from .model import Zero123
from .untrusted import shown
from .weights import MOST_TENSORS, Shape, WeightSource

FORMAT, VERSION = "viewfusion-zero123", 1
CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_MOST_JSON_BYTES = 16 * 2**20


def read_folder(folder: Path) -> tuple[dict[str, Any], WeightSource]:
    """Config and weights of a folder that :func:`save_zero123` wrote; only headers are read here.

    Raises:
        ViewFusionError: a file is missing, cut short, or says what no such folder says.
    """
    config = _read_config(folder)
    shards: dict[str, Path] = {}
    shapes: dict[str, Shape] = {}
    for path in _shards(folder):
        for name, shape in _read_header(path):
            if name in shapes:
                raise ViewFusionError(f"{path}: {shown([name])} lies in two files; fetch the folder again")
            shards[name], shapes[name] = path, shape

    opened: dict[Path, Any] = {}

    def fetch(name: str) -> torch.Tensor:
        from safetensors import safe_open

        path = shards[name]
        if path not in opened:  # each opening is a mapping of the whole file
            opened[path] = safe_open(path, framework="pt", device="cpu")
        tensor: torch.Tensor = opened[path].get_tensor(name)
        return tensor

    return config, WeightSource(folder, shapes, fetch)


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of one safetensors file, memory-mapped; for exports of original checkpoints.

    Raises:
        ViewFusionError: the file is cut short or damaged.
    """
    from safetensors import safe_open

    names = [name for name, _ in _read_header(path)]
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in names}
    except Exception as error:  # types and shapes that safetensors states and torch has not
        raise _damaged(path, error) from error


def _read_json(path: Path) -> Any:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ViewFusionError(f"{path}: is no file; fetch the folder again")
        with path.open("rb") as file:
            content = file.read(_MOST_JSON_BYTES + 1)
        if len(content) > _MOST_JSON_BYTES:
            raise ViewFusionError(f"{path}: too large for a {path.name}; fetch the folder again")
        return json.loads(content.decode("utf-8"))
    except FileNotFoundError as error:
        raise ViewFusionError(
            f"{path.parent}: has no {path.name}; give --checkpoint a viewfusion checkpoint folder or an "
            "original .ckpt file"
        ) from error
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be opened ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, ViewFusionError):
            raise
        raise ViewFusionError(f"{path}: not valid JSON ({shown([error])}); fetch the folder again") from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ViewFusionError(
            f'{path}: does not say "format": "{FORMAT}"; this looks like a checkpoint of another program'
        )
    if content.get("version") != VERSION:
        raise ViewFusionError(
            f"{path}: format version {shown([content.get('version')])}, this viewfusion reads {VERSION}; "
            "update viewfusion"
        )
    given = {key: value for key, value in content.items() if key not in ("format", "version")}
    return check_config(given, str(path))


def _shards(folder: Path) -> list[Path]:
    """The weight files of ``folder``, none of which lies elsewhere."""
    if not (folder / INDEX).exists():
        if not (folder / WEIGHTS).is_file():
            raise ViewFusionError(f"{folder}: has neither {WEIGHTS} nor {INDEX}; fetch the folder again")
        return [folder / WEIGHTS]
    index = _read_json(folder / INDEX)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ViewFusionError(f"{folder / INDEX}: has no weight_map; fetch the folder again")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if not _SHARD.fullmatch(name):
            raise ViewFusionError(
                f"{folder / INDEX}: refused: names {shown([name])}, which is no weight file of this folder"
            )
        if not (folder / name).is_file():
            raise ViewFusionError(f"{folder}: {name} is missing; fetch the folder again")
    return [folder / name for name in names]


def _read_header(path: Path) -> Iterator[tuple[str, Shape]]:
    from safetensors import safe_open

    try:
        with path.open("rb") as opened:
            if int.from_bytes(opened.read(8), "little") > _MOST_JSON_BYTES:
                raise ValueError("header too large")
        with safe_open(path, framework="pt", device="cpu") as file:
            names = list(file.keys())
            if len(names) > MOST_TENSORS:
                raise ValueError(f"{len(names)} tensors")
            for name in names:
                yield name, tuple(file.get_slice(name).get_shape())
    except Exception as error:  # SafetensorError, and OSError over unreadable files
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ViewFusionError:
    return ViewFusionError(
        f"{path}: cut short or damaged ({shown([error])}); fetch the checkpoint again "
        "(with Git LFS: `git lfs pull`)"
    )


def save_zero123(
    model: Zero123,
    folder: str | os.PathLike[str],
    dtype: torch.dtype = torch.float16,
    max_shard_size: int | str = "15MB",
) -> Path:
    """Write ``model`` as a checkpoint folder that :func:`load_zero123` reads; return the folder.

    The folder appears under its name only when it is complete.

    Args:
        folder: made if need be; must be absent or empty.
        dtype: of the stored weights.
        max_shard_size: of one weight file, in bytes or such as "15MB" (decimal).

    Raises:
        ViewFusionError: the folder holds something, cannot be written, the model's config is none that
            could be loaded again, or a weight is not finite in ``dtype``.
    """
    from huggingface_hub import save_torch_state_dict
    from safetensors import SafetensorError

    folder = Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ViewFusionError(f"{folder}: exists and is not an empty folder; give another name or remove it")
    config = check_config({key: model.config.get(key) for key in KEYS}, "model.config")
    state = {name: _storable(name, value, dtype) for name, value in model.state_dict().items()}
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_torch_state_dict(state, partial, max_shard_size=max_shard_size)
        text = json.dumps({"format": FORMAT, "version": VERSION, **config}, indent=2)
        (partial / CONFIG).write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()  # empty; Windows does not rename onto a folder
        partial.replace(folder)
    except (OSError, SafetensorError) as error:
        raise ViewFusionError(f"{folder}: cannot be written ({shown([error])})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _storable(name: str, value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    tensor = value.detach().to("cpu", dtype).contiguous()
    if tensor.untyped_storage().nbytes() != tensor.numel() * tensor.element_size():
        tensor = tensor.clone()  # a view of a larger storage, which safetensors would take for a shared one
    if tensor.numel() and not math.isfinite(tensor.abs().max().item()):
        raise ViewFusionError(
            f"{name} holds a value that is not finite in {str(dtype)[6:]}; store a wider dtype"
        )
    return tensor
