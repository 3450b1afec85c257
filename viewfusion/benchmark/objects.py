"""The objects of a dataset by name, broken ones among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from viewfusion.datasets.reading import Dataset, DatasetObject
from viewfusion.errors import ViewFusionError


def object_names(dataset: Dataset) -> list[str]:
    """Of all objects, those that are broken too: they fail, and are not dropped unseen."""
    broken = {problem.object for problem in dataset.problems if problem.object}
    return sorted(broken | {each.name for each in dataset.objects})


def sources(*datasets: Dataset) -> dict[str, str]:
    """What tells each whole object from others: hex digests of its pictures and of how they were taken.

    Of contents alone, so that a copy of the data is the same data.
    """
    told: dict[str, list[str]] = {}
    for dataset in datasets:
        for each in dataset.objects:
            cameras = [(picture.pose, picture.box) for picture in each.pictures]
            paths = dict.fromkeys(picture.path for picture in each.pictures)  # a strip holds many
            parts = [repr((cameras, each.fov, each.input_index)), files_digest(paths)]
            told.setdefault(each.name, []).extend(parts)
    return {name: hashlib.sha256("\n".join(parts).encode()).hexdigest() for name, parts in told.items()}


def files_digest(paths: Iterable[Path]) -> str:
    """Hex digest of the names and contents of files; one that cannot be read counts as empty."""
    told = []
    for path in paths:
        digest = hashlib.sha256()
        with suppress(OSError), path.open("rb") as file:  # whoever needs it says why it cannot be read
            while content := file.read(2**20):
                digest.update(content)
        told.append((path.name, digest.hexdigest()))
    return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()


def found(dataset: Dataset, name: str) -> DatasetObject:
    """The object called ``name``.

    Raises:
        ViewFusionError: it is broken.
    """
    for each in dataset.objects:
        if each.name == name:
            return each
    raise ViewFusionError(next(problem.what for problem in dataset.problems if problem.object == name))
