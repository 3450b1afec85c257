"""Original checkpoints, untrusted: tensors out of a Lightning ``.ckpt`` without running anything in it.

Enters: a path. Leaves: the ``state_dict`` as memory-mapped tensors; optimizer states are never read.
The archive's one pickle is read as data (see :mod:`.pickles`) and may name nothing but the short lists
below; a tensor is made only where the archive holds all of its numbers.
"""

from __future__ import annotations

import collections
import math
import mmap
import struct
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from viewfusion.errors import ViewFusionError

from .pickles import Global, StorageRecord, TensorRecord, UnsafePickleError, read_pickle
from .untrusted import shown
from .weights import MOST_TENSORS

_DTYPES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
# What a file of plain tensors names, and what its bookkeeping may: all of it is listed, none is ever called.
_NEEDED = frozenset(
    [
        *_DTYPES,
        *(str(dtype) for dtype in _DTYPES.values()),
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch.Size",
        "torch.device",
        "torch.serialization._get_layout",
        "_codecs.encode",
        "builtins.set",
        "typing.Any",
        "argparse.Namespace",
        "pathlib.PosixPath",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
    ]
)
_BOOKKEEPING = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf")
_MOST_PICKLE_BYTES = 64 * 2**20
_MOST_DIMENSIONS = 8
_AGAIN = "fetch it again, or give --checkpoint the right file"


@dataclass(frozen=True)
class _Archive:
    """An opened ``.ckpt``: its one pickle, the entries that hold numbers, and the mapped file."""

    pickled: bytes
    storages: dict[str, tuple[int, int]]
    """Where in ``memory`` each begins, and of how many bytes it is."""
    memory: mmap.mmap


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The weights in an original ``.ckpt`` (or a bare saved ``state_dict``), names as in the file.

    The tensors are views of the memory-mapped file. The released files are
    dictionaries with ``state_dict``, ``callbacks``, ``loops``, ``optimizer_states`` beside each other.

    Raises:
        ViewFusionError: not such a file, cut short, or a pickle that names anything but tensors and
            known bookkeeping classes.
    """
    _check_kind(path)
    try:
        archive = _opened(path)
        content = read_pickle(archive.pickled, _is_known)
    except ViewFusionError:
        raise
    except UnsafePickleError as error:
        raise ViewFusionError(
            f"{path}: refused: its pickle {shown([error])}, as no Zero123 checkpoint does; "
            "fetch the file from its authors"
        ) from error
    except Exception as error:  # zipfile and pickles raise many kinds over damaged files
        raise ViewFusionError(f"{path}: cut short or damaged, cannot be read; {_AGAIN}") from error
    return _tensors(_records(content, path), archive, path)


def _is_known(name: str) -> bool:
    return name in _NEEDED or name.partition(".")[0] in _BOOKKEEPING


def _check_kind(path: Path) -> None:
    """Tell what lies at ``path`` if it is no zip archive, the container of every torch file since 1.6."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    if head.startswith(b"PK"):
        return
    text = head.lstrip().lower()
    if not head:
        found = "is empty; the download failed"
    elif text.startswith(b"<"):
        found = "is a web page and not a checkpoint; the link gave an HTML page, download the file itself"
    elif text.startswith(b"version https://git-lfs"):
        found = "is a Git LFS pointer and not the file; run `git lfs pull`"
    elif head.startswith(b"\x80"):
        found = "is a pickle of the time before torch 1.6; load and save it again with a newer torch"
    else:
        found = "is not a checkpoint: neither a torch file nor a viewfusion folder"
    raise ViewFusionError(f"{path}: {found}; {_AGAIN}")


