"""Where a view's randomness comes from.

Enters: a seed and a view's index. Leaves: its starting noise and its step noises, the same on every run
whatever was made before it, so that an interrupted run goes on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from .denoiser import fuse

NOISE_SHARING = ("shared", "independent")
"""Step noise: one draw for all references, or one each, averaged with their weights (variance shrinks)."""


def view_generator(seed: int, view: int, *purpose: int) -> torch.Generator:
    """A CPU generator that depends on (seed, view) alone; for each ``purpose`` but noise one of its own."""
    # SeedSequence mixes the two; seed + view would make view 1 of seed 0 equal view 0 of seed 1.
    state = np.random.SeedSequence([seed, view], spawn_key=purpose).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))


class NoiseSource(Protocol):
    """What a sample draws from; :class:`ViewNoise` is the real one, recorded noise another."""

    generator: torch.Generator

    def initial(self) -> torch.Tensor:
        """(rows, 4, h, w) standard normal x_T, the same in every row; drawn first."""

    def step(self) -> torch.Tensor:
        """(1 or rows, 4, h, w) the next step's noise."""


class ViewNoise:
    """The noise of one view, drawn in order from one CPU generator.

    Args:
        generator: on the CPU, so that devices agree.
        shape: (4, h, w) of one view's latents.
        weights: the references' weights, for ``sharing="independent"``.
        sharing: one of :data:`NOISE_SHARING`.
        device, dtype: of what is returned.
        rows: of latents; 1, or one for each reference that denoises its own.
    """

    def __init__(
        self,
        generator: torch.Generator,
        shape: Sequence[int],
        weights: Sequence[float] = (1.0,),
        sharing: str = "shared",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        rows: int = 1,
    ) -> None:
        self.generator, self.shape = generator, tuple(shape)
        self.weights, self.sharing = torch.tensor(weights, dtype=torch.float32), sharing
        self.device, self.dtype, self.rows = torch.device(device), dtype, rows

    def initial(self) -> torch.Tensor:
        """(rows, 4, h, w) standard normal x_T, the same in every row; drawn first."""
        return self._draw(1).expand(self.rows, -1, -1, -1)

    def step(self) -> torch.Tensor:
        """(1, 4, h, w) the next step's noise; of less than unit variance where it is an average.

        Independent noise of references that denoise latents of their own is no average, but (N, 4, h, w).
        """
        if self.sharing == "shared":
            return self._draw(1)
        return self._draw(len(self.weights), averaged=self.rows == 1)

    def _draw(self, rows: int, averaged: bool = False) -> torch.Tensor:
        noise = torch.randn((rows, *self.shape), generator=self.generator)
        if averaged:
            noise = fuse(noise, self.weights)
        # From pinned memory it gets there without the GPU being waited for.
        noise = noise.pin_memory() if self.device.type == "cuda" else noise
        return noise.to(self.device, self.dtype, non_blocking=True)
