"""How much of the machine this process may use: cores and memory, as far as its container lets it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use, in files of control groups of version 2, or of version 1."""


MEMINFO = Path("/proc/meminfo")
_GROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


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


def free_memory() -> int | None:
    """Bytes that may still be taken, where the system says; what it only caches counts as free."""
    known = [1024 * kilobytes for kilobytes in _numbers(MEMINFO, "MemAvailable:")]
    for limit, used, statistics, cached in _GROUP_FILES:
        words = [*_words(limit), *_words(used)]
        if len(words) == 2 and all(map(str.isdecimal, words)):
            known.append(int(words[0]) - int(words[1]) + sum(_numbers(GROUPS / statistics, cached)))
    return max(0, min(known)) if known else usable_memory()


def _words(name: str) -> list[str]:
    return [word for line in _lines(GROUPS / name) for word in line]


def _numbers(path: Path, name: str) -> list[int]:
    """What stands behind ``name`` in a file with a name and a number a line."""
    return [int(line[1]) for line in _lines(path) if line[:1] == [name] and line[1].isdecimal()]


def _lines(path: Path) -> list[list[str]]:
    """Each line's words; none where there is no such file."""
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return []
