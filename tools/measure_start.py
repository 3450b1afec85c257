"""How long one waits for the first view: fresh processes of ``viewfusion generate-360``, printed as JSON.

    python tools/measure_start.py
    python tools/measure_start.py --against ANOTHER_CHECKOUT --repeats 5 --photo photo.png --checkpoint FILE

``first_view`` is the time from the start of the process until it says that the first view is there, ``whole``
until it ends (two views); ``processor`` is the processor time of it all, which neighbours disturb least.
Medians over ``--repeats``; with ``--against`` both take turns and ``ratio`` says how many times as long the
other checkout takes. A first run of each, which fills the file caches, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def timed(checkout: Path, photo: Path, checkpoint: str) -> dict[str, float]:
    """Seconds of one process."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "viewfusion", "generate-360", str(photo)]
        command += ["views=2", "--checkpoint", checkpoint, "--device", "cpu", "--out", folder]
        before, first = _processor(), None
        started = time.perf_counter()
        with subprocess.Popen(
            command, env=environment, cwd=checkout, stderr=subprocess.PIPE, text=True
        ) as run:
            assert run.stderr is not None
            told = []
            for line in run.stderr:
                told.append(line)
                if line.startswith("view 1 "):
                    first = time.perf_counter() - started
        whole = time.perf_counter() - started
        if run.returncode or first is None:
            raise SystemExit(f"{' '.join(command)} failed:\n{''.join(told)}")
    return {"first_view": first, "whole": whole, "processor": _processor() - before}


def _processor() -> float:
    """Seconds that ended child processes have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(checkouts: dict[str, Path], photo: Path, checkpoint: str, repeats: int) -> dict[str, dict]:
    """Medians of each of ``checkouts``, which take turns."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    for turn in range(repeats + 1):
        for name, checkout in checkouts.items():
            took = timed(checkout, photo, checkpoint)
            if turn:
                runs[name].append(took)
    return {
        name: {key: round(statistics.median(each[key] for each in took), 3) for key in took[0]}
        for name, took in runs.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photo", type=Path, default=HERE / "data/real_images/chair.png")
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    checkouts = {"here": HERE} | ({"against": args.against.resolve()} if args.against else {})
    found = measure(checkouts, args.photo.resolve(), args.checkpoint, args.repeats)
    if args.against:
        found["ratio"] = {
            key: round(value / found["here"][key], 3) for key, value in found["against"].items()
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
