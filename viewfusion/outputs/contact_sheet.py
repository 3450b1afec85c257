"""The contact sheet: views go in, one labelled picture of all of them comes out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from viewfusion.geometry import Pose, wrap_angle

from .roles import is_input

if TYPE_CHECKING:
    from viewfusion.views import View, ViewSet

CELL = (128, 256)
"""Least and greatest side of a cell in pixels; views are resized (Lanczos) to lie between."""

MARGIN, LABEL, TITLE = 8, 24, 32
"""Pixels around cells, height of the label under each, height of the title line."""

_INK = (60, 60, 60)


def contact_sheet(views: ViewSet, title: str = "") -> Image.Image:
    """RGB picture of all views in output order, on white, in a grid about as wide as high or wider.

    Under each view stands "input" or its azimuth in (-180°, 180°]; the title line ends in the elevation
    (where views differ in it, it stands under each instead).

    Raises:
        ValueError: no views.
    """
    if not len(views):
        raise ValueError("a contact sheet needs at least one view")
    width, height = _cell_size(*views[0].image.shape[1:])
    columns = _columns(len(views))
    across, down = width + MARGIN, height + LABEL
    rows = math.ceil(len(views) / columns)
    sheet = Image.new("RGB", (columns * across + MARGIN, rows * down + TITLE + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    _write(draw, sheet.width / 2, (MARGIN + TITLE) / 2, _title(views, title), sheet.width - 2 * MARGIN, 17)
    for place, (view, label) in enumerate(zip(views, _labels(views), strict=True)):
        x, y = MARGIN + place % columns * across, MARGIN + TITLE + place // columns * down
        picture = Image.fromarray(view.rgb)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
        _write(draw, x + width / 2, y + height + LABEL / 2 - 2, label, width, 14)
    return sheet


def azimuth_label(pose: Pose) -> str:
    """For instance "+22.5°", "-45°", "+180°", "0°"."""
    degrees = round(math.degrees(wrap_angle(pose.azimuth)), 2)
    if degrees == -180:  # a rounding error past the far side
        degrees = 180.0
    return f"{degrees:+g}°" if degrees else "0°"


def _labels(views: ViewSet) -> list[str]:
    tilts = len(_elevations(views)) > 1
    return [_label(views, view) + (f", {view.pose.elevation_deg:.3g}° up" if tilts else "") for view in views]


def _label(views: ViewSet, view: View) -> str:
    azimuth = azimuth_label(view.pose)
    if not is_input(views, view):
        return azimuth
    return "input" if azimuth == "0°" else f"input {azimuth}"


def _title(views: ViewSet, title: str) -> str:
    elevations = _elevations(views)
    same = [f"elevation {elevations[0]:g}°"] if len(elevations) == 1 else []
    return ", ".join([" ".join(title.split())] * bool(title.strip()) + same)


def _elevations(views: ViewSet) -> list[float]:
    """The different elevations of a set, in degrees."""
    return sorted({round(view.pose.elevation_deg, 2) + 0.0 for view in views})


def _cell_size(height: int, width: int) -> tuple[int, int]:
    """(width, height) of a cell for pictures of that size."""
    least, greatest = CELL
    scale = max(least / min(height, width), min(1.0, greatest / max(height, width)))
    return round(width * scale), round(height * scale)


def _columns(count: int) -> int:
    """Fewest empty places first, then the squarest: 16 -> 4, 12 -> 4, 10 -> 5, 36 -> 6."""
    squarest = math.ceil(math.sqrt(count))
    return min(range(squarest, 2 * squarest + 1), key=lambda columns: (-count % columns, columns))


def _write(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, room: float, size: int) -> None:
    """``text`` centred on (x, y), cut to ``room`` pixels."""
    font = ImageFont.load_default(size)
    cut = text
    while len(cut) > 1 and draw.textlength(cut, font=font) > room:
        cut = cut[:-4] + "..."
    draw.text((x, y), cut, fill=_INK, font=font, anchor="mm")
