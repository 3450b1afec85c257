"""``evaluate``: what any system made, views or meshes, is scored against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionError

from .bench import PROCESS, Bench, Data, Scoring, opened, read_numbers

if TYPE_CHECKING:
    from viewfusion.benchmark import Judging

OURS = "benchmark"
"""The layout of views that ``benchmark`` made, which resizes them, and so does this."""


@dataclass(frozen=True)
class Predictions:
    """What somebody made.

    Args:
        layout: of views.
        resize: whether views of another size than the protocol's may be resized.
        up: the axis that points up in meshes.
    """

    folder: Path
    layout: str = "auto"
    resize: bool = False
    up: str = "auto"

    def system(self, **config: Any) -> dict[str, Any]:
        """For results, with the options that decide numbers."""
        name = self.folder.resolve().name or "predictions"
        return {"name": name, "variant": None, "checkpoint": None, "config": config or None}


@dataclass(frozen=True)
class Reference:
    """The truth.

    Args:
        folder: None where a protocol wants none.
        up: the axis that points up in meshes.
        turns: a JSON file {object: degrees} that a protocol of meshes turns by.
    """

    folder: Path | None
    up: str = "auto"
    turns: Path | None = None


def evaluate(pred: Predictions, ref: Reference, scoring: Scoring) -> None:
    """Score ``pred`` against ``ref``.

    Raises:
        ViewFusionError: bad options or data, or sets that do not match (nothing was started).
        BatchError: at the end some objects had failed.
    """
    judging = scoring.judging(ref.folder or pred.folder, pred.folder)
    if ref.folder is None and judging.protocol.task != "spin":
        raise ViewFusionError(f"{judging.protocol.name} compares with the truth; give --ref its folder")
    score = _meshes if judging.protocol.task == "mesh" else _views
    score(judging, pred, ref, scoring)


def _views(judging: Judging, pred: Predictions, ref: Reference, scoring: Scoring) -> None:
    from viewfusion.benchmark import check_same_objects, comparing, object_names

    predictions = opened(pred.folder, pred.layout, "--pred")
    references = opened(ref.folder, scoring.layout, "--ref") if ref.folder else None
    if references and ref.folder:
        ours, theirs = object_names(predictions), object_names(references)
        check_same_objects((pred.folder, ours), (ref.folder, theirs))
    data = Data.of(references or predictions, predictions)
    resize = pred.resize or predictions.layout == OURS
    system = pred.system(resize=True) if resize else pred.system()
    Bench(judging, data, scoring.out, {scoring.out: system}).run(
        lambda progress: comparing(judging, predictions, references, resize), scoring.spread, PROCESS
    )


def _meshes(judging: Judging, pred: Predictions, ref: Reference, scoring: Scoring) -> None:
    from viewfusion.benchmark import check_same_objects, comparing_meshes, files_digest, find_meshes, parts

    assert ref.folder is not None
    ours, truth = find_meshes(pred.folder, pred.up), find_meshes(ref.folder, ref.up)
    check_same_objects((pred.folder, ours.files), (ref.folder, truth.files))
    turns = read_numbers(ref.turns, "--turns", float, "degrees") if ref.turns else {}
    if unknown := sorted(turns.keys() - truth.files.keys()):
        raise ViewFusionError(
            f"{ref.turns}: {unknown[0]} is no object of {ref.folder}; write its name as it is"
        )
    files = {
        name: files_digest([*parts(ours.files[name]), *parts(path)]) for name, path in truth.files.items()
    }
    data = Data(ref.folder, "meshes", tuple(sorted(files)), files)
    system = pred.system(pred_up=pred.up, ref_up=ref.up, turns_deg=turns)
    Bench(judging, data, scoring.out, {scoring.out: system}).run(
        lambda progress: comparing_meshes(judging, ours, truth, turns), scoring.spread, PROCESS
    )
