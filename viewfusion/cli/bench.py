"""What ``benchmark`` and ``evaluate`` share: a protocol, data and work go in, a run's folder comes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import viewfusion
from viewfusion.errors import ViewFusionError

from .batch import BatchError
from .compare import print_comparison
from .progress import ObjectsProgress, say

if TYPE_CHECKING:
    import torch

    from viewfusion.benchmark import Judging
    from viewfusion.datasets.reading import Dataset
    from viewfusion.evaluation.items import Item, Work
    from viewfusion.evaluation.protocols import Protocol
    from viewfusion.evaluation.runner import Spread
    from viewfusion.evaluation.scoring import Scorer

SETTINGS, REPORT, INPUTS = "settings.json", "report.html", "inputs.json"
PROCESS = 3 * 2**29
"""Bytes that a process takes besides its network: torch, pictures, and the metrics' networks at work."""

_MOST_BYTES, _MOST = 2**26, 10**9


@dataclass(frozen=True)
class Scoring:
    """What both commands are told.

    Args:
        layout: of the true views.
        inputs: a JSON file {object: index of its input view}.
        without: metrics to leave out, separated by commas.
        clip, raft: of CLIP's and RAFT's weights.
        over: device, devices, machines and strategy of :class:`viewfusion.evaluation.runner.Spread`.
    """

    protocol: str
    layout: str
    inputs: Path | None
    without: str
    clip: Path | None
    raft: Path | None
    over: tuple[str, str, int, str]
    out: Path

    @property
    def spread(self) -> Spread:
        from viewfusion.evaluation.runner import Spread

        return Spread(*self.over)

    def judging(self, data: Path, *others: Path) -> Judging:
        """The protocol, and which views are inputs: as the list says, or that in the folder ``data``.

        Args:
            others: folders that are read, too.

        Raises:
            ViewFusionError: no such protocol, a list or weights it has no use for, or ``out`` is in what is
                read, where it would be taken for an object.
        """
        from viewfusion.benchmark import Judging
        from viewfusion.evaluation.protocols import load_protocol

        for folder in (data, *others):
            if self.out.resolve().is_relative_to(folder.resolve()):
                raise ViewFusionError(
                    f"--out {self.out} lies in {folder}, which is read; choose another --out"
                )
        protocol = load_protocol(self.protocol)
        inputs: dict[str, int] = {}
        if protocol.input == "listed":
            path = self.inputs or data / INPUTS
            if self.inputs or path.is_file():
                inputs = read_numbers(path, "--inputs", int, "index of its input view")
        elif self.inputs:
            raise ViewFusionError(f"--inputs: the first view is the input in {protocol.name}; leave it out")
        without = tuple(name for each in self.without.split(",") if (name := each.strip()))
        self._check_weights(protocol, without)
        return Judging(protocol, inputs, without, self.clip, self.raft)

    def _check_weights(self, protocol: Protocol, without: Sequence[str]) -> None:
        """Refuse weights that no metric looks with."""
        from viewfusion.evaluation.measures import CLIPS, MEASURES

        taken = {key: settings for key, settings in protocol.metrics.items() if key not in without}
        looking = {MEASURES[key].network(settings) for key, settings in taken.items()}
        for option, path, networks in (("--clip", self.clip, CLIPS), ("--raft", self.raft, ("raft",))):
            if path and looking.isdisjoint(networks):
                raise ViewFusionError(f"{option}: no metric of {protocol.name} looks with it; leave it out")


@dataclass(frozen=True)
class Data:
    """What is scored on.

    Args:
        root, layout: how results call it.
        names: of the objects, sorted.
        sources: by name, what tells an object's files from others; see :class:`.items.Item`.
    """

    root: Path
    layout: str
    names: tuple[str, ...]
    sources: Mapping[str, str]

    @classmethod
    def of(cls, dataset: Dataset, *others: Dataset) -> Data:
        """The objects of ``dataset``, scored together with those of the same name in ``others``."""
        from viewfusion.benchmark import object_names, sources

        names = tuple(object_names(dataset))
        return cls(dataset.root, dataset.layout, names, sources(dataset, *others))

    @property
    def name(self) -> str:
        return self.root.resolve().name


