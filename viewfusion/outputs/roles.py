"""Which views of a set were given and which were made: a ViewSet goes in, a choice of its views comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from viewfusion.views import View, ViewSet


def is_input(views: ViewSet, view: View) -> bool:
    """Made views have latents; where none has (another system's views), the first one is the input."""
    if any(each.latents is not None for each in views):
        return view.latents is None
    return view is views[0]


def turntable_frames(views: ViewSet) -> list[np.ndarray]:
    """(H, W, 3) uint8 frames in output order; of the inputs only the first: others stand outside the turn."""
    return [view.rgb for place, view in enumerate(views) if place == 0 or not is_input(views, view)]
