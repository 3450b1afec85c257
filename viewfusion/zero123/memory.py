"""What the networks take of a device's memory, told before they take it.

Enters: a :class:`Zero123`, which may be without weights yet, a type of numbers, a device. Leaves: bytes, or
an error of one line with the estimate and the option that would fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.machine import free_memory

from .devices import vae_dtype
from .model import Zero123

_OUT_OF_MEMORY = (
    "can't allocate memory",
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)
"""What errors say that are of no class of their own."""

PARTS = ("unet", "vae", "image_encoder", "cc_projection")


@dataclass(frozen=True)
class Needs:
    """Bytes.

    Args:
        weights: of each of :data:`PARTS`.
        row: what one row of the UNet has alive at once, at its peak.
        picture: the same of decoding one picture.
        kept: deep features of a row that are kept from one step to the next, where they are.
    """

    weights: dict[str, int]
    row: int
    picture: int
    kept: int = 0

    def least(self, offload: bool = False) -> int:
        """With a single row, and with ``offload`` one part of the network at a time."""
        if not offload:
            return sum(self.weights.values()) + max(self.row, self.picture)
        at_work = {"unet": self.row, "vae": self.picture}
        return max(size + at_work.get(part, 0) for part, size in self.weights.items())


def needs(model: Zero123, dtype: torch.dtype) -> Needs:
    """What ``model`` takes in ``dtype``, by the shapes of its layers."""
    numbers = {
        part: sum(each.numel() for each in getattr(model, part).state_dict().values()) for part in PARTS
    }
    sizes = {part: (vae_dtype(dtype) if part == "vae" else dtype).itemsize for part in PARTS}
    return Needs(
        {part: numbers[part] * sizes[part] for part in PARTS},
        unet_row(model.unet.config, model.latent_shape[1]) * dtype.itemsize,
        decoder_row(model.vae.config, model.image_size) * sizes["vae"],
        deep_features(model.unet.config, model.latent_shape[1]) * dtype.itemsize,
    )


def unet_row(config: Any, side: int) -> int:
    """Numbers alive at once in a UNet2DConditionModel for a row of ``side`` x ``side`` latents, at its peak.

    On the way down each layer's result is kept for the way up. There a layer has, beside the block's input,
    what it joins, normed and activated. Attention's feed-forward part has 16 times its width: 8 as it widens,
    4 as half of that becomes a gate, and 4 as their product.
    """
    widths = config["block_out_channels"]
    layers = config["layers_per_block"]
    counts = [layers] * len(widths) if isinstance(layers, int) else list(layers)
    areas = [(-(-side // 2**level)) ** 2 for level in range(len(widths))]
    attends = ["Attn" in kind for kind in config["down_block_types"]]
    kept, peak = 2 * widths[0] * areas[0], 0  # the first layer's result, and the condition's share of it
    on_the_way_up = []
    for level, (width, area) in enumerate(zip(widths, areas, strict=True)):
        before = widths[max(level - 1, 0)]
        kept += counts[level] * width * area
        peak = max(peak, kept + (before + _layer(width, before, attends[level])) * area)
        on_the_way_up.append(kept)
        if level + 1 < len(widths):
            kept += width * areas[level + 1]
    for level, (width, area) in enumerate(zip(widths, areas, strict=True)):
        below = widths[min(level + 1, len(widths) - 1)]
        work = _layer(width, below + width, attends[level])
        peak = max(peak, on_the_way_up[level] + (below + work) * area)
    return peak


def _layer(width: int, joined: int, attends: bool) -> int:
    """Numbers a place that a layer has alive: the residual part's three copies, or attention's."""
    return max(3 * joined + width, 22 * width if attends else 0)


def deep_features(config: Any, side: int) -> int:
    """Numbers that a UNet2DConditionModel's deep levels hand up for a row; see :mod:`.feature_reuse`."""
    _, *deep = config["block_out_channels"]
    return deep[0] * side * side if deep else 0


