"""What making views and objects at once saves: spins of one checkpoint, made in several ways by turns.

    python tools/measure_parallel.py data/real_images/bucket.png --views 16 --steps 3 --rounds 3 --json FILE

For each way the seconds of one object, its share of the network's calls, how many times as fast it is as
``sequential`` in the same round (medians over the rounds), and the largest difference, in steps of 8-bit
pictures, from the same schedule made one view and one object at a time. On a CPU the seconds are those the
process had, so that other work on the machine counts for little.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from speed.host import processor, wait_for

from viewfusion import ViewFusionPipeline, load_config
from viewfusion.config import changed
from viewfusion.outputs.files import write_json
from viewfusion.views import View


@dataclass(frozen=True)
class Way:
    """How spins are made."""

    schedule: str = "sequential"
    parallel_views: int = 1
    objects: int = 1


WAYS = {
    "sequential": Way(),
    "sequential, 2 views": Way(parallel_views=2),
    "paired": Way("paired"),
    "paired, 2 views": Way("paired", 2),
    "2 objects": Way(objects=2),
    "4 objects": Way(objects=4),
    "4 objects, paired, 2 views": Way("paired", 2, 4),
}

Spins = list[dict[int, View]]


class Measurement:
    """A pipeline, a photo and settings; each object is the same photo with another seed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.pipeline = ViewFusionPipeline.from_checkpoint(options.checkpoint, device=options.device)
        self.photo = self.pipeline.prepare(options.photo)
        self.config = load_config(overrides=[f"views={options.views}", *options.settings])
        if options.steps:
            self.config = changed(self.config, num_inference_steps=options.steps)
        self.calls = 0
        self.pipeline.model.unet.register_forward_pre_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.calls += 1

    def spins(self, way: Way) -> tuple[Spins, float, float]:
        """The views of each object; seconds and network calls an object."""
        configs = [changed(self.config, schedule=way.schedule, seed=seed) for seed in range(way.objects)]
        made: Spins = [{} for _ in configs]
        several = [
            self.pipeline.making(self.photo, config.trajectory(), config, parallel_views=way.parallel_views)
            for config in configs
        ]
        calls, started = self.calls, self._clock()
        for place, view in self.pipeline.iter_together(several):
            made[place][view.index] = view
        seconds = self._clock() - started
        return made, seconds / way.objects, (self.calls - calls) / way.objects

    def _clock(self) -> float:
        if self.pipeline.device.type == "cpu":
            return time.process_time()
        wait_for(self.pipeline.device)
        return time.perf_counter()


def difference(spins: Spins, alone: Spins) -> int:
    """The largest of any pixel, in steps of 8 bits, of those objects that both have."""
    pairs = [(one[n].rgb, other[n].rgb) for one, other in zip(spins, alone, strict=False) for n in other]
    return max(int(np.abs(one.astype(int) - other).max()) for one, other in pairs)


def measured(measurement: Measurement, rounds: int) -> dict[str, dict[str, float]]:
    measurement.spins(WAYS["sequential"])  # warm
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    spins: dict[str, Spins] = {}
    calls: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in WAYS.items():
            spins[name], seconds, calls[name] = measurement.spins(way)
            taken[name].append(seconds)
    return {
        name: {
            "seconds": median(taken[name]),
            "calls": calls[name],
            "times_as_fast": median(a / b for a, b in zip(taken["sequential"], taken[name], strict=True)),
            "max_difference": difference(spins[name], spins[way.schedule]),
        }
        for name, way in WAYS.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--views", type=int, default=16)
    parser.add_argument("--steps", type=int, help="default: what suits the checkpoint")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    measurement = Measurement(options)
    found = measured(measurement, options.rounds)
    about = {
        "machine": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "device": str(measurement.pipeline.device),
        "config": measurement.pipeline.settled(measurement.config).to_dict(),
    }
    if options.json:
        write_json(options.json, {**about, "rounds": options.rounds, "ways": found})
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
