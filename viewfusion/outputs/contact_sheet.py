"""Contact sheets: views go in, one labelled picture of all of them comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from viewfusion.geometry import Pose, wrap_angle

from .roles import is_input

if TYPE_CHECKING:
    from viewfusion.views import ViewSet

CELL = (128, 256)
"""Least and greatest side of a cell in pixels; views are resized (Lanczos) to lie between."""

MARGIN, LABEL, TITLE, ROW_LABEL = 8, 24, 32, 72
"""Pixels around cells, height of the label under each, of the title line, width of a word before a row."""

INK = (60, 60, 60)


def contact_sheet(views: ViewSet, title: str = "") -> Image.Image:
    """RGB picture of all views in output order, on white, in a grid about as wide as high or wider.

    Under each view stands "input" or its azimuth in (-180°, 180°]; the title line ends in the elevation
    (where views differ in it, it stands under each instead).

    Raises:
        ValueError: no views.
    """
    if not len(views):
        raise ValueError("a contact sheet needs at least one view")
    pictures = [view.rgb for view in views]
    poses = [view.pose for view in views]
    labels = pose_labels(poses, [is_input(views, view) for view in views])
    return labelled_grid(pictures, labels, _columns(len(views)), _title(poses, title))


def labelled_grid(
    pictures: Sequence[np.ndarray], labels: Sequence[str], columns: int, title: str, rows: Sequence[str] = ()
) -> Image.Image:
    """RGB picture of ``pictures`` (H, W, 3) uint8 row by row, a label under each and a title above all.

    Args:
        rows: a word to the left of each row; none where empty.
    """
    width, height = _cell_size(*pictures[0].shape[:2])
    across, down = width + MARGIN, height + LABEL
    left, count = MARGIN + (ROW_LABEL if rows else 0), math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (left + columns * across, count * down + TITLE + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    write_centred(draw, sheet.width / 2, (MARGIN + TITLE) / 2, title, sheet.width - 2 * MARGIN, 17)
    for row, word in enumerate(rows):
        write_centred(draw, left / 2, MARGIN + TITLE + row * down + height / 2, word, ROW_LABEL, 14)
    for place, (pixels, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = left + place % columns * across, MARGIN + TITLE + place // columns * down
        picture = Image.fromarray(pixels)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
        write_centred(draw, x + width / 2, y + height + LABEL / 2 - 2, label, width, 14)
    return sheet


def azimuth_label(pose: Pose) -> str:
    """For instance "+22.5°", "-45°", "+180°", "0°"."""
    degrees = round(math.degrees(wrap_angle(pose.azimuth)), 2)
    if degrees == -180:  # a rounding error past the far side
        degrees = 180.0
    return f"{degrees:+g}°" if degrees else "0°"


def pose_labels(poses: Sequence[Pose], given: Sequence[bool]) -> list[str]:
    """A label for each view of a set, with its elevation where they differ in it; ``given`` marks inputs."""
    tilts = len(_elevations(poses)) > 1
    labels = []
    for pose, is_given in zip(poses, given, strict=True):
        azimuth = azimuth_label(pose)
        label = azimuth if not is_given else "input" if azimuth == "0°" else f"input {azimuth}"
        labels.append(label + (f", {pose.elevation_deg:.3g}° up" if tilts else ""))
    return labels


def _title(poses: Sequence[Pose], title: str) -> str:
    elevations = _elevations(poses)
    same = [f"elevation {elevations[0]:g}°"] if len(elevations) == 1 else []
    return ", ".join([" ".join(title.split())] * bool(title.strip()) + same)


def _elevations(poses: Sequence[Pose]) -> list[float]:
    """The different elevations of a set, in degrees."""
    return sorted({round(pose.elevation_deg, 2) + 0.0 for pose in poses})


def _cell_size(height: int, width: int) -> tuple[int, int]:
    """(width, height) of a cell for pictures of that size."""
    least, greatest = CELL
    scale = max(least / min(height, width), min(1.0, greatest / max(height, width)))
    return round(width * scale), round(height * scale)


def _columns(count: int) -> int:
    """Fewest empty places first, then the squarest: 16 -> 4, 12 -> 4, 10 -> 5, 36 -> 6."""
    squarest = math.ceil(math.sqrt(count))
    return min(range(squarest, 2 * squarest + 1), key=lambda columns: (-count % columns, columns))


def write_centred(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, room: float, size: int) -> None:
    """``text`` centred on (x, y), cut to ``room`` pixels."""
    font = ImageFont.load_default(size)
    cut = text
    while len(cut) > 1 and draw.textlength(cut, font=font) > room:
        cut = cut[:-4] + "..."
    draw.text((x, y), cut, fill=INK, font=font, anchor="mm")
