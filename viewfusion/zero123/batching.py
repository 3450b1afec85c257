"""Every call of the UNet, in chunks that fit: any number of rows goes in, their predictions come out.

The predictions are those of all rows at once, whatever the chunks are.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch

from viewfusion.errors import ViewFusionWarning

from .compiling import BUCKETS, Compiled, bucket
from .conditioned import Conditioned
from .memory import device_memory, is_out_of_memory, needs, out_of_memory_told
from .model import Zero123

_LOG = logging.getLogger("viewfusion")

_OF_A_CPU, _OF_OTHERS = 0.5, 0.8
"""How much of free memory chunks may take; that of a CPU is other programs' too."""


class BatchedPredictor:
    """Noise predictions of ``model`` in float32, in chunks of rows.

    Solvers keep float32 whatever the network computes in: their rounding would add up over steps.

    Args:
        max_batch: rows at once at most; None: as many as there is memory for. May be changed at any time.
        compile: have torch compile the network.
        tell: told in words what compiling costs.
    """

    def __init__(
        self,
        model: Zero123,
        max_batch: int | None = None,
        compile: bool = False,
        tell: Callable[[str], None] = _LOG.info,
    ) -> None:
        self.model, self.max_batch, self.tell = model, max_batch, tell
        self._compiled = Compiled(model.predict, self._told) if compile else None
        self._keeps = False  # whether deep features of rows last from call to call
        self._found: tuple[Any, int] | None = None  # rows at once, and what they were found for

    def __call__(
        self, latents: torch.Tensor, timestep: int | torch.Tensor, rows: Conditioned
    ) -> torch.Tensor:
        """(N, 4, h, w) float32 predictions at latents (1 or N, 4, h, w); one is of all rows.

        Args:
            timestep: as of :meth:`Zero123.predict`.
            rows: what the network is told.

        Raises:
            ViewFusionError: there is no memory for a single row.

        Warns:
            ViewFusionWarning: there is none for as many rows as were tried; half as many are from then on.
        """
        made, done = list[torch.Tensor](), 0
        self._keeps = bool(rows.kept)
        while done < len(rows):
            size = min(self.rows_at_once, len(rows) - done)
            noise = self._tried(latents, timestep, rows, slice(done, done + size))
            if noise is None:  # not while the error is handled, which holds what was allocated
                self._take_fewer(size)
            else:
                made.append(noise)
                done += size
        return made[0] if len(made) == 1 else torch.cat(made)

    @property
    def rows_at_once(self) -> int:
        """Rows of a chunk, at most."""
        basis = self._basis()
        if self._found is None or self._found[0] != basis:
            self._found = basis, self._most()
        return self._found[1]

    def _basis(self) -> Any:
        return self.model.device, self.model.dtype, self.max_batch, self.compiles, self._keeps

    @property
    def compiles(self) -> bool:
        """Whether it is told to, and nothing has failed."""
        return self._compiled is not None and self._compiled.works

    def _most(self) -> int:
        most = self.max_batch
        if most is None:
            device, wanted = self.model.device, needs(self.model, self.model.dtype)
            free, row = device_memory(device), wanted.row + self._keeps * wanted.kept
            share = _OF_A_CPU if device.type == "cpu" else _OF_OTHERS
            most = BUCKETS[-1] if free is None else max(1, int(share * free) // row)
        return max(size for size in BUCKETS if size <= most) if self.compiles else most

    def _tried(
        self, latents: torch.Tensor, timestep: int | torch.Tensor, conditioned: Conditioned, chunk: slice
    ) -> torch.Tensor | None:
        """The predictions of a chunk; None if memory ran out."""
        try:
            return self._predicted(latents, timestep, conditioned, chunk)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if chunk.stop - chunk.start > 1:
                return None
            with out_of_memory_told(self.model):
                raise

    def _predicted(
        self, latents: torch.Tensor, timestep: int | torch.Tensor, conditioned: Conditioned, chunk: slice
    ) -> torch.Tensor:
        rows = len(conditioned)
        # What is kept from step to step would be a graph of its own, whole and light, for every size.
        if self.compiles and not conditioned.kept:
            return self._padded(latents, timestep, conditioned, chunk)
        part = _part(latents, rows, chunk).to(self.model.dtype)
        return self.model.predict(part, _part(timestep, rows, chunk), conditioned[chunk]).float()

    def _padded(
        self, latents: torch.Tensor, timestep: int | torch.Tensor, conditioned: Conditioned, chunk: slice
    ) -> torch.Tensor:
        """By a graph of some more rows: the last one fills them up, and what comes of that is dropped."""
        assert self._compiled is not None
        rows = chunk.stop - chunk.start
        # Joined, not indexed: a list of indices would be sent to a GPU, which waits for that.
        parts = [chunk, *[slice(chunk.stop - 1, chunk.stop)] * (bucket(rows) - rows)]
        # Always as many latents as rows, and a tensor: other shapes would be other graphs.
        whole = latents.to(self.model.dtype).expand(len(conditioned), -1, -1, -1)
        if isinstance(timestep, torch.Tensor) and timestep.ndim:
            each = timestep.to(latents.device).expand(len(conditioned))
            when = torch.cat([each[part] for part in parts])
        else:
            when = torch.full((), float(timestep), device=latents.device)
        filled = conditioned.cat([conditioned[part] for part in parts])
        noise = self._compiled(len(filled), torch.cat([whole[part] for part in parts]), when, filled)
        return noise[:rows].float()

    def _take_fewer(self, failed: int) -> None:
        """After ``failed`` rows at once, two or more, had no room."""
        fewer = -(-failed // 2)
        if self.compiles:
            fewer = max(size for size in BUCKETS if size <= fewer)
        self._found = self._basis(), fewer
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
        warnings.warn(
            ViewFusionWarning(
                f"out of memory with {failed} rows of the network at once; going on with {fewer} "
                f"(--max-batch {fewer} begins so)"
            ),
            stacklevel=3,
        )

    def _told(self, text: str) -> None:
        self.tell(text)  # whoever it is by then


def _part(values: Any, rows: int, chunk: slice) -> Any:
    """Of a tensor with one for each row those of ``chunk``; all else is of every row."""
    each = isinstance(values, torch.Tensor) and values.ndim > 0 and len(values) == rows
    return values[chunk] if each else values
