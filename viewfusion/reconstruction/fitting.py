"""The long part, watched and kept: a scene and settings go in, a trained field and its losses come out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from viewfusion.outputs.files import write_json
from viewfusion.outputs.ownership import read_json

from .looking import look_at, look_of_field, psnr
from .mesh_folder import PREVIEW, MeshFolder
from .products import resized, scores, view, write_preview
from .settings import make_recipe
from .training import Training, estimated_seconds

if TYPE_CHECKING:
    import torch

    from .fields import Field
    from .scene import Scene
    from .settings import Settings
    from .training import Progress
    from .watching import Watcher

PREVIEW_SECONDS = 20.0
"""From one preview to the next, at least."""

FEWEST_PIXELS, PREVIEW_PIXELS = 48, 96
"""On the longer side of a picture of the field: at least, and of a preview at most."""

SHARE = 0.1
"""Of the rays that were trained on: so many more may be rendered for previews, and at the end for scores. So
both cost a tenth of the training at most, and the size of what is scored does not depend on the machine."""

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
        self._rays = int(getattr(self.settings, self.settings.recipe).rays)
        self._shown, self._spent = -1, 0.0

    def run(self) -> Field:
        """Train to the end.

        Raises:
            ViewFusionError: training diverged, or files cannot be written.
        """
        is_new = not self.place.is_begun
        if is_new:
            self._ask()
        self.place.begin()
        self.watcher.on_stage("preparing")
        self._training = Training(self._recipe, self.scene, self.settings.seed, self.device)
        if not is_new:
            self._training.load(self.place.checkpoint)
            self._recall()
        self._spent = SHARE * self._rays * self._training.done
        self.look = look_of_field(self._training)
        self.watcher.on_stage("training")
        self._told = time.monotonic()
        self._training.run(
            on_step=self._on_step, checkpoint=self.place.checkpoint, save_seconds=self.keep_seconds
        )
        self._preview(max(FEWEST_PIXELS, self._affordable()))
        return self._training.field

    def score(self) -> dict[str, Any]:
        """How alike the field and the held-out views are, in pictures of a size that fits the training."""
        rays = SHARE * self._rays * self._recipe.steps / max(1, len(self.scene.held_out))
        return scores(self.scene, self.look, 0, max(FEWEST_PIXELS, self._side(rays)))

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
        if time.monotonic() - self._told >= PREVIEW_SECONDS and self._affordable() >= FEWEST_PIXELS:
            self._preview(self._affordable())
            self._told = time.monotonic()

    def _affordable(self) -> int:
        """Pixels on the longer side of a preview, after what was trained and shown so far."""
        left = SHARE * self._rays * self._training.done - self._spent
        return min(PREVIEW_PIXELS, self._side(left))

    def _side(self, rays: float) -> int:
        """The longer side of a picture of so many rays, in the shape of the views."""
        return math.floor(math.sqrt(max(0.0, rays) * max(self.scene.size) / min(self.scene.size)))

    def _recall(self) -> None:
        """What was written down until the checkpoint; what cannot have been is left out."""
        found = read_json(self.place.history).get("losses")
        for each in found if isinstance(found, list) else []:
            if not isinstance(each, dict) or not isinstance(each.get("step"), int):
                continue
            losses = {name: value for name, value in each.items() if name != "step"}
            known = all(isinstance(value, float) and math.isfinite(value) for value in losses.values())
            if known and 0 < each["step"] <= self._training.done:
                self.losses.append(each)

    def _preview(self, side: int) -> None:
        """Show the field as it is, ``side`` pixels wide or high: a held-out view, or else the input."""
        done, steps = self._training.done, self._recipe.steps
        if done == self._shown:
            return
        self._shown = done
        index = (*self.scene.held_out, self.scene.input_index or 0)[0]
        seen = look_at(self.scene, self.look, index, side)
        self._spent += seen.mask.size
        wanted = resized(view(self.scene, index), seen.mask.shape[:2]).transpose(2, 0, 1)
        write_preview(
            self.place.path / PREVIEW, self.scene, index, seen, f"{self.title} step {done} of {steps}"
        )
        self.watcher.on_preview(psnr(seen.image, wanted / 255))