@dataclass(frozen=True)
class Bench:
    """A command under way.

    Args:
        systems: what is scored, by the folder of its run.
    """

    judging: Judging
    data: Data
    out: Path
    systems: Mapping[Path, dict[str, Any]]

    @cached_property
    def console(self) -> Console:
        """Silent in all processes but the first."""
        from viewfusion.evaluation.workers import first_process

        return Console(stderr=True, highlight=False, quiet=not first_process())

    def run(
        self,
        start: Callable[[ObjectsProgress], Callable[[torch.device], Work]],
        spread: Spread,
        memory: int,
    ) -> None:
        """All objects of all runs, then results and reports.

        Args:
            start: given where to tell how far it is, what each process starts with.
            memory: bytes a process takes.

        Raises:
            ViewFusionError: something a metric needs is missing, or ``out`` is another run's.
            BatchError: at the end some objects had failed.
        """
        from viewfusion.evaluation.items import Item
        from viewfusion.evaluation.runner import check_spread, run_items

        scorer, data = self._announced(), self.data
        items = [
            Item(folder, name, data.sources.get(name, "")) for name in data.names for folder in self.systems
        ]
        check_spread(spread, len(items), memory)
        self._check_place()
        with self._held(scorer, items):
            with ObjectsProgress(self.console, len(items)) as progress:
                work = start(progress)
                first = run_items(items, work, spread, memory=memory, on_progress=progress.on_objects)
            if first:
                self._conclude(scorer, items)

    def _announced(self) -> Scorer:
        """What will be measured; a person is told by which protocol, and what is left out."""
        protocol, scorer = self.judging.protocol, self.judging.scorer()
        say(self.console, f"protocol {protocol.name} ({protocol.sha256[:12]}): {protocol.about.strip()}")
        for name, why in scorer.unmeasured.items():
            say(self.console, f"warning: {name} is not measured: {why}")
        return scorer

    def _check_place(self) -> None:
        """Refuse a single run where several are, each in a folder of its own, and several where one is."""
        single = self.out in self.systems
        if single and (others := sorted(self.out.glob(f"*/{SETTINGS}"))):
            raise ViewFusionError(
                f"{self.out} holds several runs ({others[0].parent.name}); choose another --out for one alone"
            )
        if not single and (self.out / SETTINGS).exists():
            raise ViewFusionError(f"{self.out} holds a single run; choose another --out for several")

    @contextmanager
    def _held(self, scorer: Scorer, items: Sequence[Item]) -> Iterator[None]:
        """The right to write to ``out``, if it is of this very run; the first process asks for all."""
        from viewfusion.evaluation.items import check_sources
        from viewfusion.evaluation.workers import first_process
        from viewfusion.outputs.files import explained
        from viewfusion.outputs.locking import FolderLock

        if not first_process():
            yield
            return
        with explained(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(self.out)
        try:
            for folder, system in self.systems.items():
                self._claim(folder, system, scorer)
            check_sources(items)
            yield
        finally:
            lock.release()

    def _claim(self, folder: Path, system: dict[str, Any], scorer: Scorer) -> None:
        """Write what decides the numbers of a run, or see that its folder is of the same."""
        from viewfusion.outputs.files import explained, write_json
        from viewfusion.outputs.ownership import differences, read_json

        judging, names = self.judging, self.data.names
        now = {
            "viewfusion": viewfusion.__version__,
            "protocol": {"name": judging.protocol.name, "sha256": judging.protocol.sha256},
            "system": system,
            "data": {"name": self.data.name, "layout": self.data.layout, "objects": list(names)},
            "inputs": {name: judging.inputs[name] for name in names if name in judging.inputs},
            "metrics": list(scorer.metrics),
            "weights": scorer.weights(),
        }
        path = folder / SETTINGS
        if path.exists():
            if changed := differences(read_json(path), now):
                raise ViewFusionError(f"{folder} is of another run ({changed[0]}); choose another --out")
            return
        if any(folder.glob("objects/*")):
            raise ViewFusionError(f"{folder} holds objects of no run known; choose another --out")
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_json(path, now)

    def _conclude(self, scorer: Scorer, items: Sequence[Item]) -> None:
        from viewfusion.benchmark import results
        from viewfusion.evaluation.comparison import compare_runs
        from viewfusion.evaluation.items import FAILED
        from viewfusion.evaluation.report import write_report
        from viewfusion.evaluation.results import write_results
        from viewfusion.evaluation.runs import read_runs

        data = {"name": self.data.name, "layout": self.data.layout}
        failed: list[str] = []
        for folder, system in self.systems.items():
            made = results(self.judging, scorer, [i for i in items if i.folder == folder], system, data)
            write_results(folder, made)
            failed += [f"{each['name']}: {each['error']}" for each in made["objects"] if each["error"]]
            if len(self.systems) > 1:
                write_report(folder / REPORT, [folder])
            with suppress(OSError):  # where something failed it is not empty
                (folder / FAILED).rmdir()
        write_report(self.out / REPORT, list(self.systems))
        print_comparison(compare_runs(read_runs(list(self.systems)), common=True))
        for line in failed:
            say(self.console, f"error: {line}")
        say(self.console, f"report in {self.out / REPORT}")
        if failed:
            rest = f"; the others are in {self.out}" if len(failed) < len(items) else ""
            raise BatchError(f"{len(failed)} of {len(items)} objects failed{rest}")


def opened(path: Path, layout: str, option: str) -> Dataset:
    """The dataset in ``path``; broken objects are among its problems.

    Raises:
        ViewFusionError: there is no object that is whole.
    """
    from viewfusion.datasets.reading import open_dataset

    dataset = open_dataset(path, layout)
    if not dataset.objects:
        why = f": {dataset.problems[0].what}" if dataset.problems else ""
        raise ViewFusionError(f"{option} {path}: no object that is whole{why}")
    return dataset


def read_numbers(path: Path, option: str, kind: type, what: str) -> dict[str, Any]:
    """A JSON file {object: number}.

    Args:
        kind: int, or float for any number.

    Raises:
        ViewFusionError: it is none.
    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "not JSON"
        raise ViewFusionError(
            f"{path}: cannot be read ({reason}); {option} wants {{object: {what}}}"
        ) from None
    kinds = (int,) if kind is int else (int, float)
    if not isinstance(content, dict) or not all(type(each) in kinds for each in content.values()):
        raise ViewFusionError(f"{path}: not a JSON object; {option} wants {{object: {what}}}")
    for name, number in content.items():
        if not abs(number) <= _MOST:  # NaN, too
            raise ViewFusionError(f"{path}: {name} must be at most {_MOST}, got {str(number)[:40]}")
    return content
