"""What goes through a model's networks, and what each stage costs: a model and a clock go in, sums come out.

A clock need not tell time: :class:`FlopClock` tells arithmetic. Rows are counted where networks are called,
whoever calls them.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch.utils.flop_counter import FlopCounterMode

from viewfusion.zero123 import Zero123

STAGES = ("encode", "network", "solver", "decode", "other")
"""Image tower and VAE encoder; UNet; what lies between two calls of the UNet; VAE decoder; the rest."""

PARTS = {
    "unet": "network",
    "vae.encoder": "encode",
    "image_encoder": "encode",
    "vae.decoder": "decode",
}
"""Module of the model -> its stage."""


class Clock(Protocol):
    """Something that moves on."""

    def mark(self) -> Any:
        """Now."""

    def between(self, earlier: Any, later: Any) -> float:
        """From one mark to another."""


class WallClock:
    """Seconds, on devices that have done what they were told once the call returns."""

    def mark(self) -> float:
        return time.perf_counter()

    def between(self, earlier: float, later: float) -> float:
        return later - earlier


class CudaClock:
    """Seconds of the GPU's own, which works later than it is told; nothing is waited for on the way."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def mark(self) -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def between(self, earlier: torch.cuda.Event, later: torch.cuda.Event) -> float:
        later.synchronize()
        return earlier.elapsed_time(later) / 1000


class FlopClock(FlopCounterMode):
    """Floating-point operations of matrix products, convolutions and attention, as its block runs them."""

    def __init__(self) -> None:
        # What attention is on a CPU, and torch's counter does not know.
        cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        super().__init__(display=False, custom_mapping={cpu: _attention_flops})

    def mark(self) -> int:
        return self.get_total_flops()

    def between(self, earlier: int, later: int) -> float:
        return later - earlier


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Of two matrix products; the arguments are shapes (B, heads, rows, d)."""
    batch, heads, rows, width = query
    return 2 * batch * heads * rows * key[2] * (width + value[3])


def clock_of(device: torch.device) -> Clock:
    return CudaClock(device) if device.type == "cuda" else WallClock()


class Stages:
    """Counts while its block runs; entered again, it counts on.

    Attributes:
        rows: pictures or latents that went through each of :data:`PARTS`.
        total: of the blocks that have ended, by the clock.
    """

    def __init__(self, model: Zero123, clock: Clock) -> None:
        self.model, self.clock = model, clock
        self.rows, self.total = dict.fromkeys(PARTS, 0), 0.0
        self._spans: list[tuple[str, Any, Any]] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> Stages:
        for name in PARTS:
            self._watch(name)
        self._start = self.clock.mark()
        return self

    def __exit__(self, *_: object) -> None:
        self.total += self.clock.between(self._start, self.clock.mark())
        self._spans.append(("", self._start, self._start))  # no stage goes on into the next block
        while self._hooks:
            self._hooks.pop().remove()

    def _watch(self, name: str) -> None:
        module, begun = self.model.get_submodule(name), []

        def before(_: Any, args: tuple, kwargs: dict[str, Any]) -> None:
            self.rows[name] += len(args[0] if args else next(iter(kwargs.values())))
            begun.append(self.clock.mark())

        def after(*_: Any) -> None:
            self._spans.append((PARTS[name], begun.pop(), self.clock.mark()))

        self._hooks.append(module.register_forward_pre_hook(before, with_kwargs=True))
        self._hooks.append(module.register_forward_hook(after))

    def costs(self) -> dict[str, float]:
        """By stage, summing to :attr:`total`."""
        costs = dict.fromkeys(STAGES, 0.0)
        for stage, begun, ended in self._spans:
            if stage:
                costs[stage] += self.clock.between(begun, ended)
        for (stage, _, ended), (following, begun, _) in pairwise(self._spans):
            if stage == following == "network":
                costs["solver"] += self.clock.between(ended, begun)
        costs["other"] = max(0.0, self.total - sum(costs.values()))
        return costs
