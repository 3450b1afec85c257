"""From any checkpoint to a folder of ours or of diffusers, a weight at a time.

Enters: an :class:`OpenCheckpoint`. Leaves: a folder that is complete or not there.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .checkpoints import OpenCheckpoint
from .diffusers_folders import write_diffusers
from .folders import write_folder
from .safetensors_files import OnBytes

WRITERS = {"viewfusion": write_folder, "diffusers": write_diffusers}
DTYPES = {"fp16": torch.float16, "fp32": torch.float32}


def convert_checkpoint(
    opened: OpenCheckpoint,
    folder: str | os.PathLike[str],
    to: str = "viewfusion",
    dtype: str = "fp16",
    max_shard_size: int | str = "5GB",
    on_bytes: OnBytes | None = None,
) -> Path:
    """Write ``opened`` as ``folder`` and return it; memory stays near that of the largest weight.

    Args:
        folder: made if need be; must be absent or empty.
        to: "viewfusion" (config.json and safetensors) or "diffusers" (a pipeline folder).
        dtype: of the stored weights, "fp16" or "fp32".
        max_shard_size: of one weight file.

    Raises:
        ViewFusionError: the weights do not fit their config or the dtype, or the folder cannot be written.
    """
    for option, value, choices in (("--to", to, WRITERS), ("--dtype", dtype, DTYPES)):
        if value not in choices:
            raise ViewFusionError(f"{option} must be one of {', '.join(choices)}, got {shown([value])}")
    write = WRITERS[to]
    return write(opened.config, opened.weights, folder, DTYPES[dtype], max_shard_size, on_bytes)


def stored_bytes(opened: OpenCheckpoint, dtype: str) -> int:
    """How many bytes of weights :func:`convert_checkpoint` writes."""
    numbers = sum(map(math.prod, opened.weights.shapes.values()))
    return numbers * DTYPES[dtype].itemsize if dtype in DTYPES else 0
