"""``benchmark`` and ``evaluate``: a protocol and data go in, scored objects and a report come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console

import viewfusion
from viewfusion.errors import ViewFusionError, did_you_mean

from .batch import BatchError
from .progress import ObjectsProgress, say

if TYPE_CHECKING:
    import torch

    from viewfusion.benchmark import Judging
    from viewfusion.config import Config
    from viewfusion.datasets.reading import Dataset
    from viewfusion.evaluation.items import Item, Work
    from viewfusion.evaluation.runner import Spread
    from viewfusion.geometry import Family
    from viewfusion.pipeline import ViewFusionPipeline

SETTINGS, REPORT = "settings.json", "report.html"
MOST_RUNS = 100
_PROCESS = 3 * 2**29
"""Bytes that a process takes besides its network: torch, pictures, and the metrics' networks at work."""


@dataclass(frozen=True)
class Scoring:
    """What both commands are told.

    Args:
        inputs: a JSON file {object: index}.
        without: metrics to leave out, separated by commas.
        clip: of CLIP's weights.
        over: device, devices, machines and strategy of :class:`Spread`.
    """

    protocol: str
    layout: str
    inputs: Path | None
    without: str
    clip: Path | None
    over: tuple[str, str, int, str]
    out: Path

    @property
    def spread(self) -> Spread:
        from viewfusion.evaluation.runner import Spread

        return Spread(*self.over)


@dataclass(frozen=True)
class Network:
    """What ``benchmark`` makes views with.

    Args:
        variants: names, separated by commas, or "all".
        sweeps: KEY=VALUE,VALUE...; each combination is a run.
    """

    checkpoint: str
    model_config: Path | None
    family: str | None
    preset: str | None
    overrides: Sequence[str] = ()
    variants: str | None = None
    sweeps: Sequence[str] = ()


def benchmark(data: Path | None, network: Network, scoring: Scoring) -> None:
    """Make views of every object of ``data`` (None: what ships with viewfusion) and score them.

    Raises:
        ViewFusionError: bad options or data (nothing was started).
        BatchError: at the end some objects had failed.
    """
    from viewfusion.benchmark import generating, object_names
    from viewfusion.resources import resource_folder

    judging = _judging(scoring, data or resource_folder("benchmark"))
    _refuse_meshes(judging, "benchmark")
    dataset = _opened(data or resource_folder("benchmark"), scoring.layout, "--data")
    configs = {scoring.out / label: config for label, config in runs(network).items()}
    bench = _Bench(judging, scoring, dataset)
    scorer = bench.scorer()
    with bench.console.status("loading the model"):
        pipeline, checkpoint = _loaded(network)
    systems = {
        folder: {
            "name": "viewfusion",
            "variant": config.fusion.variant,
            "checkpoint": checkpoint,
            "config": pipeline.settled(config).to_dict(),
        }
        for folder, config in configs.items()
    }
    weights = sum(each.numel() * each.element_size() for each in pipeline.model.parameters())
    with bench.progress(len(configs) * len(object_names(dataset))) as progress:
        work = generating(judging, dataset, configs, pipeline.to, progress.on_view)
        bench.run(work, systems, scorer, progress, _PROCESS + 3 * weights)


def evaluate(
    pred: Path, ref: Path | None, resize: bool, pred_layout: str, ups: tuple[str, str], scoring: Scoring
) -> None:
    """Score the views, or meshes, in ``pred`` against the true ones in ``ref``.

    Args:
        ups: which axis points up in the meshes of both.

    Raises:
        ViewFusionError: bad options or data, or sets that do not match (nothing was started).
        BatchError: at the end some objects had failed.
    """
    from viewfusion.benchmark import check_same_objects, comparing, object_names

    judging = _judging(scoring, ref or pred)
    if judging.protocol.task == "mesh":
        _evaluate_meshes(judging, pred, ref, ups, scoring)
        return
    predictions = _opened(pred, pred_layout, "--pred")
    if ref is None and judging.protocol.task != "spin":
        raise ViewFusionError(f"{judging.protocol.name} compares with true views; give --ref their folder")
    references = _opened(ref, scoring.layout, "--ref") if ref else None
    if references:
        check_same_objects(predictions, references)
    bench = _Bench(judging, scoring, references or predictions)
    scorer = bench.scorer()
    system = {"name": predictions.root.name, "variant": None, "checkpoint": None, "config": None}
    with bench.progress(len(object_names(predictions))) as progress:
        work = comparing(judging, predictions, references, resize)
        bench.run(work, {scoring.out: system}, scorer, progress, _PROCESS)


