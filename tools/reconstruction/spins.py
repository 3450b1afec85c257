"""Spins of a model: one true view goes in, a folder of views comes out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from viewfusion import Config, ViewFusionPipeline, load_config
from viewfusion.benchmark import object_seed
from viewfusion.config import changed
from viewfusion.datasets import Cameras, write_layout
from viewfusion.preprocessing import PreparedImage
from viewfusion.views import ViewSet

from .places import RING
from .systems import VARIANTS


@dataclass(frozen=True)
class Spinner:
    """A model under measurement; loaded on first use.

    Args:
        checkpoint: a path.
    """

    checkpoint: str

    @cached_property
    def pipeline(self) -> ViewFusionPipeline:
        return ViewFusionPipeline.from_checkpoint(self.checkpoint)

    @property
    def size(self) -> int:
        """Pixels a side of what it makes."""
        return self.pipeline.model.image_size

    def config(self, views: str) -> Config:
        """Of a spin, for ``views`` of :data:`.systems.VARIANTS`; the seed is the object's."""
        overrides = [f"views={len(RING)}", f"fusion.variant={VARIANTS[views]}"]
        return self.pipeline.settled(load_config(overrides=overrides))

    def write(self, path: Path, views: str, rgba: np.ndarray, name: str) -> dict[str, Any]:
        """Make the folder ``path`` of a spin from one true view; what was made of what.

        Args:
            rgba: (S, S, 4) uint8, the view at azimuth 0.
            name: of the object; its noise is drawn from this, whatever the views.
        """
        seed, first = object_seed(0, name), RING[0]
        config = changed(
            self.config(views), seed=seed, elevation_deg=first.elevation_deg, radius=first.radius
        )
        made: ViewSet = self.pipeline(PreparedImage(rgba, "rendered"), config.trajectory(), config)
        record = {"schema": 1, "object": {"name": name}, "options": {"views": views, "seed": seed}}
        write_layout(path, "viewfusion", [view.rgb for view in made], Cameras(RING, self.size), record)
        return record
