"""Original checkpoints, untrusted: tensors out of a Lightning ``.ckpt`` without running anything in it.

Enters: a path. Leaves: the ``state_dict`` as memory-mapped tensors; optimizer states are never read.
Its pickle is read as data (see :mod:`viewfusion.torch_files`) and may name tensors and the short lists below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.pickles import TensorRecord
from viewfusion.torch_files import TENSOR_NAMES, open_torch_file
from viewfusion.untrusted import shown

from .weights import MOST_TENSORS

# What a checkpoint's bookkeeping may name beside its tensors: all of it is listed, none is ever called.
_BESIDE = frozenset(
    [
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
_AGAIN = "fetch it again, or give --checkpoint the right file"


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The weights in an original ``.ckpt`` (or a bare saved ``state_dict``), names as in the file.

    The tensors are views of the memory-mapped file. The released files are
    dictionaries with ``state_dict``, ``callbacks``, ``loops``, ``optimizer_states`` beside each other.

    Raises:
        ViewFusionError: not such a file, cut short, or a pickle that names anything but tensors and
            known bookkeeping classes.
    """
    file = open_torch_file(path, _is_known, remedy=_AGAIN)
    return file.tensors(_records(file.content, path))


def _is_known(name: str) -> bool:
    return name in TENSOR_NAMES or name in _BESIDE or name.partition(".")[0] in _BOOKKEEPING


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
