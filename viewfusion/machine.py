"""How much of the machine this process may use: cores and memory, as far as its container lets it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use, in files of control groups of version 2, or of version 1."""


def usable_cores() -> int:
    """Those that this process may run on, at most as many as its container is given the time of."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = _words("cpu.max") or [*_words("cpu/cpu.cfs_quota_us"), *_words("cpu/cpu.cfs_period_us")]
    if len(told) != 2 or not all(map(str.isdecimal, told)):  # no limit: "max", or -1
        return bound
    quota, period = map(int, told)
    return max(1, min(bound, -(-quota // max(1, period))))


def usable_memory() -> int | None:
    """Bytes, where the system says."""
    known = [
        int(word)
        for word in _words("memory.max") or _words("memory/memory.limit_in_bytes")
        if word.isdecimal()
    ]
    with suppress(AttributeError, ValueError, OSError):
        known.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(known, default=None)


def peak_memory() -> int | None:
    """Bytes of memory that this process has held at most, where the system says."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held


def _words(name: str) -> list[str]:
    try:
        return (GROUPS / name).read_text().split()
    except OSError:
        return []