def _opened(path: Path) -> _Archive:
    with path.open("rb", buffering=0) as file, zipfile.ZipFile(file) as archive:
        pickle = _pickle_entry(archive, path)
        root = pickle.filename.removesuffix("data.pkl")
        order = root + "byteorder"
        if order in archive.namelist() and archive.read(order) != sys.byteorder.encode():
            raise ViewFusionError(
                f"{path}: written on a machine of another byte order; save it again on this"
            )
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        storages = {
            entry.filename.removeprefix(f"{root}data/"): (_start(file, entry), entry.file_size)
            for entry in archive.infolist()
            if entry.filename.startswith(f"{root}data/")
        }
        return _Archive(archive.read(pickle), storages, memory)


def _start(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: its own header may be longer than the directory says.

    Read from the file and not from its mapping, where a look brings in the neighbours' pages.
    """
    file.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<2H", file.read(4))
    return entry.header_offset + 30 + name + extra


def _pickle_entry(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """The archive's one pickle; refuses archives that torch would not write."""
    entries = archive.infolist()
    pickles = [
        entry for entry in entries if entry.filename.count("/") == 1 and entry.filename[-9:] == "/data.pkl"
    ]
    if len(pickles) != 1:
        raise ViewFusionError(f"{path}: a zip archive, but not one that torch saved; {_AGAIN}")
    # Of entries with one name (torch: in any case) each reader would take another.
    counts = collections.Counter(entry.filename.lower() for entry in entries)
    if max(counts.values()) > 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ViewFusionError(f"{path}: refused: an archive torch would not have written; {_AGAIN}")
    if pickles[0].file_size > _MOST_PICKLE_BYTES:
        raise ViewFusionError(f"{path}: refused: its pickle has {pickles[0].file_size} bytes; {_AGAIN}")
    return pickles[0]


def _records(content: Any, path: Path) -> dict[str, TensorRecord]:
    """The names and tensors in what a pickle describes."""
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state or len(state) > MOST_TENSORS:
        raise ViewFusionError(f"{path}: holds no state_dict; this looks like a checkpoint of another program")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, TensorRecord):
            raise ViewFusionError(
                f"{path}: {shown([name])} is no tensor; this looks like a checkpoint of another program"
            )
    return state


def _tensors(records: dict[str, TensorRecord], archive: _Archive, path: Path) -> dict[str, torch.Tensor]:
    """The tensors that ``records`` state, over the archive's memory."""
    state, numbers = {}, 0
    for name, record in records.items():
        try:
            state[name] = _tensor(record, archive)
        except Exception as error:  # what is stated can be of any type and size
            raise ViewFusionError(
                f"{path}: {shown([name])} is not stored as plain numbers; {_AGAIN}"
            ) from error
        numbers += state[name].numel() * state[name].element_size()
    # Any number of weights may point at the same bytes, and would be copied one by one.
    if numbers > 2 * len(archive.memory):
        raise ViewFusionError(f"{path}: refused: states more weights than it holds; {_AGAIN}")
    return state


def _tensor(record: TensorRecord, archive: _Archive) -> torch.Tensor:
    """One tensor; ValueError and others unless the archive holds every number of it."""
    storage = record.storage
    if not isinstance(storage, StorageRecord) or not isinstance(storage.kind, Global):
        raise ValueError("no storage")
    dtype = _DTYPES[storage.kind.name]
    start, length = archive.storages[storage.key]
    size, stride = _counts(record.size), _counts(record.stride)
    (offset,) = _counts((record.offset,))
    if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise ValueError("no shape")
    if 0 in size:
        return torch.empty(size, dtype=dtype)
    end = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True)) + 1
    # A stride of 0 lets one number in the file stand for any amount of memory.
    if max(end, math.prod(size)) * dtype.itemsize > length or start + length > len(archive.memory):
        raise ValueError("not wholly in the file")
    start += offset * dtype.itemsize
    return torch.frombuffer(archive.memory, dtype=dtype, count=end - offset, offset=start).as_strided(
        size, stride
    )


def _counts(values: Any) -> tuple[int, ...]:
    """``values`` if they are a tuple of whole numbers that memory could be made of."""
    if not isinstance(values, tuple) or not all(type(v) is int and 0 <= v < 2**48 for v in values):
        raise ValueError("no counts")
    return values
