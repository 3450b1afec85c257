"""How many steps fit into some time: two short runs tell what a step takes, and what the rest does."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfusion import ViewFusionError

from .runs import reconstruct

TRIALS = (4, 12)
"""Steps of the two runs."""

STEPS = "paper.steps"
"""The setting that says how many, of the preset that is given some time."""


def steps_within(
    minutes: float,
    views: Path,
    out: Path,
    options: Sequence[str],
    threads: int,
    command: Sequence[str],
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """``options`` with the steps that a whole run of ``minutes`` can make, and what the trials told.

    Raises:
        ViewFusionError: there is time for none.
    """
    seconds = []
    for steps in TRIALS:
        trial = out.parent / f"{out.name}-trial"
        shutil.rmtree(trial, ignore_errors=True)
        given = (*options, f"{STEPS}={steps}")
        seconds.append(reconstruct(views, trial, given, threads, command=command).seconds)
        shutil.rmtree(trial, ignore_errors=True)
    a_step = max(1e-3, (seconds[1] - seconds[0]) / (TRIALS[1] - TRIALS[0]))
    rest = max(0.0, seconds[0] - TRIALS[0] * a_step)
    steps = int((60 * minutes - rest) / a_step)
    if steps < 1:
        raise ViewFusionError(
            f"no step of {a_step:.1f} s fits beside the other {rest:.0f} s; give more --minutes"
        )
    return (*options, f"{STEPS}={steps}"), {
        "seconds_a_step": round(a_step, 3),
        "other_seconds": round(rest, 1),
    }
