"""Charts: lines of points go in, a picture with axes comes out. Drawn with Pillow, at twice the size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

COLOURS = ((31, 97, 160), (214, 90, 30), (60, 140, 70), (130, 80, 160), (120, 120, 120))
SIZE = 560, 400
"""Of one chart, in pixels."""

_FINER = 2
_LEFT, _RIGHT, _TOP, _BOTTOM, _MARGIN = 74, 18, 66, 52, 12
_INK, _FAINT = (50, 50, 50), (225, 225, 225)

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """Points in the order they are joined.

    Args:
        words: one beside each point; none where empty.
        dashed: a thin line without dots.
        joined: whether there is a line between them.
    """

    label: str
    points: Sequence[Point]
    colour: tuple[int, int, int]
    words: Sequence[str] = ()
    dashed: bool = False
    joined: bool = True


def chart(
    lines: Sequence[Line], title: str, across: str, up: str, marks: Sequence[float] = ()
) -> Image.Image:
    """An RGB picture of :data:`SIZE`; ``across`` and ``up`` are what the axes show.

    Args:
        marks: on the axis across; round numbers where empty.
    """
    width, height = (side * _FINER for side in SIZE)
    image = Image.new("RGB", (width, height), "white")
    pen = _Pen(ImageDraw.Draw(image), *_ranges(lines))
    pen.axes(across, up, marks or ticks(*pen.across))
    pen.text((SIZE[0] / 2, 16), title, 17)
    place: float = _MARGIN
    for line in lines:
        pen.line(line)
        place = pen.legend(place, line)
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most ``most``: steps of 1, 2 or 5 and zeros."""
    room = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(room))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= room * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def beside(charts: Sequence[Image.Image], columns: int) -> Image.Image:
    """All of them in rows of ``columns``."""
    width, height = charts[0].size
    rows = math.ceil(len(charts) / columns)
    sheet = Image.new("RGB", (width * columns, height * rows), "white")
    for place, each in enumerate(charts):
        sheet.paste(each, (place % columns * width, place // columns * height))
    return sheet


def _ranges(lines: Sequence[Line]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of both axes: all points and some room."""
    found = []
    for axis in range(2):
        values = [point[axis] for line in lines for point in line.points]
        low, high = min(values), max(values)
        room = 0.06 * (high - low) or 0.5
        found.append((low - room, high + room))
    return found[0], found[1]


@dataclass(frozen=True)
class _Pen:
    """Draws in the coordinates of :data:`SIZE`, points in those of the axes."""

    draw: ImageDraw.ImageDraw
    across: tuple[float, float]
    up: tuple[float, float]

    def at(self, point: Point) -> Point:
        (left, right), (low, high) = self.across, self.up
        x = _LEFT + (point[0] - left) / (right - left) * (SIZE[0] - _LEFT - _RIGHT)
        y = SIZE[1] - _BOTTOM - (point[1] - low) / (high - low) * (SIZE[1] - _TOP - _BOTTOM)
        return x, y

    def axes(self, across: str, up: str, marks: Sequence[float]) -> None:
        (left, _), (low, _) = self.across, self.up
        for value in marks:
            x, bottom = self.at((value, low))
            self.stroke([(x, _TOP), (x, bottom)], _FAINT, 1)
            self.text((x, bottom + 12), f"{value:g}", 13)
        for value in ticks(*self.up):
            edge, y = self.at((left, value))
            self.stroke([(edge, y), (SIZE[0] - _RIGHT, y)], _FAINT, 1)
            self.text((edge - 6, y), f"{value:g}", 13, "rm")
        self.stroke([(_LEFT, _TOP), self.at((left, low)), (SIZE[0] - _RIGHT, SIZE[1] - _BOTTOM)], _INK, 1)
        self.text((SIZE[0] / 2, SIZE[1] - 14), across, 14)
        self.text((8, _TOP - 12), up, 14, "lm")

    def line(self, line: Line) -> None:
        places = [self.at(point) for point in line.points]
        if line.dashed:
            (x, y), (end, last) = places[0], places[-1]
            count = max(1, round(math.dist(places[0], places[-1]) / 10))
            for part in range(count):
                ends = [(x + (end - x) * p / count, y + (last - y) * p / count) for p in (part, part + 0.5)]
                self.stroke(ends, line.colour, 2)
            return
        if line.joined:
            self.stroke(places, line.colour, 2.5)
        for x, y in places:
            self.dot((x, y), line.colour)
        for (x, y), word in zip(places, line.words, strict=False):
            self.text((x + 7, y - 8), word, 12, "lm", line.colour)

    def legend(self, x: float, line: Line) -> float:
        """An entry at ``x``; where the next one goes."""
        self.stroke([(x, 38), (x + 16, 38)], line.colour, 1.5 if line.dashed else 4)
        self.text((x + 21, 38), line.label, 13, "lm")
        return x + 21 + self.draw.textlength(line.label, font=_font(13)) / _FINER + 16

    def stroke(self, points: Sequence[Point], colour: tuple[int, int, int], width: float) -> None:
        scaled = [(x * _FINER, y * _FINER) for x, y in points]
        self.draw.line(scaled, colour, round(width * _FINER), joint="curve")

    def dot(self, place: Point, colour: tuple[int, int, int], radius: float = 4) -> None:
        x, y = place
        box = [value * _FINER for value in (x - radius, y - radius, x + radius, y + radius)]
        self.draw.ellipse(box, colour)

    def text(self, place: Point, words: str, size: int, anchor: str = "mm", colour=_INK) -> None:
        scaled = tuple(value * _FINER for value in place)
        self.draw.text(scaled, words, colour, _font(size), anchor)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _FINER)
