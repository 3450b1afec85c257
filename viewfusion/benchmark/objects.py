"""The objects of a dataset by name, broken ones among them."""

from __future__ import annotations

from viewfusion.datasets.reading import Dataset, DatasetObject
from viewfusion.errors import ViewFusionError


def object_names(dataset: Dataset) -> list[str]:
    """Of all objects, those that are broken too: they fail, and are not dropped unseen."""
    broken = {problem.object for problem in dataset.problems if problem.object}
    return sorted(broken | {each.name for each in dataset.objects})


def found(dataset: Dataset, name: str) -> DatasetObject:
    """The object called ``name``.

    Raises:
        ViewFusionError: it is broken.
    """
    for each in dataset.objects:
        if each.name == name:
            return each
    raise ViewFusionError(next(problem.what for problem in dataset.problems if problem.object == name))
