"""The objects of a dataset by name, broken ones among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from viewfusion.datasets.reading import Dataset, DatasetObject
from viewfusion.errors import ViewFusionError


def object_names(dataset: Dataset) -> list[str]:
    """Of all objects, those that are broken too: they fail, and are not dropped unseen."""
    broken = {problem.object for problem in dataset.problems if problem.object}
    return sorted(broken | {each.name for each in dataset.objects})


def sources(*datasets: Dataset) -> dict[str, str]:
    """What tells the files of each whole object from others: hex digests of their sizes and times."""
    files: dict[str, list[Path]] = {}
    for dataset in datasets:
        for each in dataset.objects:
            files.setdefault(each.name, []).extend(picture.path for picture in each.pictures)
    return {name: files_digest(paths) for name, paths in files.items()}


def files_digest(paths: Iterable[Path]) -> str:
    """Hex digest of the names, sizes and times of files."""
    stats = [(path.name, path.stat()) for path in paths]
    told = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def found(dataset: Dataset, name: str) -> DatasetObject:
    """The object called ``name``.

    Raises:
        ViewFusionError: it is broken.
    """
    for each in dataset.objects:
        if each.name == name:
            return each
    raise ViewFusionError(next(problem.what for problem in dataset.problems if problem.object == name))
