"""``benchmark``: views of every object of a dataset are made and scored, by one setting or by several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, cast

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.running import Running

from .bench import PROCESS, Bench, Data, Scoring, opened
from .progress import say

if TYPE_CHECKING:
    import torch

    from viewfusion.config import Config
    from viewfusion.geometry import Family
    from viewfusion.pipeline import ViewFusionPipeline


@dataclass(frozen=True)
class Network:
    """What views are made with.

    Args:
        variants: names, separated by commas, or "all".
        sweeps: KEY=VALUE,VALUE...; each combination is a run.
        running: how it is run.
    """

    checkpoint: str
    model_config: Path | None
    family: str | None
    preset: str | None
    overrides: Sequence[str] = ()
    variants: str | None = None
    sweeps: Sequence[str] = ()
    running: Running = field(default_factory=Running)


def benchmark(data: Path | None, network: Network, scoring: Scoring) -> None:
    """Make views of every object of ``data`` (None: what ships with viewfusion) and score them.

    Raises:
        ViewFusionError: bad options or data (nothing was started).
        BatchError: at the end some objects had failed.
    """
    from viewfusion.benchmark import generating
    from viewfusion.resources import resource_folder

    data = data or resource_folder("benchmark")
    judging = scoring.judging(data)
    if judging.protocol.task == "mesh":
        raise ViewFusionError(f"{judging.protocol.name} is of meshes, which only `evaluate` scores")
    configs = {scoring.out / label: config for label, config in runs(network).items()}
    dataset = opened(data, scoring.layout, "--data")
    scoring.spread.settled(items=1, memory=1)  # a device that is absent, before a model is loaded for it
    pipeline, checkpoint = _loaded(network, scoring.spread.device)
    systems = {
        folder: {
            "name": "viewfusion",
            "variant": config.fusion.variant,
            "checkpoint": checkpoint,
            "dtype": str(pipeline.dtype)[6:],
            "config": pipeline.settled(config).to_dict(),
        }
        for folder, config in configs.items()
    }
    weights = sum(each.numel() * each.element_size() for each in pipeline.model.parameters())
    bench = Bench(judging, Data.of(dataset), scoring.out, systems)
    pipeline.network.tell = partial(say, bench.console)

    def load(device: torch.device) -> ViewFusionPipeline:
        if not network.running.offload:
            return pipeline.to(device)
        pipeline.enable_model_cpu_offload(device)
        return pipeline

    bench.run(
        lambda progress: generating(judging, dataset, configs, load, progress.on_view),
        scoring.spread,
        PROCESS + 3 * weights,
    )


def runs(network: Network) -> dict[str, Config]:
    """The settings of each run by the name of its folder, which is "" for a single run.

    Raises:
        ViewFusionError: no such variant or setting, or too many runs.
    """
    from viewfusion.config import load_config
    from viewfusion.evaluation.runs import MAX_RUNS

    axes = [_swept(sweep) for sweep in network.sweeps]
    if network.variants:
        axes.insert(0, [f"fusion.variant={name}" for name in _variants(network.variants)])
    keys = [settings[0].partition("=")[0] for settings in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ViewFusionError(f"--sweep {key[:60]}: swept twice; give all its values at once")
    combined = list(product(*axes))
    if len(combined) > MAX_RUNS:
        raise ViewFusionError(f"{len(combined)} runs asked for, where {MAX_RUNS} is the most")
    return {
        ",".join(map(_label, settings)): load_config(network.preset, [*network.overrides, *settings])
        for settings in combined
    }


def _label(setting: str) -> str:
    """A variant is called by its own name, another setting by its last word and value."""
    key, _, value = setting.partition("=")
    return value if key == "fusion.variant" else f"{key.rpartition('.')[2]}={value}"


def _variants(text: str) -> list[str]:
    from viewfusion.fusion import VARIANTS

    names = [name.strip() for name in text.split(",")]
    names = [each for name in names for each in (VARIANTS if name == "all" else (name,))]
    for name in names:
        if name not in VARIANTS:
            near = did_you_mean(name, VARIANTS)
            raise ViewFusionError(
                f"--variants: no {name[:60]!r}{near}; all, or some of {', '.join(VARIANTS)}"
            )
    return list(dict.fromkeys(names))


def _swept(text: str) -> list[str]:
    """KEY=VALUE for each value of KEY=VALUE,VALUE..."""
    key, equals, values = text.partition("=")
    each = [value.strip() for value in values.split(",")]
    if not key or not equals or not all(each) or any("/" in value or "\\" in value for value in each):
        raise ViewFusionError(
            f"--sweep wants KEY=VALUE,VALUE..., such as fusion.input_temperature=0.1,0.5, got {text[:80]!r}"
        )
    return [f"{key}={value}" for value in dict.fromkeys(each)]


def _loaded(network: Network, device: str) -> tuple[ViewFusionPipeline, dict[str, str]]:
    """On the CPU, in what it shall compute in on ``device``, where each process takes it."""
    from viewfusion.pipeline import ViewFusionPipeline, best_device
    from viewfusion.zero123 import checkpoint_hash, find_checkpoint, load_zero123, usable_dtype

    path, running = find_checkpoint(network.checkpoint), network.running
    model = load_zero123(
        network.checkpoint,
        network.model_config,
        dtype=usable_dtype(running.dtype, best_device() if device == "auto" else device),
        family=cast("Family | None", network.family),
    )
    pipeline = ViewFusionPipeline(model, running.max_batch, running.compile)
    return pipeline, {"name": path.name, "sha256": checkpoint_hash(path)}
