"""Benchmarks: a protocol, a dataset and a pipeline, or predictions, go in; scored objects come out.

dataset -> true views -> input -> pipeline -> views -> scorer; or predictions -> views -> scorer. What is done
for each object is handed to :func:`viewfusion.evaluation.runner.run_items`.
"""

from .generation import generate, object_seed
from .meshes import comparing_meshes, find_meshes, parts
from .objects import files_digest, object_names, sources
from .predictions import check_same_objects, predicted
from .truth import Truth, read_truth
from .works import Judging, comparing, generating, results

__all__ = [
    "Judging",
    "Truth",
    "check_same_objects",
    "comparing",
    "comparing_meshes",
    "files_digest",
    "find_meshes",
    "generate",
    "generating",
    "object_names",
    "object_seed",
    "parts",
    "predicted",
    "read_truth",
    "results",
    "sources",
]
