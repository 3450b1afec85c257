"""Spins of a model: one true view goes in, the folder of a run comes out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from viewfusion import Config, ViewFusionPipeline, load_config
from viewfusion.benchmark import object_seed
from viewfusion.config import changed
from viewfusion.outputs.run_folder import RunFolder
from viewfusion.preprocessing import PreparedImage
from viewfusion.views import ViewSet
from viewfusion.zero123 import checkpoint_hash, find_checkpoint

from .places import RING
from .systems import VARIANTS


@dataclass(frozen=True)
class Spinner:
    """A model under measurement; loaded on first use.

    Args:
        checkpoint: a name or a path.
    """

    checkpoint: str

    @cached_property
    def pipeline(self) -> ViewFusionPipeline:
        return ViewFusionPipeline.from_checkpoint(self.checkpoint)

    @cached_property
    def sha256(self) -> str:
        return checkpoint_hash(find_checkpoint(self.checkpoint))

    @property
    def size(self) -> int:
        """Pixels a side of what it makes."""
        return self.pipeline.model.image_size

    def config(self, views: str) -> Config:
        """Of a spin, for ``views`` of :data:`.systems.VARIANTS`; the seed is the object's."""
        overrides = [f"views={len(RING)}", f"fusion.variant={VARIANTS[views]}"]
        return self.pipeline.settled(load_config(overrides=overrides))

    def write(self, path: Path, views: str, rgba: np.ndarray, name: str) -> None:
        """Make ``path`` the folder of a spin from one true view, as ``generate-360`` leaves it.

        Args:
            rgba: (S, S, 4) uint8, the view at azimuth 0.
            name: of the object; its noise is drawn from this, whatever the views.
        """
        first = RING[0]
        config = changed(
            self.config(views),
            seed=object_seed(0, name),
            elevation_deg=first.elevation_deg,
            radius=first.radius,
        )
        fingerprint = {"config": config.to_dict(), "object": name, "checkpoint": self.sha256}
        with RunFolder.open(path, fingerprint) as folder:
            if folder.complete:
                return
            folder.write_input(rgba)
            made: ViewSet = self.pipeline(PreparedImage(rgba, "rendered"), config.trajectory(), config)
            checkpoint = {"name": Path(self.checkpoint).name, "sha256": self.sha256}
            source = {"file": name, "method": "rendered"}
            folder.finish(made, config=config.to_dict(), checkpoint=checkpoint, source=source, title=name)
