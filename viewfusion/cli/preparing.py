"""How photos are prepared: options as typed go in, checked ones and what is told of a result come out."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.preprocessing import FRAME_FRACTION, FRAMINGS, SEGMENTERS, Hints, Preparation, photo_hash
from viewfusion.preprocessing.segmenters import known_segmenter
from viewfusion.preprocessing.segmenters.weights import file_bytes

if TYPE_CHECKING:
    from PIL import Image

    from viewfusion.preprocessing import PreparedImage, Steps


def read_preparation(
    photos: list[Path],
    segmenter: str,
    mask: Path | None,
    point: str | None,
    box: str | None,
    fraction: float | None,
    framing: str,
) -> Preparation:
    """What the options of a command say about its ``photos``.

    Args:
        point: "X,Y"; box: "LEFT,TOP,RIGHT,BOTTOM", in pixels of the upright photo.
        fraction: None for the usual one.

    Raises:
        ViewFusionError: an option makes no sense, or says of one photo what is said of several.
    """
    hints = Hints(mask, _point(point), _box(box))
    if hints != Hints() and len(photos) > 1:
        raise ViewFusionError(
            f"--mask, --point and --box are about one photo, got {len(photos)}; run them one by one"
        )
    fraction = FRAME_FRACTION if fraction is None else fraction
    if not 0 < fraction <= 1:
        raise ViewFusionError(f"--frame-fraction must be more than 0 and at most 1, got {fraction:g}")
    if framing not in FRAMINGS:
        meant = did_you_mean(framing, FRAMINGS)
        raise ViewFusionError(f"--framing must be one of {', '.join(FRAMINGS)}, got {framing!r}{meant}")
    known_segmenter(segmenter)
    return Preparation(segmenter, hints, fraction, framing)


def preparation_json(how: Preparation) -> dict[str, Any]:
    """For manifests and records: all of it, files by their names and hashes."""
    mask = how.hints.mask
    return {
        "segmenter": _segmenter_json(how.segmenter),
        "mask": None if mask is None else {"file": mask.name, "sha256": photo_hash(mask)},
        "point": _listed(how.hints.point),
        "box": _listed(how.hints.box),
        "frame_fraction": how.fraction,
        "framing": how.framing,
    }


def _segmenter_json(name: str) -> str | dict[str, str]:
    """Its full name; of a file of one's own, such as networks lie in, what tells it from another."""
    name = known_segmenter(name)
    if name in SEGMENTERS:
        return name
    path = Path(name)
    return {"file": path.name, "sha256": hashlib.sha256(file_bytes(path)).hexdigest()}


def result_json(prepared: PreparedImage) -> dict[str, Any]:
    """For manifests and records: what became of a photo, in words."""
    return {
        "method": prepared.method,
        "confidence": round(float(prepared.confidence), 3),
        "warnings": list(prepared.warnings),
    }


def draw_preview(name: str, steps: Steps) -> Image.Image:
    """The photo, its outline, what the model sees, and what to know about them."""
    from viewfusion.outputs import preview

    prepared, size = steps.prepared, len(steps.prepared.rgba)
    left, top, right, bottom = steps.box
    height, width = steps.cutout.shape[:2]
    facts = [
        f"cut out by {prepared.method}, {prepared.confidence:.0%} sure",
        f"the object is {right - left} x {bottom - top} pixels of the photo",
    ]
    return preview(
        steps.photo,
        steps.alpha,
        prepared.rgba,
        title=name,
        labels=(f"photo, {width} x {height}", "outline", f"what the model sees, {size} x {size}"),
        facts=facts,
        warnings=prepared.warnings,
    )


def _listed(numbers: tuple[float, ...] | None) -> list[float] | None:
    return None if numbers is None else list(numbers)


def _point(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    x, y = _numbers(text, 2, "--point must be X,Y in pixels of the photo")
    return x, y


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    wanted = "--box must be LEFT,TOP,RIGHT,BOTTOM in pixels of the photo"
    left, top, right, bottom = _numbers(text, 4, wanted)
    if not (left < right and top < bottom):
        raise ViewFusionError(f"{wanted}, left and top first, got {text!r}")
    return left, top, right, bottom


def _numbers(text: str, count: int, wanted: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ViewFusionError(f"{wanted}, got {text[:80]!r}")
    return numbers
