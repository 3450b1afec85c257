"""The command under measurement: a folder of views and options go in, a mesh's folder and its cost come out.

It runs in a process of its own, as users run it: what it takes includes starting, and its memory is its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import viewfusion
from viewfusion import ViewFusionError

COMMAND = (sys.executable, "-m", "viewfusion", "reconstruct")

_PAUSE, _GRACE = 0.1, 30.0  # seconds between looks, and those that a process which was asked to end has
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Args:
        seconds: from its start to its end.
        cpu_seconds: of all its threads, and of processes that it started and waited for.
        peak_bytes: the most memory that it held at a time.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def reconstruct(
    views: Path,
    out: Path,
    options: Sequence[str],
    threads: int,
    most_seconds: float | None = None,
    command: Sequence[str] = COMMAND,
) -> Cost:
    """Reconstruct ``views`` into ``out``; what it says goes to ``out``'s name with ``.log``.

    Raises:
        ViewFusionError: it failed, with its last line, or took longer than ``most_seconds``.
    """
    root = str(Path(viewfusion.__file__).parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONPATH": paths}
    log = out.parent / f"{out.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    arguments = [*command, str(views), "--out", str(out), *options]
    with log.open("w", encoding="utf-8") as told:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT, env=environment
        )
        cost = _watched(process, most_seconds)
    if process.returncode:
        if most_seconds is not None and cost.seconds >= most_seconds:
            raise ViewFusionError(f"not finished after {most_seconds:g} seconds")
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ViewFusionError(lines[-1][:300] if lines else f"exit code {process.returncode}")
    return cost


def _watched(process: subprocess.Popen[bytes], most_seconds: float | None) -> Cost:
    """Until it has ended, by itself or because its time is up."""
    started, peak, asked = time.perf_counter(), 0, False
    done, status, usage = 0, 0, None
    try:
        while not done:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            passed = time.perf_counter() - started
            peak = max(peak, _peak_of(process.pid))
            if not done and most_seconds is not None and passed > most_seconds:
                if not asked or passed > most_seconds + _GRACE:
                    os.kill(process.pid, signal.SIGKILL if asked else signal.SIGTERM)
                asked = True
            if not done:
                time.sleep(_PAUSE)
    except BaseException:
        os.kill(process.pid, signal.SIGTERM)
        os.waitpid(process.pid, 0)
        raise
    assert usage is not None
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(round(time.perf_counter() - started, 1), round(usage.ru_utime + usage.ru_stime, 1), peak)


def _peak_of(process: int) -> int:
    """The most bytes it held so far; 0 where the system does not tell. (What it tells of a process that has
    ended, ``ru_maxrss``, is at least what the one that started it held.)"""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return 0
