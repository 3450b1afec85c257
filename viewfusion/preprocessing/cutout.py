"""Cutting out: an RGBA photo goes in, the object alone comes out, with what a person should know about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .colours import own_colours
from .images import over_white
from .judgement import remarks_on, specks_remarks
from .pieces import without_specks
from .segmenters import NO_HINTS, Hints, Segmentation, segment


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object without its background.

    Attributes:
        rgba: (H, W, 4) uint8, straight alpha, the size of the photo.
        method: who found the outline: "alpha" (the file's own), "mask", "plain-background" (the simple rule),
            "grabcut", or a network's name.
        confidence: how sure the outline is, 0 (a guess) to 1 (somebody says so).
        warnings: whole phrases a person should see.
    """

    rgba: np.ndarray
    method: str
    confidence: float = 1.0
    warnings: tuple[str, ...] = ()


def cut_out(rgba: np.ndarray, segmenter: str = "auto", hints: Hints = NO_HINTS) -> Cutout:
    """The object of ``rgba`` (H, W, 4) uint8, edges in its own colours and not mixed with the ground's.

    Args:
        rgba: the photo.
        segmenter: who finds the object; see :func:`.segmenters.segment`.
        hints: where it is, as far as somebody says.

    Raises:
        ViewFusionError: nothing is found, everything is, or segmenter and hints do not fit the photo.
    """
    found = segment(rgba, segmenter, hints)
    if found.method == "alpha":
        return _as_it_was(rgba, found, hints)
    alpha, specks = found.alpha, tuple[str, ...]()
    if found.confidence < 1:  # what somebody drew has no specks
        alpha, count, share = without_specks(alpha)
        specks = specks_remarks(count, share)
    remarks = (*found.remarks, *specks, *remarks_on(alpha, found.confidence, hints))
    return Cutout(
        own_colours(over_white(rgba), alpha, found.background), found.method, found.confidence, remarks
    )


def _as_it_was(rgba: np.ndarray, found: Segmentation, hints: Hints) -> Cutout:
    """A file that is a cut-out already, less what hints left out of it."""
    if not np.array_equal(found.alpha, rgba[..., 3]):
        rgba = np.dstack([rgba[..., :3], found.alpha])
        rgba *= (found.alpha > 0)[..., None]
    remarks = remarks_on(rgba[..., 3], found.confidence, hints)
    return Cutout(rgba, found.method, found.confidence, remarks)
