"""What loading a checkpoint costs in memory: one load in a fresh process, printed as JSON.

    python tools/measure_load.py CHECKPOINT
    python tools/measure_load.py CHECKPOINT --dtype fp16 --family zero123 --cold

All bytes are above those of the interpreter with every library imported. ``peak_bytes`` is the highest
resident set (VmHWM). It has two kinds of pages, whose own peaks are sampled every 5 ms: ``peak_file_bytes``
are pages of the mapped checkpoint, which the system may take back under pressure and read again;
``peak_anonymous_bytes`` are the process's own. ``disk_bytes`` says what was truly read with ``--cold``, which
drops the file from the page cache first. Without ``--family`` a file of a published size is hashed, so that
all of it is read. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import diffusers.loaders.single_file_utils  # noqa: F401 (imports are no part of the measurement)
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
from transformers import CLIPVisionModelWithProjection  # noqa: F401

from viewfusion.geometry import FAMILIES, Family
from viewfusion.zero123 import find_checkpoint, load_zero123

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
KINDS = {"VmHWM": "peak", "RssAnon": "peak_anonymous", "RssFile": "peak_file"}


def memory() -> dict[str, int]:
    """Bytes of this process by the names of /proc/self/status."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0][:-1]: int(words[1]) * 1024 for words in lines if words[-1] == "kB"}


class Peaks(threading.Thread):
    """The highest values that :func:`memory` had while the block ran."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.values: dict[str, int] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.005):
            self.look()

    def look(self) -> None:
        now = memory()
        self.values = {name: max(now[name], self.values.get(name, 0)) for name in KINDS}

    def __enter__(self) -> Peaks:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()
        self.look()


def drop_from_page_cache(checkpoint: Path) -> None:
    """So that reading is reading; pages that other processes have mapped stay."""
    files = [checkpoint] if checkpoint.is_file() else sorted(checkpoint.rglob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["read_bytes"])


def measure(
    checkpoint: Path,
    config: Path | None,
    dtype: torch.dtype,
    cold: bool,
    family: Family | None = None,
) -> dict[str, Any]:
    if cold:
        drop_from_page_cache(checkpoint)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    before, read, faults = memory(), disk_bytes(), resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    with Peaks() as peaks:
        model = load_zero123(checkpoint, config, dtype=dtype, family=family)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    weights = sum(value.nbytes for value in model.state_dict().values())
    baseline = {"VmHWM": before["VmRSS"], "RssAnon": before["RssAnon"], "RssFile": before["RssFile"]}
    above = {f"{kind}_bytes": peaks.values[name] - baseline[name] for name, kind in KINDS.items()}
    return {
        "checkpoint": checkpoint.name,
        "file_bytes": sum(
            file.stat().st_size for file in [checkpoint, *checkpoint.rglob("*")] if file.is_file()
        ),
        "loaded_as": str(dtype)[6:],
        "weights_bytes": weights,
        "baseline_bytes": before["VmRSS"],
        **above,
        "peak_over_weights": round(above["peak_bytes"] / weights, 3),
        "disk_bytes": disk_bytes() - read if cold else None,
        "major_faults": after.ru_majflt - faults.ru_majflt,
        "minor_faults": after.ru_minflt - faults.ru_minflt,
        "seconds": round(seconds, 2),
        "torch": torch.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--config", type=Path, help="the model YAML beside a .ckpt of another size")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32", help="of the weights in memory")
    parser.add_argument("--cold", action="store_true", help="drop the file from the page cache first")
    parser.add_argument("--family", choices=FAMILIES, help="where the file does not say it")
    args = parser.parse_args()
    path = find_checkpoint(args.checkpoint)
    result = measure(path, args.config, DTYPES[args.dtype], args.cold, args.family)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
