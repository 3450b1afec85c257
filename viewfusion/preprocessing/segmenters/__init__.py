"""Segmenters: an opaque photo goes in, the alpha of its object comes out.

Each is a module with a function ``segment(rgb, hints) -> Segmentation``; this one says what they share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Hints:
    """What a person said about where the object is, in pixels of the upright photo.

    Attributes:
        mask: a picture of the photo's size, light where the object is.
        point: (x, y) on the object.
        box: (left, top, right, bottom) around it.
    """

    mask: Path | None = None
    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Where the object is.

    Attributes:
        alpha: (H, W) uint8, 255 on the object.
        method: the segmenter's name, for manifests and messages.
        confidence: 0 (a guess) to 1 (certain), by the segmenter's own light.
        remarks: whole phrases a person should see.
        background: (3,) colour of the ground where it is one colour, else None.
    """

    alpha: np.ndarray
    method: str
    confidence: float
    remarks: tuple[str, ...] = ()
    background: np.ndarray | None = None


Segmenter = Callable[[np.ndarray, Hints], Segmentation]
"""(H, W, 3) uint8 and hints to a :class:`Segmentation`; raises ViewFusionError where it cannot."""
