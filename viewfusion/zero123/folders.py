"""The project's own checkpoint: a folder with ``config.json`` and safetensors, written whole or not at all.

Enters: a folder or one safetensors file of it, untrusted; or a model. Leaves: a config with a
:class:`WeightSource`, or a folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .configs import check_config, known_keys
from .model import Zero123
from .safetensors_files import OnBytes, damaged, read_header, shards_of_index, stored_weights, write_weights
from .weights import WeightSource, check_shapes, meta_model, model_weights

FORMAT, VERSION = "viewfusion-zero123", 1
CONFIG, STEM = "config.json", "model"
_METADATA = "viewfusion"  # the config's key in the header of a weight file that is alone
_MOST_JSON_BYTES = 16 * 2**20


def read_folder(folder: Path) -> tuple[dict[str, Any], WeightSource]:
    """Config and weights of a folder that :func:`save_zero123` wrote; only headers are read here.

    Raises:
        ViewFusionError: a file is missing, cut short, or says what no such folder says.
    """
    path = folder / CONFIG
    return _checked_config(read_json(path), path), stored_weights(folder, _weight_files(folder))


def read_own_file(path: Path) -> tuple[dict[str, Any], WeightSource]:
    """The same from one safetensors file; its config is in its header or in ``config.json`` beside it."""
    text = read_header(path).metadata.get(_METADATA)
    if text is None:
        beside = path.with_name(CONFIG)
        if not beside.is_file():
            raise ViewFusionError(
                f"{path}: has no config in its header and no {CONFIG} beside it; "
                "put the one it was published with there"
            )
        content = read_json(beside)
    else:
        content = _parsed(text, path)
    return _checked_config(content, path), stored_weights(path, [path])


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Every tensor of one safetensors file, memory-mapped; for exports of original checkpoints.

    Raises:
        ViewFusionError: the file is cut short or damaged.
    """
    source = stored_weights(path, [path])
    try:
        return {name: source.fetch(name) for name in source.shapes}
    except Exception as error:  # types and shapes that safetensors states and torch has not
        raise damaged(path, error) from error


def read_json(path: Path) -> Any:
    """The content of a checkpoint's JSON file, which may be anything."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ViewFusionError(f"{path}: is no file; fetch the folder again")
        with path.open("rb") as file:
            content = file.read(_MOST_JSON_BYTES + 1)
        if len(content) > _MOST_JSON_BYTES:
            raise ViewFusionError(f"{path}: too large for a {path.name}; fetch the folder again")
        return _parsed(content.decode("utf-8"), path)
    except FileNotFoundError as error:
        raise ViewFusionError(
            f"{path.parent}: has no {path.name}; give --checkpoint a viewfusion or diffusers checkpoint "
            "folder or an original .ckpt file"
        ) from error
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be opened ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ViewFusionError(f"{path}: not valid JSON ({shown([error])}); fetch the folder again") from error


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ViewFusionError(f"{path}: not valid JSON ({shown([error])}); fetch the folder again") from error


def _checked_config(content: Any, path: Path) -> dict[str, Any]:
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


def _weight_files(folder: Path) -> list[Path]:
    weights, index = folder / f"{STEM}.safetensors", folder / f"{STEM}.safetensors.index.json"
    if index.exists():
        return shards_of_index(index, read_json(index), STEM)
    if not weights.is_file():
        raise ViewFusionError(
            f"{folder}: has neither {weights.name} nor {index.name}; fetch the folder again"
        )
    return [weights]


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
    return write_folder(model.config, model_weights(model), folder, dtype, max_shard_size)


def write_folder(
    config: Mapping[str, Any],
    source: WeightSource,
    folder: str | os.PathLike[str],
    dtype: torch.dtype,
    max_shard_size: int | str,
    on_bytes: OnBytes | None = None,
) -> Path:
    """:func:`save_zero123` for weights that need not be in memory: they are read one at a time."""
    checked = check_config(known_keys(config), "model.config")
    check_shapes(source, meta_model(checked, source.path))
    text = json.dumps({"format": FORMAT, "version": VERSION, **checked}, indent=2)
    with new_folder(folder) as partial:
        metadata = {_METADATA: json.dumps(json.loads(text))}
        write_weights(partial, STEM, source, dtype, max_shard_size, metadata, on_bytes)
        (partial / CONFIG).write_text(text + "\n", encoding="utf-8")
    return Path(folder).resolve()


@contextmanager
def new_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to write into, which gets the name ``folder`` once the block ends well and vanishes otherwise.

    Raises:
        ViewFusionError: ``folder`` holds something, or the disk refuses.
    """
    folder = Path(folder).resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ViewFusionError(f"{folder}: exists and is not an empty folder; give another name or remove it")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rmdir()  # empty; Windows does not rename onto a folder
        partial.replace(folder)
    except OSError as error:
        raise ViewFusionError(f"{folder}: cannot be written ({shown([error])})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
