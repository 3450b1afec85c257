"""Elevations left open: a photo goes in, what is wanted of it at the elevation that was estimated comes out.

An estimate is kept in ``elevation.json`` of the run's folder, so that a run that is continued needs no other
one and, should this machine round differently by then, still makes the views it began with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.outputs.ownership import read_json

from .wanted import Wanted

if TYPE_CHECKING:
    from PIL import Image

    from viewfusion.preprocessing.elevation import ElevationEstimate

REPORT = "elevation.json"


def settled(
    wanted: Wanted,
    of: dict[str, Any],
    folder: Path,
    known: dict[str, ElevationEstimate],
    estimate: Callable[[], ElevationEstimate],
) -> Wanted:
    """``wanted`` at the photo's elevation, where that was left open.

    Args:
        of: photo and network, which decide the estimate with what ``wanted`` says of the photo's camera.
        folder: of the run, which may have been begun before.
        known: estimates made so far, by what decided them; what is found is added.
        estimate: asked where none is known.
    """
    if wanted.at_elevation is None:
        return wanted
    of = {**of, "fallback_deg": wanted.config.elevation_deg, "radius": wanted.config.radius}
    key = json.dumps(of, sort_keys=True)
    known[key] = known.get(key) or _kept(folder, of) or estimate()
    return replace(
        wanted.at_elevation(known[key].elevation_deg), estimate=known[key], estimate_of=of, at_elevation=None
    )


def report(wanted: Wanted) -> tuple[dict[str, Any], Image.Image] | None:
    """The files about an estimate: content of :data:`REPORT` and the picture; None where none was made."""
    from viewfusion.preprocessing.elevation import curve_picture

    if wanted.estimate is None:
        return None
    content = {"of": wanted.estimate_of, "estimate": wanted.estimate.to_dict()}
    return content, curve_picture(wanted.estimate)


def _kept(folder: Path, of: dict[str, Any]) -> ElevationEstimate | None:
    """The estimate that an earlier run left in ``folder``, if it was made of the same."""
    from viewfusion.preprocessing.elevation import ElevationEstimate

    try:
        content = read_json(folder / REPORT)
        return ElevationEstimate.from_dict(content["estimate"]) if content.get("of") == of else None
    except (OSError, KeyError, TypeError, ValueError, AttributeError):  # edited, or cut short
        return None
