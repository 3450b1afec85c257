"""Measuring what settings cost and give: an object goes in, ``STATE/NAME.json`` comes out.

All settings take turns on an object, so that neighbours on the machine disturb them alike; where they begin
differs from object to object. A file appears by a rename: what is there is whole and never made again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from viewfusion import Config, ViewFusionError, ViewFusionPipeline, load_config
from viewfusion.benchmark import Truth, object_seed, read_truth
from viewfusion.config import changed
from viewfusion.datasets.reading import DatasetObject
from viewfusion.evaluation.measures import Turn
from viewfusion.evaluation.metrics import Lpips, load_lpips, psnr
from viewfusion.evaluation.protocols import Protocol, load_protocol
from viewfusion.outputs.files import write_json
from viewfusion.preprocessing import PreparedImage

from .front_settings import Comparison, Setting
from .scores import MOST_DB, Taps

_WARM = Setting("", "", {"num_inference_steps": 2})


@dataclass(frozen=True)
class Front:
    """A measurement under way; travels to other processes.

    Args:
        state: where results lie.
        checkpoint: a path.
        comparison: what is compared.
    """

    state: Path
    checkpoint: str
    comparison: Comparison

    @cached_property
    def pipeline(self) -> ViewFusionPipeline:
        return ViewFusionPipeline.from_checkpoint(self.checkpoint)

    @cached_property
    def suits(self) -> Config:
        """What the settings start from."""
        return self.pipeline.settled(load_config(overrides=[f"views={self.comparison.views}"]))

    @cached_property
    def protocol(self) -> Protocol:
        return replace(load_protocol(), views=self.comparison.views)

    @cached_property
    def lpips(self) -> Lpips:
        return load_lpips("vgg")

    def missing(self, each: DatasetObject) -> bool:
        return not (self.state / f"{each.name}.json").exists()

    def measure(self, each: DatasetObject) -> str:
        """Make and score every setting of one object; a line about it.

        Raises:
            ViewFusionError: it has not as many views, or weights of a metric are not here.
        """
        started, truth = time.perf_counter(), self.truth(each)
        names = list(self.comparison.settings)
        first = sum(map(ord, each.name)) % len(names)
        self._made(_WARM, truth, each.name)
        turns, entries = {}, {}
        for name in names[first:] + names[:first]:
            pixels, entries[name] = self._made(self.comparison.settings[name], truth, each.name)
            turns[name] = truth.turn(pixels, self.protocol.size)
        scores = self._scores(turns)
        content = {name: {**entries[name], **scores[name]} for name in names}
        write_json(self.state / f"{each.name}.json", {"name": each.name, **content})
        return f"{each.name}: {time.perf_counter() - started:.0f} s"

    def truth(self, each: DatasetObject) -> Truth:
        """Of every so many-th picture."""
        views, count = self.comparison.views, len(each.pictures)
        stride, left = divmod(count, views)
        if left or not stride:
            raise ViewFusionError(f"{each.name}: a ring of {views} is not among its {count} views")
        return read_truth(self.protocol, replace(each, pictures=each.pictures[::stride]), {})

    def _made(self, setting: Setting, truth: Truth, name: str) -> tuple[list[np.ndarray], dict[str, Any]]:
        """(S, S, 3) uint8 for each place, and what they cost."""
        source, size = truth.poses[truth.input], self.pipeline.model.image_size
        rgba = Image.fromarray(truth.input_rgba).resize((size, size), Image.Resampling.BICUBIC)
        config = changed(
            setting.config(self.suits),
            seed=object_seed(0, name),
            elevation_deg=source.elevation_deg,
            radius=source.radius,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        made = self.pipeline.iter_views(PreparedImage(np.asarray(rgba), "given"), config.trajectory(), config)
        views = {view.index: view for view in made}
        records = [view.record for view in views.values() if view.record]
        cost = {
            "seconds": round(time.perf_counter() - wall, 4),
            "cpu_seconds": round(time.process_time() - cpu, 4),
            "evaluations": sum(record.network_evaluations for record in records),
            "light_evaluations": sum(record.light_evaluations for record in records),
        }
        return [views[place].rgb for place in sorted(views)], cost

    @torch.inference_mode()
    def _scores(self, turns: Mapping[str, Turn]) -> dict[str, dict[str, float]]:
        """Means over the views of each turn, but the input; each picture is looked at once."""
        base, values = turns[self.comparison.base], {}
        places = list(base.scored)

        def targets(taps: Taps) -> Taps:
            return [each[places] for each in taps]

        assert base.truth is not None
        true, based = (targets(self.lpips.features(each)) for each in (base.truth, base.ours))
        for name, turn in turns.items():
            taps = self.lpips.features(turn.ours)
            following = [each.roll(-1, 0) for each in taps]
            values[name] = {
                "psnr": psnr(*turn.pairs).clamp(max=MOST_DB),
                "lpips_vgg": self.lpips.between(targets(taps), true),
                "adjacent_lpips_vgg": self.lpips.between(taps, following),
                "psnr_to_base": psnr(turn.pairs[0], base.pairs[0]).clamp(max=MOST_DB),
                "lpips_vgg_to_base": self.lpips.between(targets(taps), based),
            }
        return {name: {key: _mean(each) for key, each in mine.items()} for name, mine in values.items()}


def _mean(values: torch.Tensor) -> float:
    return round(float(values.mean()), 6)