def _evaluate_meshes(
    judging: Judging, pred: Path, ref: Path | None, ups: tuple[str, str], scoring: Scoring
) -> None:
    from viewfusion.benchmark import check_same_names, comparing_meshes, find_meshes

    if ref is None:
        raise ViewFusionError(f"{judging.protocol.name} compares with true meshes; give --ref their folder")
    ours, truth = find_meshes(pred, ups[0]), find_meshes(ref, ups[1])
    check_same_names((pred, ours.files), (ref, truth.files))
    bench = _Bench(judging, scoring, (ref, "meshes", sorted(truth.files)))
    scorer = bench.scorer()
    turns = read_numbers(scoring.turns, "--turns", "degrees") if scoring.turns else {}
    system = {"name": pred.resolve().name, "variant": None, "checkpoint": None, "config": None}
    with bench.progress() as progress:
        work = comparing_meshes(judging.protocol, scorer, ours, truth, turns)
        bench.run(work, {scoring.out: system}, scorer, progress, _PROCESS)


def runs(network: Network) -> dict[str, Config]:
    """The settings of each run, by the name of its folder; of a single one that is ``""``.

    Raises:
        ViewFusionError: no such variant or setting, or too many runs.
    """
    from viewfusion.config import load_config

    axes = [_swept(sweep) for sweep in network.sweeps]
    if network.variants:
        axes.insert(0, [f"fusion.variant={name}" for name in _variants(network.variants)])
    combined = list(product(*axes))
    if len(combined) > MOST_RUNS:
        raise ViewFusionError(f"{len(combined)} runs asked for, at most {MOST_RUNS} go into one folder")
    return {
        ",".join(_label(setting) for setting in settings): load_config(
            network.preset, [*network.overrides, *settings]
        )
        for settings in combined
    }


def _label(setting: str) -> str:
    """A folder's name: a variant is called by its own."""
    key, _, value = setting.partition("=")
    return value if key == "fusion.variant" else f"{key.rpartition('.')[2]}={value}"


def _variants(text: str) -> list[str]:
    from viewfusion.fusion import VARIANTS

    names = list(VARIANTS) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in VARIANTS:
            near = did_you_mean(name, VARIANTS)
            raise ViewFusionError(
                f"--variants: no variant {name[:60]!r}{near}; all, or {', '.join(VARIANTS)}"
            )
    return list(dict.fromkeys(names))


def _swept(text: str) -> list[str]:
    """KEY=VALUE for each value of KEY=VALUE,VALUE..."""
    key, equals, values = text.partition("=")
    each = [value.strip() for value in values.split(",")]
    if not key or not equals or not all(each) or any("/" in value for value in each):
        raise ViewFusionError(
            f"--sweep wants KEY=VALUE,VALUE..., such as fusion.input_temperature=0.1,0.5, got {text[:80]!r}"
        )
    return [f"{key}={value}" for value in dict.fromkeys(each)]


