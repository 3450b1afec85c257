"""How many steps fit into some minutes of training: a short run tells what a step takes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viewfusion import ViewFusionError
from viewfusion.outputs.ownership import read_json

from .runs import reconstruct

TRIAL = 4
"""Steps of the short run."""

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
    """``options`` with the steps that can be trained in ``minutes``, and what the trial told.

    Raises:
        ViewFusionError: there is time for none, or the trial failed.
    """
    trial = out.with_name(f"{out.name}-trial")
    shutil.rmtree(trial, ignore_errors=True)
    reconstruct(views, trial, (*options, f"{STEPS}={TRIAL}"), threads, command=command)
    a_step = told(trial)["training"]["seconds"] / TRIAL
    shutil.rmtree(trial)
    steps = int(60 * minutes / max(a_step, 1e-6))
    if steps < 1:
        raise ViewFusionError(f"a step takes {a_step:.1f} s; give more --minutes")
    return (*options, f"{STEPS}={steps}"), {"seconds_a_step": round(a_step, 4)}


def told(folder: Path) -> dict[str, Any]:
    """What the command itself says of a mesh: ``psnr``, ``seconds`` of its stages, ``training`` in numbers.

    Raises:
        ViewFusionError: it did not leave that.
    """
    record = read_json(folder / "reconstruction.json")
    try:
        training = {key: record["training"][key] for key in ("steps", "seconds")}
        return {"psnr": record["psnr"], "seconds": record["seconds"], "training": training}
    except (KeyError, TypeError) as error:
        raise ViewFusionError(f"{folder / 'reconstruction.json'} lacks {error}") from error
