"""Cutting out: an RGBA photo goes in, the object alone comes out, with what a person should know about it.

Real transparency is trusted. Without it a segmenter finds the object; one that cannot says so, because a
wrong outline turns into a wrong object.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ViewFusionError
from .images import over_white
from .judgement import remarks_on
from .segmenters import Hints, plain

MIN_TRANSPARENT_SHARE = 0.02
"""Least share of see-through pixels that makes alpha a cut-out; round corners of screenshots stay below."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its background.

    Attributes:
        rgba: (H, W, 4) uint8, straight alpha, the size of the photo.
        method: where the outline is from: "alpha" (the file's own) or "plain-background" (the simple rule).
        confidence: 0 (a guess) to 1 (certain).
        warnings: whole phrases a person should see.
    """

    rgba: np.ndarray
    method: str
    confidence: float = 1.0
    warnings: tuple[str, ...] = ()


SEGMENTERS = ("auto", "plain-background")


def cut_out(rgba: np.ndarray, segmenter: str = "auto", hints: Hints | None = None) -> Cutout:
    """The object of ``rgba`` (H, W, 4) uint8: by its alpha where that is a cut-out, else off a plain ground.

    The rule for photos: the background is what is near the border's median colour and connected to the
    border, so that pale parts inside the object stay; edges get the alpha and colour that explain their mix.

    Raises:
        ViewFusionError: no transparency and the border is not plain and light, or nothing stands out from it.
    """
    if segmenter not in SEGMENTERS:
        raise ViewFusionError(f"no segmenter is called {segmenter!r}; take one of {', '.join(SEGMENTERS)}")
    if segmenter == "auto" and _is_cutout(rgba[..., 3]):
        return Cutout(rgba, "alpha", 1.0, remarks_on(rgba[..., 3]))
    found = plain.segment(over_white(rgba), hints or Hints())
    assert found.background is not None
    result = _unmixed(over_white(rgba), found.alpha, found.background)
    return Cutout(result, found.method, found.confidence, (*found.remarks, *remarks_on(result[..., 3])))


def _is_cutout(alpha: np.ndarray) -> bool:
    return bool(np.mean(alpha < 128) >= MIN_TRANSPARENT_SHARE)


def _unmixed(rgb: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8: ``rgb`` with ``alpha``, the background's share taken out of half-covered pixels."""
    out = np.dstack([rgb, alpha])
    edge = (alpha > 0) & (alpha < 255)
    share = np.maximum(alpha[edge][:, None] / 255.0, 0.1)
    out[edge, :3] = np.rint(np.clip(background + (rgb[edge] - background) / share, 0, 255))
    out[alpha == 0] = 0
    return out
