"""Pictures of a field in training: a camera goes in, what it sees by volume rendering comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .rendering import render_view
from .seen import Seen

if TYPE_CHECKING:
    from .training import Training


class FieldViews:
    """Looks at a field as it is at the time from any number of cameras; see :data:`.seen.Look`."""

    def __init__(self, training: Training) -> None:
        self._training = training

    def __call__(self, camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> Seen:
        where, matrix = (torch.from_numpy(each).to(self._training.device) for each in (camera, intrinsics))
        shown = render_view(self._training.render, where, matrix, size)
        rgb, mask, normals = (shown[name].permute(1, 2, 0).numpy() for name in ("rgb", "mask", "normals"))
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        return Seen(np.clip(rgb, 0, 1), np.clip(mask[..., 0], 0, 1), normals / np.maximum(length, 1e-6))
