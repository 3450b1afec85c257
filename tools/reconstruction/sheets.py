"""Sheets: strips of pictures go in, one labelled picture of many objects comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .places import SHAPE_FROM, SIDES
from .results import Measured

_LABEL, _GAP, _TOP = 16, 6, 18
_INK, _SIZE = (40, 40, 40), 12
_COLOURS = 256


def sheet(objects: Sequence[Measured], rows: Sequence[tuple[str, str]], scale: float = 1.0) -> Image.Image:
    """Of each object, under its name, a strip for each of ``rows``: (file's stem, label).

    A strip that is not there, because its system failed, is left white.
    """
    strips = [(each, stem, label) for each in objects for stem, label in rows]
    with Image.open(objects[0].place / "truth.png") as first:
        width, height = (round(side * scale) for side in first.size)
    block = _LABEL + len(rows) * height + _GAP
    image = Image.new("RGB", (width + 110, _TOP + block * len(objects)), "white")
    draw = ImageDraw.Draw(image)
    cell = width / (len(SIDES) + 1)
    for place, words in enumerate(_heads()):
        draw.text((110 + place * cell + 4, 2), words, _INK, _font())
    for place, (each, stem, label) in enumerate(strips):
        block_top, row = _TOP + place // len(rows) * block, place % len(rows)
        if row == 0:
            draw.text((4, block_top), each.name, _INK, _font())
        top = block_top + _LABEL + row * height
        draw.text((4, top + height // 2), label, _INK, _font())
        _paste(image, each.place / f"{stem}.png", (110, top), (width, height))
    return image.quantize(_COLOURS, dither=Image.Dither.NONE)


def _paste(image: Image.Image, path: Path, at: tuple[int, int], size: tuple[int, int]) -> None:
    if path.exists():
        with Image.open(path) as strip:
            image.paste(strip.convert("RGB").resize(size, Image.Resampling.LANCZOS), at)


def _heads() -> list[str]:
    words = [f"{pose.azimuth_deg:g}° at {pose.elevation_deg:g}°" for pose in SIDES]
    return [*words, f"shape, {SHAPE_FROM.azimuth_deg:.0f}° at {SHAPE_FROM.elevation_deg:.0f}°"]


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)
