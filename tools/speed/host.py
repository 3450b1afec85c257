"""What was measured on: the machine's parts, versions and day, and how fast it multiplies matrices."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import viewfusion
from viewfusion.machine import usable_cores, usable_memory

SIDE = {"cuda": 8192, "mps": 4096, "cpu": 2048}
"""Numbers a side of the matrices that are multiplied."""


def host(device: torch.device) -> dict[str, Any]:
    """For a result's JSON."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "device": device.type,
        "device_name": name,
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory": usable_memory(),
        "versions": {
            "viewfusion": viewfusion.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "diffusers", "transformers")},
        },
    }


def processor() -> str:
    """Its name, where the system tells."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Roof:
    """The most floating-point operations a second that a product of two large matrices reached."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.side = SIDE.get(device.type, 4096)
        self.device, self.dtype, self.reached = device, dtype, 0.0

    @torch.inference_mode()
    def look(self, times: int = 3) -> None:
        """Multiply some more; called between other measurements, so that both see the same machine."""
        a, b = (torch.rand(self.side, self.side, device=self.device, dtype=self.dtype) for _ in "ab")
        for _ in range(times):
            wait_for(self.device)
            started = time.perf_counter()
            a @ b
            wait_for(self.device)
            self.reached = max(self.reached, 2 * self.side**3 / (time.perf_counter() - started))


def wait_for(device: torch.device) -> None:
    """Until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
