"""The long part, watched and kept: a scene and settings go in, a trained field and its losses come out.

Steps depend on the seed and their numbers alone, so a call that goes on from a checkpoint ends with the same
field as one that was never interrupted, whenever checkpoints are kept.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from viewfusion.outputs.files import write_json
from viewfusion.outputs.ownership import read_json

from .field_views import FieldViews
from .mesh_folder import PREVIEW, MeshFolder
from .products import look_at, resized, view, write_preview
from .seen import psnr
from .training import Training

if TYPE_CHECKING:
    from .scene import Scene
    from .settings import Settings
    from .training import Recipe
    from .watching import Watcher

KEEP_SECONDS = 20.0
"""Between checkpoints, and so the most that is lost where a call is killed."""

_KEEP_SHARE = 0.05
"""Of the time that writing checkpoints may take, where they are large."""

PREVIEW_SECONDS, PREVIEW_SIDE = 15.0, 96

LOSSES = 200
"""So many times the losses are written down."""


@dataclass
class Fitting:
    """Training one field in its folder.

    Args:
        keep_seconds: between checkpoints.
        losses: written down so far.
        seconds: that training has taken, earlier calls included.
    """

    scene: Scene
    settings: Settings
    place: MeshFolder
    watcher: Watcher
    device: torch.device
    title: str = ""
    keep_seconds: float = KEEP_SECONDS
    losses: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0

    def run(self) -> FieldViews:
        """Train to the end, from the checkpoint where there is one; the field, to be looked at.

        Raises:
            ViewFusionError: training diverged, or files cannot be written.
        """
        recipe = self.settings.recipe()
        if not self.place.checkpoint.exists():
            try:
                self.watcher.on_estimate(self._estimate(recipe))
            except BaseException:
                self.place.abandon()
                raise
        self.watcher.on_stage("training")
        training = self._training(recipe)
        if self.place.checkpoint.exists():
            training.load(self.place.checkpoint)
            self._recall(training.step)
        look = FieldViews(lambda: training.field, recipe, self.device)
        begun, told = time.monotonic() - self.seconds, time.monotonic()
        kept, pause, told_step = time.monotonic(), self.keep_seconds, -1
        while training.step < recipe.steps:
            training.run(until=training.step + 1, on_step=lambda step, losses: self._note(step, recipe.steps, losses))
            now = time.monotonic()
            self.seconds = now - begun
            if now - told >= PREVIEW_SECONDS:
                self._preview(look, training.step, recipe.steps)
                told = told_step = time.monotonic(), training.step
            if now - kept >= pause or training.step == recipe.steps:
                write_json(self.place.history, {"seconds": self.seconds, "losses": self.losses})
                training.save(self.place.checkpoint)
                kept = time.monotonic()
                pause = max(self.keep_seconds, (kept - now) / _KEEP_SHARE)
        self._preview(look, training.step, recipe.steps)
        return look
