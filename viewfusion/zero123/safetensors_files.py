"""Safetensors: what untrusted files hold, and new files written one tensor at a time.

Enters: files, of which only headers are read until a tensor is asked for; or a :class:`WeightSource`. Leaves:
a :class:`WeightSource` under the names in the files; or one file, or shards and their index.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .pages import release
from .weights import MOST_TENSORS, Shape, WeightSource, read_weight

_CODES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}
_NAMES = {code: str(dtype)[6:] for dtype, code in _CODES.items()}
_MOST_HEADER_BYTES = 16 * 2**20
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}

OnBytes = Callable[[int], None]
"""Called with the number of bytes just written."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself before its numbers: name -> shape, name -> dtype, free text."""

    shapes: dict[str, Shape]
    dtypes: dict[str, str]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """The header of one file.

    Raises:
        ViewFusionError: the file is cut short, damaged or no safetensors.
    """
    from safetensors import safe_open

    header = Header({}, {}, {})
    try:
        if not path.is_file():  # a pipe would be waited for
            raise ValueError("no file")
        with path.open("rb") as start:
            if int.from_bytes(start.read(8), "little") > _MOST_HEADER_BYTES:
                raise ValueError("header too large")
        with safe_open(path, framework="pt", device="cpu") as file:
            header.metadata.update(file.metadata() or {})
            names = list(file.keys())
            if len(names) > MOST_TENSORS:
                raise ValueError(f"{len(names)} tensors")
            for name in names:
                part = file.get_slice(name)
                header.shapes[name] = tuple(part.get_shape())
                header.dtypes[name] = _NAMES.get(part.get_dtype(), str(part.get_dtype()))
    except Exception as error:  # SafetensorError, and OSError over unreadable files
        raise damaged(path, error) from error
    return header


def damaged(path: Path, error: Exception) -> ViewFusionError:
    if str(path).encode(errors="replace") != os.fsencode(path):
        return ViewFusionError(f"{path}: safetensors opens no name that is not UTF-8; rename it")
    return ViewFusionError(
        f"{path}: cut short or damaged ({shown([error])}); fetch the checkpoint again "
        "(with Git LFS: `git lfs pull`)"
    )


def stored_weights(origin: Path, files: Iterable[Path]) -> WeightSource:
    """All tensors of ``files`` under the names they have there; ``origin`` is named in messages."""
    homes: dict[str, Path] = {}
    shapes: dict[str, Shape] = {}
    dtypes: dict[str, str] = {}
    for path in files:
        header = read_header(path)
        for name in header.shapes:
            if name in homes:
                raise ViewFusionError(f"{path}: {shown([name])} lies in two files; fetch the folder again")
            homes[name] = path
        shapes |= header.shapes
        dtypes |= header.dtypes

    opened: dict[Path, Any] = {}

    def fetch(name: str) -> torch.Tensor:
        from safetensors import safe_open

        path = homes[name]
        if path not in opened:  # each opening is a mapping of the whole file
            opened[path] = safe_open(path, framework="pt", device="cpu")
        tensor: torch.Tensor = opened[path].get_tensor(name)
        return tensor

    return WeightSource(origin, shapes, fetch, dtypes=dtypes, mapped=True)


def shards_of_index(index: Path, content: Any, stem: str, suffix: str = "safetensors") -> list[Path]:
    """The weight files that the parsed ``index`` names, none of which lies outside its folder."""
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ViewFusionError(f"{index}: has no weight_map; fetch the folder again")
    # Both places where diffusers has put the variant: before and behind the number.
    allowed = re.compile(rf"{re.escape(stem)}(\.\w+)?(-\d{{5}}-of-\d{{5}})?(\.\w+)?\.{suffix}")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if not allowed.fullmatch(name):
            raise ViewFusionError(
                f"{index}: refused: names {shown([name])}, which is no weight file of this folder"
            )
        if not (index.parent / name).is_file():
            raise ViewFusionError(f"{index.parent}: {name} is missing; fetch the folder again")
    return [index.parent / name for name in names]


def write_weights(
    folder: Path,
    stem: str,
    source: WeightSource,
    dtype: torch.dtype,
    max_shard_size: int | str,
    metadata: Mapping[str, str] | None = None,
    on_bytes: OnBytes | None = None,
) -> None:
    """``source`` as ``{stem}.safetensors``, or as shards with an index where that would be too large.

    Args:
        dtype: of the stored weights; they are converted one at a time.
        max_shard_size: bytes, or such as "5GB" (decimal).
        metadata: free text for the header of a single file.

    Raises:
        ViewFusionError: a weight is not finite in ``dtype``.
        OSError: the disk refuses.
    """
    shards = _shards(source.shapes, dtype, _bytes(max_shard_size))
    if len(shards) == 1:
        write_safetensors(folder / f"{stem}.safetensors", source, shards[0], dtype, metadata, on_bytes)
        return
    homes: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = f"{stem}-{number:05d}-of-{len(shards):05d}.safetensors"
        write_safetensors(folder / file, source, names, dtype, None, on_bytes)
        homes |= dict.fromkeys(names, file)
    total = sum(_size(shape, dtype) for shape in source.shapes.values())
    index = {"metadata": {"total_size": total}, "weight_map": homes}
    text = json.dumps(index, indent=2, sort_keys=True)
    (folder / f"{stem}.safetensors.index.json").write_text(text + "\n", encoding="utf-8")


def write_safetensors(
    path: Path,
    source: WeightSource,
    names: Iterable[str],
    dtype: torch.dtype,
    metadata: Mapping[str, str] | None = None,
    on_bytes: OnBytes | None = None,
) -> None:
    """One file of the named weights. Not by safetensors itself, which wants all of them in memory."""
    names, offset = list(names), 0
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    for name in names:
        end = offset + _size(source.shapes[name], dtype)
        shape = list(source.shapes[name])
        header[name] = {"dtype": _CODES[dtype], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            tensor = read_weight(source, name, dtype)
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
            if on_bytes:
                on_bytes(tensor.nbytes)
            if source.mapped:
                release(tensor)  # where it was written as it lies in its file
        file.flush()
        os.fsync(file.fileno())


def _shards(shapes: Mapping[str, Shape], dtype: torch.dtype, most: int) -> list[list[str]]:
    """The names in their order, divided so that each part has at most ``most`` bytes or one tensor."""
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        size = _size(shape, dtype)
        if shards[-1] and filled + size > most:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def _size(shape: Shape, dtype: torch.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _bytes(size: int | str) -> int:
    if isinstance(size, int):
        return size
    unit = size[-2:].upper()
    if unit not in _UNITS or not size[:-2].strip().isdigit():
        raise ValueError(f"a size is a number of bytes or such as '15MB', got {size!r}")
    return int(size[:-2]) * _UNITS[unit]
