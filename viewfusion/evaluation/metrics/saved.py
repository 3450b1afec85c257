"""Weights of other people's in a file of any kind, untrusted: their names come out, and tensors as asked for.

Safetensors, ``torch.save``'s files and TorchScript's archives, of which only the numbers and their names are
read. Nothing in a file is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.pickles import ModuleRecord, TensorRecord
from viewfusion.torch_files import TENSOR_NAMES, open_torch_file
from viewfusion.untrusted import shown

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class SavedTensors:
    """An opened file.

    Args:
        path: for messages.
        names: of all tensors in it.
        fetch: some names -> their tensors, on the CPU; perhaps views of the file.
    """

    path: Path
    names: Sequence[str]
    fetch: Callable[[Sequence[str]], Tensors]


def open_tensors(path: Path, kind: str, wanted: str) -> SavedTensors:
    """The tensors in the file at ``path``.

    Args:
        kind: what such files are, as "file of CLIP's weights", and ``wanted``: what to give instead; for
            messages.

    Raises:
        ViewFusionError: no such file, one that is damaged, or one whose pickle names anything but tensors.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ViewFusionError(f"{path}: no such file; {wanted}")
    try:
        with path.open("rb") as file:
            head = file.read(2)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be opened ({error.strerror}); {wanted}") from error
    if path.suffix == ".safetensors":
        return _safetensors(path)
    return _old_file(path, kind) if head == b"\x80\x02" else _torch_file(path, kind)


def _safetensors(path: Path) -> SavedTensors:
    from safetensors import safe_open

    def fetch(names: Sequence[str]) -> Tensors:
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                return {name: file.get_tensor(name) for name in names}
        except Exception as error:  # SafetensorError, and OSError over unreadable files
            raise _damaged(path, error) from error

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return SavedTensors(path, list(file.keys()), fetch)
    except Exception as error:
        raise _damaged(path, error) from error


def _torch_file(path: Path, kind: str) -> SavedTensors:
    file = open_torch_file(path, _is_known, kind)
    content = file.content
    records = _flattened(content) if isinstance(content, ModuleRecord) else _entries(content, TensorRecord)

    def fetch(names: Sequence[str]) -> Tensors:
        return file.tensors({name: records[name] for name in names})

    return SavedTensors(path, list(records), fetch)


def _old_file(path: Path, kind: str) -> SavedTensors:
    """Of the time before torch 1.6, as LPIPS's own weights and VGG's are: torch reads them as data."""
    if torch.__version__ < "2.6":  # before, such a file could run code all the same (CVE-2025-32434)
        raise ViewFusionError(
            f"{path}: of the time before torch 1.6, which torch {torch.__version__} does not read safely; "
            "update it to 2.6 or newer"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever unpickling an odd file raises
        raise ViewFusionError(
            f"{path}: is not a {kind} that can be read as data ({shown([error])}); fetch it again"
        ) from error
    found = _entries(content, torch.Tensor)
    return SavedTensors(path, list(found), lambda names: {each: found[each] for each in names})


def _entries(content: Any, kind: type) -> dict[str, Any]:
    """What a state dict, or one within a checkpoint, has of ``kind``."""
    inner = content.get("state_dict", content) if isinstance(content, dict) else {}
    inner = inner if isinstance(inner, dict) else {}
    return {name: each for name, each in inner.items() if isinstance(name, str) and isinstance(each, kind)}


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


def _damaged(path: Path, error: Exception) -> ViewFusionError:
    return ViewFusionError(f"{path}: cut short or damaged ({shown([error])}); fetch it again")
