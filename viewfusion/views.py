"""Finished views: what a run leaves, and what outputs, evaluation and reconstruction take.

A :class:`ViewSet` is a plain container; views of any other system fit into it as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from viewfusion.geometry import FOV, Pose

OUTPUT_TYPES = ("views", "pil", "np", "pt", "latent")
"""What :meth:`ViewSet.as_type` gives: itself; PIL images; (V, H, W, 3) or (V, 3, H, W) floats in [0, 1], as
diffusers has them; or the scaled latents (T, 4, h, w) of the views that were made."""


@dataclass(frozen=True)
class ViewRecord:
    """How a view was made.

    Args:
        references: indices of the views it was denoised from.
        weights: theirs, summing to 1; where each step draws one of them, the odds.
        solver_steps: steps run.
        network_evaluations: rows sent through the UNet: N + 1 a step with guidance, N without; variants
            take others.
        seconds: wall time of the sampling, by rows its share where others were sampled at once; decoding and
            encoding come on top.
        light_evaluations: of these rows, those for which the UNet's top level alone ran.
    """

    references: tuple[int, ...]
    weights: tuple[float, ...]
    solver_steps: int
    network_evaluations: int
    seconds: float
    light_evaluations: int = 0


@dataclass(frozen=True)
class View:
    """One picture and where its camera stood.

    Args:
        index: its place in the set.
        pose: the camera's; azimuth 0 is the input view.
        image: (3, H, W) float32 on the CPU in [-1, 1], white background.
        latents: (4, h, w) scaled latents it was decoded from; None for inputs and foreign views.
        record: None for inputs and foreign views.
    """

    index: int
    pose: Pose
    image: torch.Tensor
    latents: torch.Tensor | None = None
    record: ViewRecord | None = None

    @property
    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8, rounded to the nearest level."""
        levels = (self.image.clamp(-1, 1) + 1) * 127.5
        return levels.round().byte().permute(1, 2, 0).numpy()


@dataclass(frozen=True)
class ViewSet(Sequence[View]):
    """Views in output order (azimuth order for a ring), the inputs first, all seen with one ``fov``."""

    views: tuple[View, ...]
    fov: float = field(default=FOV)

    def __post_init__(self) -> None:
        sizes = {tuple(view.image.shape) for view in self.views}
        if len(sizes) > 1:
            raise ValueError(f"views of one set must have one size, got {sorted(sizes)}")

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index):
        return self.views[index]

    def __iter__(self) -> Iterator[View]:
        return iter(self.views)

    @property
    def images(self) -> torch.Tensor:
        """(V, 3, H, W) float32 in [-1, 1]."""
        return torch.stack([view.image for view in self.views])

    def as_type(self, output_type: str) -> Any:
        """The views as one of :data:`OUTPUT_TYPES`."""
        if output_type == "views":
            return self
        if output_type == "pil":
            from PIL import Image

            return [Image.fromarray(view.rgb) for view in self]
        if output_type == "latent":
            return torch.stack([view.latents for view in self if view.latents is not None])
        images = (self.images.clamp(-1, 1) + 1) / 2
        return images if output_type == "pt" else images.permute(0, 2, 3, 1).numpy()
