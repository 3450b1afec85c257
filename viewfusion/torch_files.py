"""Files of ``torch.save`` and of TorchScript, untrusted: what they describe comes out, and nothing is run.

Enters: a path. Leaves: the content of the archive's one pickle, read as data (see :mod:`.pickles`), and
memory-mapped tensors for its records; a tensor is made only where the archive holds all of its numbers.
"""

from __future__ import annotations

import collections
import math
import mmap
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.pickles import Global, StorageRecord, TensorRecord, UnsafePickleError, read_pickle
from viewfusion.untrusted import shown

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
TENSOR_NAMES = frozenset(
    [
        *_DTYPES,
        *(str(dtype) for dtype in _DTYPES.values()),
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch.Size",
    ]
)
"""What a file of plain tensors names: all of it is listed, none is ever called."""

_MOST_PICKLE_BYTES = 64 * 2**20
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class TorchFile:
    """An opened file.

    Args:
        path: for messages.
        content: what its pickle describes, with a :class:`TensorRecord` for each tensor.
        storages: where in ``memory`` each entry of numbers begins, and of how many bytes it is.
        memory: the mapped file.
        remedy: what to do about a bad one, for messages.
    """

    path: Path
    content: Any
    storages: dict[str, tuple[int, int]]
    memory: mmap.mmap
    remedy: str

    def tensors(self, records: Mapping[str, TensorRecord]) -> dict[str, torch.Tensor]:
        """The tensors that ``records`` of the content state, as views of the mapped file.

        Raises:
            ViewFusionError: the file does not hold their numbers.
        """
        state, numbers = {}, 0
        for name, record in records.items():
            try:
                state[name] = _tensor(record, self)
            except Exception as error:  # what is stated can be of any type and size
                raise ViewFusionError(
                    f"{self.path}: {shown([name])} is not stored as plain numbers; {self.remedy}"
                ) from error
            numbers += state[name].numel() * state[name].element_size()
        # Any number of weights may point at the same bytes, and would be copied one by one.
        if numbers > 2 * len(self.memory):
            raise ViewFusionError(f"{self.path}: refused: states more weights than it holds; {self.remedy}")
        return state


def open_torch_file(
    path: Path, is_known: Callable[[str], bool], kind: str = "checkpoint", remedy: str = "fetch it again"
) -> TorchFile:
    """The file at ``path``, its numbers not yet read.

    Args:
        is_known: whether the pickle may name a global, such as those of :data:`TENSOR_NAMES`.
        kind: what such files are, and ``remedy``: what to do about a bad one; for messages.

    Raises:
        ViewFusionError: no such file, cut short, or a pickle that names anything else.
    """
    _check_kind(path, kind, remedy)
    try:
        pickled, storages, memory = _opened(path, remedy)
        content = read_pickle(pickled, is_known)
    except ViewFusionError:
        raise
    except UnsafePickleError as error:
        raise ViewFusionError(
            f"{path}: refused: its pickle {shown([error])}, as no {kind} does; "
            "fetch the file from its authors"
        ) from error
    except Exception as error:  # zipfile and pickles raise many kinds over damaged files
        raise ViewFusionError(f"{path}: cut short or damaged, cannot be read; {remedy}") from error
    return TorchFile(path, content, storages, memory, remedy)


def _check_kind(path: Path, kind: str, remedy: str) -> None:
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
        found = f"is a web page and not a {kind}; the link gave an HTML page, download the file itself"
    elif text.startswith(b"version https://git-lfs"):
        found = "is a Git LFS pointer and not the file; run `git lfs pull`"
    elif head.startswith(b"\x80"):
        found = "is a pickle of the time before torch 1.6; load and save it again with a newer torch"
    else:
        found = f"is not a {kind}: no file of torch"
    raise ViewFusionError(f"{path}: {found}; {remedy}")


def _opened(path: Path, remedy: str) -> tuple[bytes, dict[str, tuple[int, int]], mmap.mmap]:
    """The archive's one pickle, the entries that hold numbers, and the mapped file."""
    with path.open("rb", buffering=0) as file, zipfile.ZipFile(file) as archive:
        pickle = _pickle_entry(archive, path, remedy)
        root = pickle.filename.removesuffix("data.pkl")
        order = root + "byteorder"
        if order in archive.namelist() and _beginning(archive, order) != sys.byteorder.encode():
            raise ViewFusionError(
                f"{path}: written on a machine of another byte order; save it again on this"
            )
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        storages = {
            entry.filename.removeprefix(f"{root}data/"): (_start(file, entry), entry.file_size)
            for entry in archive.infolist()
            if entry.filename.startswith(f"{root}data/")
        }
        return archive.read(pickle), storages, memory


def _beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    """Of an entry that is a word: it may be compressed, and say that it is as large as a disk."""
    with archive.open(name) as file:
        return file.read(16)


def _start(file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: its own header may be longer than the directory says.

    Read from the file and not from its mapping, where a look brings in the neighbours' pages.
    """
    file.seek(entry.header_offset + 26)
    name, extra = struct.unpack("<2H", file.read(4))
    return entry.header_offset + 30 + name + extra


def _pickle_entry(archive: zipfile.ZipFile, path: Path, remedy: str) -> zipfile.ZipInfo:
    """The archive's one pickle; refuses archives that torch would not write."""
    entries = archive.infolist()
    pickles = [
        entry for entry in entries if entry.filename.count("/") == 1 and entry.filename[-9:] == "/data.pkl"
    ]
    if len(pickles) != 1:
        raise ViewFusionError(f"{path}: a zip archive, but not one that torch saved; {remedy}")
    # Of entries with one name (torch: in any case) each reader would take another. Code is compressed.
    counts = collections.Counter(entry.filename.lower() for entry in entries)
    root = pickles[0].filename.removesuffix(".pkl")
    packed = [entry for entry in entries if entry.filename.startswith(root) and entry.compress_type]
    if max(counts.values()) > 1 or packed:
        raise ViewFusionError(f"{path}: refused: an archive torch would not have written; {remedy}")
    if pickles[0].file_size > _MOST_PICKLE_BYTES:
        raise ViewFusionError(f"{path}: refused: its pickle has {pickles[0].file_size} bytes; {remedy}")
    return pickles[0]


def _tensor(record: TensorRecord, file: TorchFile) -> torch.Tensor:
    """One tensor; ValueError and others unless the archive holds every number of it."""
    storage = record.storage
    if not isinstance(storage, StorageRecord) or not isinstance(storage.kind, Global):
        raise ValueError("no storage")
    dtype = _DTYPES[storage.kind.name]
    start, length = file.storages[storage.key]
    size, stride = _counts(record.size), _counts(record.stride)
    (offset,) = _counts((record.offset,))
    if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise ValueError("no shape")
    if 0 in size:
        return torch.empty(size, dtype=dtype)
    end = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True)) + 1
    # A stride of 0 lets one number in the file stand for any amount of memory.
    if max(end, math.prod(size)) * dtype.itemsize > length or start + length > len(file.memory):
        raise ValueError("not wholly in the file")
    start += offset * dtype.itemsize
    return torch.frombuffer(file.memory, dtype=dtype, count=end - offset, offset=start).as_strided(
        size, stride
    )


def _counts(values: Any) -> tuple[int, ...]:
    """``values`` if they are a tuple of whole numbers that memory could be made of."""
    if not isinstance(values, tuple) or not all(type(v) is int and 0 <= v < 2**48 for v in values):
        raise ValueError("no counts")
    return values
