"""What is done for each object: a study goes in, work for :func:`viewfusion.evaluation.runner.run_items`
comes out, and the results that the objects add up to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import viewfusion
from viewfusion.config import Config
from viewfusion.datasets.reading import Dataset, DatasetObject
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.items import Item, Outcome, Work, read_entries
from viewfusion.evaluation.measures import Tools
from viewfusion.evaluation.protocols import Protocol
from viewfusion.evaluation.results import SCHEMA, summarise
from viewfusion.evaluation.scoring import Scorer, comparison, make_scorer, shown_views
from viewfusion.outputs.numbered import angles_json

from .generation import generate
from .objects import found
from .predictions import other_input, predicted
from .truth import Truth, read_truth

if TYPE_CHECKING:
    from viewfusion.pipeline import ViewFusionPipeline


@dataclass(frozen=True)
class Judging:
    """How views are scored.

    Args:
        inputs: which view is the input, by object, where the protocol leaves that to a list.
        without: metrics to leave out.
        clip, raft: of CLIP's and RAFT's weights.
    """

    protocol: Protocol
    inputs: Mapping[str, int] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    clip: Path | None = None
    raft: Path | None = None
    _tools: dict[str, Tools] = field(default_factory=dict, compare=False)

    def scorer(self, device: torch.device | str = "cpu") -> Scorer:
        """With its networks on ``device``, where they are loaded once.

        Raises:
            ViewFusionError: something a metric needs is not here.
        """
        tools = self._tools.setdefault(str(device), Tools(self.clip, self.raft, str(device)))
        return make_scorer(self.protocol, tools, self.without)

    def outcome(
        self, scorer: Scorer, name: str, truth: Truth, ours: Sequence[np.ndarray], notes: Sequence[str] = ()
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The entry of an object and the picture that compares its views."""
        size = self.protocol.size
        resized = {f"{each.shape[1]} x {each.shape[0]}" for each in ours if each.shape[:2] != (size, size)}
        told = [f"views of {', '.join(sorted(resized))} pixels were resized to {size}"] if resized else []
        turn = truth.turn(ours, size)
        entry = scorer.entry(name, turn, [*told, *notes])
        entry |= {"shown": shown_views(turn), "truth_sha256": truth.sha256}
        return entry, {"comparison.png": comparison(turn)}


def generating(
    judging: Judging,
    dataset: Dataset,
    configs: Mapping[Path, Config],
    load: Callable[[torch.device], ViewFusionPipeline],
    on_view: Callable[[Item, int, int], None],
) -> Callable[[torch.device], Work]:
    """Make the views of an object and score them.

    Args:
        configs: of each run, by its folder.
        load: the pipeline, on a device.
        on_view: told of the item in hand, how many of its views are made, and of how many.
    """

    def start(device: torch.device) -> Work:
        pipeline, scorer = load(device), judging.scorer(device)

        def work(item: Item) -> Outcome:
            truth = read_truth(judging.protocol, found(dataset, item.name), judging.inputs)
            told = partial(on_view, item)
            config = configs[item.folder]
            ours = generate(pipeline, judging.protocol.task, item.name, truth, config, told)
            entry, pictures = judging.outcome(scorer, item.name, truth, ours)
            views = {f"views/{place:03d}.png": pixels for place, pixels in enumerate(ours)}
            cameras = {"views/angles.json": angles_json(truth.poses)}
            return Outcome(entry, {**views, **pictures}, cameras, truth.input)

        return work

    return start


def comparing(
    judging: Judging, predictions: Dataset, references: Dataset | None, resize: bool
) -> Callable[[torch.device], Work]:
    """Score views that somebody has made.

    Args:
        references: None: the protocol wants no true views.
        resize: whether predictions of another size than the protocol's may be resized.
    """

    def start(device: torch.device) -> Work:
        scorer = judging.scorer(device)

        def work(item: Item) -> Outcome:
            made = found(predictions, item.name)
            _check_whole(judging.protocol, made, references)
            truth = read_truth(judging.protocol, found(references or predictions, item.name), judging.inputs)
            pictures = predicted(made, truth, judging.protocol.size, resize)
            notes = other_input(made, truth, judging.protocol.size)
            entry, shown = judging.outcome(scorer, item.name, truth, pictures, notes)
            if references is None:  # the input is the prediction's own picture of it, and nobody else's
                entry["truth_sha256"] = None
            return Outcome(entry, shown)

        return work

    return start


def _check_whole(protocol: Protocol, made: DatasetObject, references: Dataset | None) -> None:
    """Without true views no input is known that could stand in for a view."""
    if references is None and len(made.pictures) != protocol.views:
        raise ViewFusionError(
            f"{made.name}: {len(made.pictures)} predictions, wanted {protocol.views}, the input among them; "
            "or give --ref a folder with the inputs"
        )


def results(
    judging: Judging, scorer: Scorer, items: Sequence[Item], system: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    """The content of ``results.json`` of one run, all of whose items were tried.

    Args:
        system: what was scored: name, variant, checkpoint, config.
        data: name and layout of what it was scored on.
    """
    protocol, entries = judging.protocol, read_entries(items)
    truths = [(each["name"], each.get("truth_sha256")) for each in entries]
    known = all(digest for _, digest in truths)  # of an object that failed it is not
    digest = hashlib.sha256(repr(truths).encode()).hexdigest() if known else None
    metrics = scorer.described()
    return {
        "schema": SCHEMA,
        "kind": "viewfusion-results",
        "viewfusion": viewfusion.__version__,
        "protocol": {
            "name": protocol.name,
            "sha256": protocol.sha256,
            "about": protocol.about,
            "settings": protocol.settings(),
        },
        "system": system,
        "data": {**data, "objects": len(items), "sha256": digest},
        "metrics": metrics,
        "unmeasured": scorer.unmeasured,
        "objects": entries,
        "summary": summarise(entries, metrics, protocol.averaging),
    }