@dataclass
class _Bench:
    """A command under way: judging, its data and where it writes."""

    judging: Judging
    scoring: Scoring
    data: tuple[Path, str, list[str]]  # its root, its layout, and the names of its objects
    first: bool = field(init=False)
    console: Console = field(init=False)

    def __post_init__(self) -> None:
        from viewfusion.evaluation.workers import first_process

        self.first = first_process()
        self.console = Console(stderr=True, highlight=False, quiet=not self.first)
        protocol = self.judging.protocol
        say(self.console, f"protocol {protocol.name} ({protocol.sha256[:12]}): {protocol.about.strip()}")

    def scorer(self) -> Any:
        """What is measured, said once."""
        scorer = self.judging.scorer()
        for name, why in scorer.unmeasured.items():
            say(self.console, f"warning: {name} is not measured: {why}")
        return scorer

    def progress(self, total: int) -> ObjectsProgress:
        return ObjectsProgress(self.console, total)

    def run(
        self,
        work: Callable[[torch.device], Work],
        systems: dict[Path, dict[str, Any]],
        scorer: Any,
        progress: ObjectsProgress,
        memory: int,
    ) -> None:
        """All objects of all runs, and then their results."""
        from viewfusion.benchmark import object_names
        from viewfusion.evaluation.items import Item
        from viewfusion.evaluation.runner import run_items

        names = object_names(self.dataset)
        items = [Item(folder, name) for name in names for folder in systems]
        with self._held(systems):
            spread = self.scoring.spread
            if not run_items(items, work, spread, memory=memory, on_progress=progress.on_objects):
                return
            progress.close()
            self._conclude(systems, scorer, items)

    @contextmanager
    def _held(self, systems: dict[Path, dict[str, Any]]) -> Iterator[None]:
        """The right to write to the folder, if it is of this very run; the first process asks for all."""
        from viewfusion.outputs.files import explained
        from viewfusion.outputs.locking import FolderLock

        if not self.first:
            yield
            return
        with explained(self.scoring.out):
            self.scoring.out.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self.scoring.out)
        try:
            for folder, system in systems.items():
                self._same_run(folder, system)
            yield
        finally:
            lock.release()

    def _same_run(self, folder: Path, system: dict[str, Any]) -> None:
        """Write what decides the numbers of a run, or see that its folder is of the same."""
        from viewfusion.benchmark import object_names
        from viewfusion.outputs.files import explained, write_json
        from viewfusion.outputs.ownership import differences, read_json

        judging, data = self.judging, self.dataset
        inputs = {name: judging.inputs.get(name) for name in object_names(data)} if judging.inputs else {}
        now = {
            "viewfusion": viewfusion.__version__,
            "protocol": {"name": judging.protocol.name, "sha256": judging.protocol.sha256},
            "system": system,
            "data": {"layout": data.layout, "objects": object_names(data)},
            "inputs": inputs,
            "without": sorted(judging.without),
        }
        path = folder / SETTINGS
        if path.exists():
            if changed := differences(read_json(path), now):
                raise ViewFusionError(f"{folder} is of another run ({changed[0]}); choose another --out")
        elif any(folder.glob("objects/*")):
            raise ViewFusionError(f"{folder} holds objects of no run known; choose another --out")
        else:
            with explained(folder):
                folder.mkdir(parents=True, exist_ok=True)
            write_json(path, now)

    def _conclude(self, systems: dict[Path, dict[str, Any]], scorer: Any, items: Sequence[Item]) -> None:
        from viewfusion.benchmark import results
        from viewfusion.evaluation.report import write_report
        from viewfusion.evaluation.results import write_results

        data = {"name": self.dataset.root.resolve().name, "layout": self.dataset.layout}
        failed: list[str] = []
        for folder, system in systems.items():
            mine = [item for item in items if item.folder == folder]
            made = results(self.judging, scorer, mine, system, data)
            write_results(folder, made)
            failed += [f"{each['name']}: {each['error']}" for each in made["objects"] if each["error"]]
            if len(systems) > 1:
                write_report(folder / REPORT, [folder])
        write_report(self.scoring.out / REPORT, list(systems))
        for line in failed:
            say(self.console, f"error: {line}")
        say(self.console, f"report in {self.scoring.out / REPORT}")
        if failed:
            raise BatchError(
                f"{len(failed)} of {len(items)} objects failed; the others are in {self.scoring.out}"
            )


def _judging(scoring: Scoring, data: Path) -> Judging:
    """The protocol, and which views are inputs."""
    from viewfusion.benchmark import Judging
    from viewfusion.evaluation.protocols import load_protocol

    protocol = load_protocol(scoring.protocol)
    inputs: dict[str, int] = {}
    if protocol.input == "listed":
        path = scoring.inputs or data / "inputs.json"
        if scoring.inputs or path.is_file():
            inputs = read_inputs(path)
    elif scoring.inputs:
        raise ViewFusionError(f"--inputs: in {protocol.name} the first view is the input; leave it out")
    without = tuple(name for name in scoring.without.split(",") if name)
    return Judging(protocol, inputs, without, scoring.clip)


def read_inputs(path: Path) -> dict[str, int]:
    """Which view of each object is the input.

    Raises:
        ViewFusionError: it is no JSON file {object: index}.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(2**26))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "not JSON"
        raise ViewFusionError(
            f"{path}: cannot be read ({reason}); --inputs is a JSON file {{object: index}}"
        ) from None
    if not isinstance(content, dict) or not all(type(each) is int for each in content.values()):
        raise ViewFusionError(f'{path}: not a JSON object of {{object: index}}, such as {{"chair": 4}}')
    return content


def _opened(path: Path, layout: str, option: str) -> Dataset:
    from viewfusion.datasets.reading import open_dataset

    dataset = open_dataset(path, layout)
    if not dataset.objects:
        why = f": {dataset.problems[0].what}" if dataset.problems else ""
        raise ViewFusionError(f"{option} {path}: no object that is whole{why}")
    return dataset


def _refuse_meshes(judging: Judging, command: str) -> None:
    if judging.protocol.task == "mesh":
        raise ViewFusionError(
            f"{judging.protocol.name} scores meshes, which {command} does not make; see `evaluate`"
        )


def _loaded(network: Network) -> tuple[ViewFusionPipeline, dict[str, str]]:
    from viewfusion.pipeline import ViewFusionPipeline
    from viewfusion.zero123 import checkpoint_hash, find_checkpoint

    path = find_checkpoint(network.checkpoint)
    pipeline = ViewFusionPipeline.from_checkpoint(
        network.checkpoint, network.model_config, "cpu", cast("Family | None", network.family)
    )
    return pipeline, {"name": path.name, "sha256": checkpoint_hash(path)}
