"""Sheets: strips of pictures go in, one labelled picture of many objects comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .places import SHAPE_FROM, SIDES

_LABEL, _GAP, _TOP, _LEFT = 16, 6, 18, 110
_INK, _SIZE = (40, 40, 40), 12
_COLOURS = 256


def sheet(folder: Path, names: Sequence[str], rows: Sequence[tuple[str, str]]) -> Image.Image:
    """Of each object, under its name, a strip for each of ``rows``: (file's stem, label).

    Args:
        folder: of the study; the strips of an object lie in the folder of its name.

    A strip that is not there, because its system failed, is left white.
    """
    with Image.open(folder / names[0] / "truth.png") as first:
        width, height = first.size
    block = _LABEL + len(rows) * height + _GAP
    image = Image.new("RGB", (_LEFT + width, _TOP + block * len(names)), "white")
    draw = ImageDraw.Draw(image)
    for place, words in enumerate(_heads()):
        draw.text((_LEFT + place * height + 4, 2), words, _INK, _font())  # cells are square
    for place, name in enumerate(names):
        top = _TOP + place * block
        draw.text((4, top), name, _INK, _font())
        for row, (stem, label) in enumerate(rows):
            at = top + _LABEL + row * height
            draw.text((4, at + height // 2), label, _INK, _font())
            _paste(image, folder / name / f"{stem}.png", (_LEFT, at))
    return image.quantize(_COLOURS, dither=Image.Dither.NONE)


def _paste(image: Image.Image, path: Path, at: tuple[int, int]) -> None:
    if path.exists():
        with Image.open(path) as strip:
            image.paste(strip.convert("RGB"), at)


def _heads() -> list[str]:
    words = [f"{pose.azimuth_deg:g}° at {pose.elevation_deg:g}°" for pose in SIDES]
    return [*words, f"shape, {SHAPE_FROM.azimuth_deg:.0f}° at {SHAPE_FROM.elevation_deg:.0f}°"]


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)
