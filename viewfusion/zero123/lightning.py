"""Original checkpoints, untrusted: tensors out of a Lightning ``.ckpt`` without running anything in it.

Enters: a path. Leaves: the ``state_dict`` as memory-mapped tensors; optimizer states are never read.
Three walls stand one behind the other: every global the pickle names is listed first and must be on the
short lists below; those that torch need not know become inert placeholders; torch's restricted unpickler
does the reading.
"""

from __future__ import annotations

import collections
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError

from .untrusted import shown

# What a file of plain tensors needs. Shorter than torch's own list, which holds for instance bytearray:
# enough to fill the memory from a file of a few bytes.
_NEEDED = frozenset(
    [
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch.Size",
        "torch.device",
        "torch.serialization._get_layout",
        "_codecs.encode",
        "builtins.set",
    ]
    + [
        f"torch.{kind}Storage"
        for kind in ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"]
    ]
    + [
        f"torch.{kind}"
        for kind in [
            "float64",
            "float32",
            "float16",
            "bfloat16",
            "int64",
            "int32",
            "int16",
            "int8",
            "uint8",
            "bool",
        ]
    ]
)
# Bookkeeping that real files hold beside the weights; never the real class, always a placeholder.
_INERT_PACKAGES = ("pytorch_lightning", "lightning", "lightning_fabric", "omegaconf")
_INERT_NAMES = frozenset(
    [
        "typing.Any",
        "argparse.Namespace",
        "pathlib.PosixPath",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
    ]
)
_MOST_PICKLE_BYTES = 64 * 2**20
_MOST_TENSORS = 20_000
_AGAIN = "fetch it again, or give --checkpoint the right file"


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The weights in an original ``.ckpt`` (or a bare saved ``state_dict``), names as in the file.

    The tensors are views of the memory-mapped file. The released files are
    dictionaries with ``state_dict``, ``callbacks``, ``loops``, ``optimizer_states`` beside each other.

    Raises:
        ViewFusionError: not such a file, cut short, or a pickle that names anything but tensors and
            known bookkeeping classes.
    """
    _check_kind(path)
    wanted = _globals_in(path)
    unknown = sorted(name for name in wanted if name not in _NEEDED and not _is_inert(name))
    if unknown:
        raise ViewFusionError(
            f"{path}: refused: this pickle asks to run `{shown(unknown)}`, which no Zero123 checkpoint "
            "needs; fetch the file from its authors"
        )
    inert: list[Any] = [(_placeholder(name), name) for name in sorted(wanted - _NEEDED)]
    # What this process registered elsewhere must not take a placeholder's name.
    registered = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(inert):
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler raises many kinds over damaged files
        raise ViewFusionError(f"{path}: a damaged checkpoint, cannot be read; {_AGAIN}") from error
    finally:
        torch.serialization.add_safe_globals(registered)
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    return _checked_state(state, path)


def _is_inert(name: str) -> bool:
    return name in _INERT_NAMES or name.partition(".")[0] in _INERT_PACKAGES


def _placeholder(name: str) -> type:
    """A class that takes whatever a pickle hands it and keeps none of it."""

    def take_anything(self: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def make(cls: type, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    body = {"__new__": make, "__init__": take_anything, "__setstate__": take_anything}
    return type(name.rpartition(".")[2], (), body)


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


def _globals_in(path: Path) -> set[str]:
    """Every ``module.name`` that the file's pickle mentions, listed without unpickling."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = archive.read(_pickle_entry(archive, path))
        found = set()
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "GLOBAL":
                module, _, name = str(argument).partition(" ")
                # As torch's unpickler reads the names Python 2 had.
                found.add(
                    f"{ {'__builtin__': 'builtins', 'copy_reg': 'copyreg'}.get(module, module) }.{name}"
                )
            elif opcode.name in ("STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"):
                raise ViewFusionError(
                    f"{path}: refused: this pickle names what it runs in a way torch never writes; "
                    "fetch the file from its authors"
                )
    except ViewFusionError:
        raise
    except Exception as error:  # zipfile and pickletools raise many kinds over damaged files
        raise ViewFusionError(f"{path}: cut short or damaged, cannot be read; {_AGAIN}") from error
    return found


def _pickle_entry(archive: zipfile.ZipFile, path: Path) -> str:
    """The name of the archive's one pickle; refuses archives torch could read differently from us."""
    entries = archive.infolist()
    pickles = [
        entry for entry in entries if entry.filename.count("/") == 1 and entry.filename[-9:] == "/data.pkl"
    ]
    if len(pickles) != 1:
        raise ViewFusionError(f"{path}: a zip archive, but not one that torch saved; {_AGAIN}")
    # torch finds entries without regard to case, zipfile takes the last of a name: no two may be alike.
    counts = collections.Counter(entry.filename.lower() for entry in entries)
    if max(counts.values()) > 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ViewFusionError(f"{path}: refused: an archive torch would not have written; {_AGAIN}")
    if pickles[0].file_size > _MOST_PICKLE_BYTES:
        raise ViewFusionError(f"{path}: refused: its pickle has {pickles[0].file_size} bytes; {_AGAIN}")
    return pickles[0].filename


def _checked_state(state: Any, path: Path) -> dict[str, torch.Tensor]:
    """``state`` if it is a dictionary of names to plain tensors that are wholly in the file."""
    if not isinstance(state, dict) or not state or len(state) > _MOST_TENSORS:
        raise ViewFusionError(f"{path}: holds no state_dict; this looks like a checkpoint of another program")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ViewFusionError(
                f"{path}: {shown([name])} is no tensor; this looks like a checkpoint of another program"
            )
        plain = value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized
        # A stride of 0 lets one number in the file stand for any amount of memory.
        if not plain or value.untyped_storage().nbytes() < value.numel() * value.element_size():
            raise ViewFusionError(f"{path}: {shown([name])} is not stored as plain numbers; {_AGAIN}")
    return {name: value.detach() for name, value in state.items()}
