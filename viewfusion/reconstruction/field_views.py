"""Pictures of a trained field: a field and a camera go in, what it sees by volume rendering comes out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from .rendering import render_view
from .seen import Seen

if TYPE_CHECKING:
    from .fields import Field
    from .training import Recipe


class FieldViews:
    """Looks at one field from any number of cameras; see :data:`.seen.Look`."""

    def __init__(self, field: Field, recipe: Recipe, device: torch.device) -> None:
        self._rendering, self._device = partial(recipe.render, field), device

    def __call__(self, camera: np.ndarray, intrinsics: np.ndarray, size: tuple[int, int]) -> Seen:
        where = [torch.from_numpy(np.asarray(each)).to(self._device) for each in (camera, intrinsics)]
        shown = render_view(self._rendering, where[0], where[1], size)
        rgb, mask, normals = (
            shown[name].permute(1, 2, 0).numpy().astype(np.float32) for name in ("rgb", "mask", "normals")
        )
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        return Seen(
            np.clip(rgb, 0, 1), np.clip(mask[..., 0], 0, 1), normals / np.maximum(length, 1e-6)
        )
