"""Datasets as others publish them: a folder goes in, objects with their pictures and poses come out."""

from __future__ import annotations

from .opening import READERS, open_dataset
from .pictures import read_rgba
from .records import Dataset, DatasetObject, Picture, Problem, Reader

__all__ = [
    "READERS",
    "Dataset",
    "DatasetObject",
    "Picture",
    "Problem",
    "Reader",
    "open_dataset",
    "read_rgba",
]
