"""``benchmark-speed``: how long a spin takes here, and what memory it needs; nothing is written.

The picture does not matter to that, so it is a shipped one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer
from rich.console import Console

from viewfusion.machine import peak_memory

from .progress import SpinProgress, say

if TYPE_CHECKING:
    import torch

    from viewfusion.config import Config
    from viewfusion.geometry import Family
    from viewfusion.pipeline import ViewFusionPipeline
    from viewfusion.running import Running

RING = 36
"""Views of the spin whose time is estimated: the published one."""


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Args:
        loading_seconds: of the checkpoint.
        seconds: of one spin, from the prepared photo to the last view.
        evaluations: network evaluations (rows) of it.
        peak_memory: bytes at most, weights included: on a GPU what torch took there, else the whole process;
            None where the system does not say.
        seconds_of_36: estimated for a spin of 36 views.
    """

    checkpoint: str
    device: str
    dtype: str
    solver: str
    num_inference_steps: int
    views: int
    loading_seconds: float
    seconds: float
    evaluations: int
    peak_memory: int | None
    seconds_of_36: float


def benchmark_speed(
    checkpoint: str,
    model_config: Path | None,
    family: str | None,
    device: str,
    config: Config,
    as_json: bool,
    running: Running,
) -> None:
    """Measure one spin with the settings ``config`` and print what it took.

    Raises:
        ViewFusionError: no such checkpoint or device.
    """
    console = Console(stderr=True, highlight=False)
    started = time.perf_counter()
    with console.status("loading the model"):
        from viewfusion.pipeline import ViewFusionPipeline
        from viewfusion.zero123 import find_checkpoint

        name = find_checkpoint(checkpoint).name
        pipeline = ViewFusionPipeline.from_checkpoint(
            checkpoint, model_config, device, cast("Family | None", family), **asdict(running)
        )
    pipeline.network.tell = partial(say, console)
    loading = time.perf_counter() - started
    measured = measure(pipeline, pipeline.settled(config), name, loading, console)
    typer.echo(json.dumps(asdict(measured), indent=2) if as_json else "\n".join(lines(measured)))


def measure(
    pipeline: ViewFusionPipeline, config: Config, name: str, loading: float, console: Console
) -> Speed:
    """One spin, after a view that warms up, or where rows are compiled for a short spin that has them all."""
    from viewfusion.config import changed
    from viewfusion.preprocessing import prepare_image
    from viewfusion.resources import resource_folder

    photo = prepare_image(resource_folder("benchmark") / "chair" / "000.png", pipeline.model.image_size)
    with console.status("warming up"):
        views = config.views if pipeline.network.compiles else 2
        pipeline(photo, config=pipeline.settled(changed(config, views=views, num_inference_steps=2)))
    costs, rows, seconds = _costs(pipeline, config), 0, []
    with SpinProgress(console, name, costs) as progress:
        before = time.perf_counter()
        for view in pipeline.iter_views(photo, config.trajectory(), config, on_step=progress.on_step):
            # Each view lies on the CPU, so a GPU has done all of it.
            now = time.perf_counter()
            progress.on_view(view)
            if view.record:
                rows += view.record.network_evaluations
                seconds.append(now - before)
            before = now
    wanted = _costs(pipeline, changed(config, views=RING))
    return Speed(
        name,
        str(pipeline.device),
        str(pipeline.dtype)[6:],
        str(config.sampling.solver),
        config.sampling.num_inference_steps or 0,
        config.views,
        loading,
        sum(seconds),
        rows,
        _peak(pipeline.device),
        estimated([sum(each) for each in costs], seconds, sum(map(sum, wanted)), len(wanted)),
    )


def _costs(pipeline: ViewFusionPipeline, config: Config) -> list[list[float]]:
    from viewfusion.costs import costs
    from viewfusion.fusion import schedule

    return costs(config, schedule(config.trajectory(), config.rules()), pipeline.model.scheduler_config)


def estimated(rows: Sequence[float], seconds: Sequence[float], all_rows: float, views: int) -> float:
    """Seconds of ``views`` views that cost ``all_rows`` evaluations in all, from what some views took.

    A view costs so much for each evaluation and so much for itself (decoding, encoding); where the measured
    views do not tell the two apart, all of it is the evaluations'.
    """
    import numpy as np

    if len(set(rows)) > 1:
        a_row, a_view = np.polyfit(rows, seconds, 1)
        if a_row > 0 and a_view > 0:
            return float(a_row * all_rows + a_view * views)
    return sum(seconds) / sum(rows) * all_rows


def lines(speed: Speed) -> list[str]:
    """For people."""
    taken = "unknown" if speed.peak_memory is None else f"{speed.peak_memory / 1e9:.2f} GB"
    return [
        f"{speed.checkpoint} on {speed.device} in {speed.dtype}: {speed.views} views, {speed.solver}, "
        f"{speed.num_inference_steps} steps",
        f"loading      {speed.loading_seconds:.1f} s",
        f"a spin       {speed.seconds:.1f} s ({speed.seconds / (speed.views - 1):.2f} s a view)",
        f"evaluations  {speed.evaluations} ({speed.evaluations / speed.seconds:.0f} a second)",
        f"peak memory  {taken}",
        f"{RING} views     {speed.seconds_of_36:.0f} s (estimated)",
    ]


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device)
    return peak_memory()
