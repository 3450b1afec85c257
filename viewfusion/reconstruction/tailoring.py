"""Settings made to measure: settings and a scene go in, those that suit its views come out.

The presets' numbers are for true views of 256 pixels. Smaller pictures say less, and get fewer cells, about
as wide as their pixels are, and fewer steps. Generated views do not agree: what several of them deny may be
there all the same, and a smooth surface is the likeliest of those that lie between what they say. What a
person stated is taken as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from .scene import Scene
from .settings import Settings

PIXELS = 256
"""Of the longer side of the views that presets are for; larger ones get no more."""

FEWEST_PIXELS, FEWEST_CELLS = 64, 64
"""Smaller pictures get no fewer steps than these, and no finest lattice has fewer cells."""

GENERATED: dict[str, Any] = {
    "grid.tolerance": 0.2,
    "grid.seen_by": 0.25,
    "grid.mask_weight": 3.0,
    "grid.smoothness_weight": 0.5,
    "finishing.handles": False,
}
"""What is taken where some views are trusted less than others, unless something else is stated."""


def tailored(settings: Settings, scene: Scene) -> Settings:
    """``settings`` with what suits the views wherever nothing was stated."""
    if settings.recipe != "grid":
        return settings
    grid, changes = settings.grid, {}
    size = min(1.0, max(max(scene.size), FEWEST_PIXELS) / PIXELS)
    share = min(1.0, max(size, FEWEST_CELLS / grid.resolutions[-1]))
    if size < 1:
        changes = {
            "resolution": round(share * settings.resolution),
            "grid.steps": round(size * grid.steps),
            "grid.resolutions": tuple(round(share * cells) for cells in grid.resolutions),
            "grid.sharpness": tuple(share * end for end in grid.sharpness),
            "texture.size": max(64, 2 ** round(math.log2(share * settings.texture.size))),
        }
    if scene.weights.min() < scene.weights.max():
        changes |= GENERATED
    for name, value in changes.items():
        if name not in settings.stated:
            settings = _with(settings, name, value)
    return settings


def _with(settings: Any, name: str, value: Any) -> Any:
    """A copy with another value for a dotted name."""
    first, _, rest = name.partition(".")
    return replace(settings, **{first: _with(getattr(settings, first), rest, value) if rest else value})
