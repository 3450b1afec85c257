"""The most memory that a block takes: a device goes in, bytes come out."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import torch

from viewfusion.machine import peak_memory

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Of a block: of a GPU what torch has allocated there, else the resident memory of the whole process.

    Attributes:
        bytes: the most at any time, what was there before the block included.
        how: in words, where the number comes from.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.on_gpu = device, device.type == "cuda"
        self.bytes = 0
        self.how = "torch.cuda.max_memory_allocated" if self.on_gpu else "resident memory of the process"

    def __enter__(self) -> PeakMemory:
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            return self
        give_back()
        try:
            CLEAR.write_text("5")  # the high-water mark starts anew
            self._resets = True
        except OSError:
            self._resets = False
            self.how = "resident memory of the process at any time before"
        return self

    def __exit__(self, *_: object) -> None:
        if self.on_gpu:
            self.bytes = torch.cuda.max_memory_allocated(self.device)
        elif self._resets:
            self.bytes = _status("VmHWM")
        else:
            self.bytes = peak_memory() or 0


def give_back() -> None:
    """Let the system have what was freed, where the C library can: it shall not count as the next block's."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Bytes of this process now; Linux only."""
    return _status("VmRSS")


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
