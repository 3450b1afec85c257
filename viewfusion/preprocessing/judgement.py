"""Judgement: an alpha goes in, what makes its object a doubtful input comes out, in words."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ViewFusionError
from .pieces import components, reduced

LARGE_PIECE_SHARE = 0.05
"""From this share of the largest piece on a second piece is taken for another object."""

TOUCH_SHARE = 0.05
"""From this share of a side on, an object at the border may have been cut off there."""

SMALL_SIDE = 64
"""Objects of fewer pixels than this along their longest side come out visibly soft."""


def remarks_on(alpha: np.ndarray) -> tuple[str, ...]:
    """What makes the object with this alpha (H, W) uint8 a doubtful input."""
    peak = int(alpha.max(initial=0))
    if peak == 0:
        raise ViewFusionError("the image is fully transparent: there is no object in it")
    solid = alpha >= max(1, peak // 2)
    remarks: list[str] = []
    edges = {"top": solid[0], "bottom": solid[-1], "left": solid[:, 0], "right": solid[:, -1]}
    touched = [side for side, pixels in edges.items() if pixels.mean() >= TOUCH_SHARE]
    if touched:
        remarks.append(f"the object touches the {' and '.join(touched)} border: is it cut off?")
    pieces = components(reduced(solid.astype(np.uint8) * 255, Image.Resampling.BOX) >= 128)
    areas = np.bincount(pieces.ravel())[1:]
    large = int((areas >= max(1, LARGE_PIECE_SHARE * areas.max(initial=0))).sum())
    if large > 1:
        remarks.append(f"{large} separate pieces: the model expects one object")
    longest = max(int(np.ptp(np.flatnonzero(solid.any(axis=axis)))) + 1 for axis in (0, 1))
    if longest < SMALL_SIDE:
        remarks.append(f"the object is only {longest} pixels long: the result will be soft")
    return tuple(remarks)