def decoder_row(config: Any, side: int) -> int:
    """Numbers alive at once in the decoder of one picture ``side`` pixels wide: its last level's."""
    widths = config["block_out_channels"]
    wider = widths[min(1, len(widths) - 1)]
    return (3 * wider + widths[0]) * side * side


def device_memory(device: torch.device) -> int | None:
    """Bytes that may still be taken on ``device``, where somebody says."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds for later is ours.
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_memory() if device.type == "cpu" else None


def check_loading(model: Zero123, device: torch.device, dtype: torch.dtype, offload: bool = False) -> None:
    """Before any of ``model`` is on ``device``.

    A CPU is not asked: weights it has no room for are read from their file again and again.

    Raises:
        ViewFusionError: it has too little memory.
    """
    free = device_memory(device) if device.type != "cpu" else None
    least = needs(model, dtype).least(offload)
    if free is not None and least > free:
        raise ViewFusionError(
            f"the model takes about {gigabytes(least)} in {str(dtype)[6:]}{' with --offload' * offload}, and "
            f"{device} has {gigabytes(free)} free; {_remedy(model, dtype, device, offload, free)}"
        )


def check_working(model: Zero123, kept_rows: int = 0) -> None:
    """Before sampling, with the weights where they are.

    Args:
        kept_rows: whose deep features are kept at once, at most.

    Raises:
        ViewFusionError: the device has too little memory left for a single row.
    """
    free = device_memory(model.device) if model.device.type != "cpu" else None
    if free is None:
        return
    wanted = needs(model, model.dtype)
    least = wanted.least(offload=True) if model.offloads else max(wanted.row, wanted.picture)
    least += kept_rows * wanted.kept
    if model.offloads:
        free += _weights_there(model)  # they make room for the part that is used next
    if least > free:
        raise ViewFusionError(
            f"one view takes about {gigabytes(least)} besides the model, and {model.device} has "
            f"{gigabytes(free)} left; {remedy(model)}"
        )


@contextmanager
def out_of_memory_told(model: Zero123) -> Iterator[None]:
    """Around what a network does to a single row: where it has no memory, say so in one line.

    Raises:
        ViewFusionError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        wanted = needs(model, model.dtype)
        raise ViewFusionError(
            f"{model.device} ran out of memory over a single row of the network, which takes about "
            f"{gigabytes(max(wanted.row, wanted.picture))}; {remedy(model)}"
        ) from error


def remedy(model: Zero123) -> str:
    """What would make room, for the end of a message about a model that is in memory."""
    free = device_memory(model.device)
    room = None if free is None else free + _weights_there(model)
    return _remedy(model, model.dtype, model.device, model.offloads, room)


def _weights_there(model: Zero123) -> int:
    """Bytes of those on the device where ``model`` computes."""
    return sum(each.nbytes for each in model.parameters() if each.device == model.device)


def _remedy(
    model: Zero123, dtype: torch.dtype, device: torch.device, offloads: bool, room: int | None
) -> str:
    """The first way to run ``model`` that takes less than now, and no more than ``room``."""
    on_cpu = device.type == "cpu"
    half = torch.bfloat16 if on_cpu else torch.float16
    now = needs(model, dtype).least(offloads)
    ways = [(half, offloads)] if on_cpu else [(half, offloads), (dtype, True), (half, True)]
    for other, offload in ways:
        least = needs(model, other).least(offload)
        if least < now and (room is None or least <= room):
            words = [f"--dtype {str(other)[6:]}"] if other is not dtype else []
            words += ["--offload"] if offload and not offloads else []
            return f"use {' '.join(words)}, which takes about {gigabytes(least)} in all"
    return "close other programs" + ("" if on_cpu else ", or use --device cpu or a larger device")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that there is no memory, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 5e6 else f"{size / 1e6:.2f} MB"
