"""Which views of a set were given and which were made: a ViewSet goes in, a choice of its views comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viewfusion.geometry import wrap_angle

if TYPE_CHECKING:
    import numpy as np

    from viewfusion.views import View, ViewSet


def is_input(views: ViewSet, view: View) -> bool:
    """Made views have latents; where none has (another system's views), the first one is the input."""
    if any(each.latents is not None for each in views):
        return view.latents is None
    return view is views[0]


def turntable_frames(views: ViewSet) -> list[np.ndarray]:
    """(H, W, 3) uint8 frames in the order to play them: that of the output, or where all views stand at one
    azimuth from the lowest to the highest. Of the inputs only the first: others stand outside the turn."""
    shown = [view for place, view in enumerate(views) if place == 0 or not is_input(views, view)]
    if all(abs(wrap_angle(view.pose.azimuth - shown[0].pose.azimuth)) < 1e-6 for view in shown):
        shown.sort(key=lambda view: view.pose.elevation)
    return [view.rgb for view in shown]
