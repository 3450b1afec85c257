"""The long part, watched and kept: a scene and settings go in, a trained field and its losses come out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from viewfusion.outputs.files import write_json
from viewfusion.outputs.ownership import read_json

from .looking import look_at, look_of_field, psnr
from .mesh_folder import PREVIEW, MeshFolder
from .products import resized, view, write_preview
from .settings import make_recipe
from .training import Training, estimated_seconds

if TYPE_CHECKING:
    import torch

    from .fields import Field
    from .scene import Scene
    from .settings import Settings
    from .training import Progress
    from .watching import Watcher

PREVIEW_SECONDS, PREVIEW_SIDE = 20.0, 96
"""From one preview to the next, and the pixels a side of its pictures; rendering one takes up to a second."""

LOSSES = 200
"""So many times the losses are written down."""


@dataclass
class Fitting:
    """Training one field in its folder; going on where there is a checkpoint.

    Args:
        keep_seconds: between checkpoints.
        losses: of some steps, as they are written down.
    """

    scene: Scene
    settings: Settings
    place: MeshFolder
    watcher: Watcher
    device: torch.device
    title: str
    keep_seconds: float
    losses: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._recipe = make_recipe(self.settings)
        self._shown = -1

    def run(self) -> Field:
        """Train to the end.

        Raises:
            ViewFusionError: training diverged, or files cannot be written.
        """
        is_new = not self.place.checkpoint.exists()
        if is_new:
            self._ask()
        self.watcher.on_stage("preparing")
        self._training = Training(self._recipe, self.scene, self.settings.seed, self.device)
        if not is_new:
            self._training.load(self.place.checkpoint)
            self._recall()
        self.look = look_of_field(self._training)
        self.watcher.on_stage("training")
        self._told = time.monotonic()
        self._training.run(
            on_step=self._on_step, checkpoint=self.place.checkpoint, save_seconds=self.keep_seconds
        )
        self._preview()
        return self._training.field

    def record(self) -> dict[str, Any]:
        """How training went."""
        return {
            "steps": self._training.done,
            "seconds": round(self._training.seconds, 3),
            "losses": self.losses,
        }

    def _ask(self) -> None:
        """Say how long it will take; where that is not wanted, leave the folder as it was."""
        self.watcher.on_stage("estimating how long it takes")
        try:
            self.watcher.on_estimate(estimated_seconds(self._recipe, self.scene, self.device))
        except BaseException:
            self.place.abandon()
            raise

    def _on_step(self, progress: Progress) -> None:
        stride = max(1, progress.steps // LOSSES)
        if progress.done % stride == 0 or progress.done == progress.steps:
            self.losses.append({"step": progress.done, **progress.losses})
            # Before the checkpoint of this step, so that it is never behind one.
            write_json(self.place.history, {"losses": self.losses})
        self.watcher.on_step(progress)
        if time.monotonic() - self._told >= PREVIEW_SECONDS:
            self._preview()
            self._told = time.monotonic()

    def _recall(self) -> None:
        """What was written down until the checkpoint."""
        found = read_json(self.place.history).get("losses")
        self.losses = [
            each
            for each in (found if isinstance(found, list) else [])
            if isinstance(each, dict)
            and isinstance(each.get("step"), int)
            and each["step"] <= self._training.done
        ]

    def _preview(self) -> None:
        """Show the field as it is: a held-out view, or else the input."""
        done, steps = self._training.done, self._recipe.steps
        if done == self._shown:
            return
        self._shown = done
        index = (*self.scene.held_out, self.scene.input_index or 0)[0]
        seen = look_at(self.scene, self.look, index, PREVIEW_SIDE)
        wanted = resized(view(self.scene, index), seen.mask.shape[:2]).transpose(2, 0, 1)
        write_preview(
            self.place.path / PREVIEW, self.scene, index, seen, f"{self.title} step {done} of {steps}"
        )
        self.watcher.on_preview(psnr(seen.image, wanted / 255))
