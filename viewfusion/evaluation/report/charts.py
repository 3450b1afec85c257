"""Charts of a report: scores of objects and of views go in, a drawing of each metric comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .svg import STYLES, Element, add, add_line, add_mark, canvas, tick_label, ticks
from .words import decimals, number

WIDTH = 480.0
MAX_MARKS = 1500
"""Of all runs in one chart; of more objects, as many as that allows are drawn, evenly by rank."""

_ROW, _LEAST_ROW, _TALLEST = 18.0, 12.0, 420.0
_LETTERS = 15
_MOST_MARKS = 90
"""On a curve."""

Ends = tuple[float, float, float] | None
"""A mean and the ends of its interval."""


@dataclass(frozen=True)
class Curve:
    """What one run scores around the object.

    Args:
        mean: (x, value, how many objects) from left to right.
        lines: of single objects, by name.
        dots: (name, x, value) where objects were seen from different places.
    """

    label: str
    mean: Sequence[tuple[float, float, int]]
    lines: Mapping[str, Sequence[tuple[float, float]]]
    dots: Sequence[tuple[str, float, float]] = ()


@dataclass(frozen=True)
class Frame:
    """Where the data lie in a chart, and what is at its edges: maps values to places."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        return self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])

    def down(self, value: float) -> float:
        return self.top + self.height * (self.y[1] - value) / (self.y[1] - self.y[0])


def object_chart(
    metric: Mapping[str, Any],
    labels: Sequence[str],
    rows: Sequence[tuple[str, Sequence[float | None]]],
    means: Sequence[Ends],
) -> Element:
    """Every object's score as a mark, one object a row, and the mean of each run with its interval.

    Args:
        rows: in the order to show them: the name and, for each run, the score.
    """
    most = most_rows(len(labels))
    shown = rows if len(rows) <= most else _evenly(rows, most)
    row = min(_ROW, max(_TALLEST / len(shown), 0.5))
    named = row >= _LEAST_ROW
    values = [value for _, each in shown for value in each if value is not None]
    values += [end for ends in means if ends for end in ends]
    marks = ticks(min(values), max(values))
    left, top = (132.0 if named else 20.0), 8.0
    frame = Frame(left, top, WIDTH - left - 20, row * len(shown), (marks[0], marks[-1]), (len(shown), 0.0))
    root = canvas(WIDTH, top + frame.height + 42, f"{metric['title']} of each object")
    _draw_ticks_below(root, frame, marks)
    for style, ends in enumerate(means):
        _draw_mean(root, frame, ends, style, labels[style], alone=len(means) == 1)
    places = decimals(values)
    for place, (name, each) in enumerate(shown):
        y = top + row * (place + 0.5)
        if named:
            _draw_name(root, name, left - 10, y)
            add(root, "line", x1=left, x2=left + frame.width, y1=y, y2=y, kind="row")
        for style, value in enumerate(each):
            if value is not None:
                who = f"{name}, {labels[style]}" if len(labels) > 1 else name
                add_mark(root, frame.across(value), y, style, f"{who}: {number(value, places)}")
    _draw_better(root, frame, metric["better"] == "higher")
    return root


def most_rows(runs: int) -> int:
    """How many objects a chart of so many runs shows."""
    return MAX_MARKS // max(4, runs)


def spin_chart(metric: Mapping[str, Any], curves: Sequence[Curve], by_azimuth: bool) -> Element:
    """What views score around the object: faint lines or dots of single objects, bold means of runs.

    Args:
        by_azimuth: x is degrees from the input view, -180 to 180; otherwise the number of the view.
    """
    values = [value for curve in curves for _, value, _ in curve.mean]
    values += [value for curve in curves for line in curve.lines.values() for _, value in line]
    values += [value for curve in curves for _, _, value in curve.dots]
    xs = [x for curve in curves for x, _, _ in curve.mean]
    marks = ticks(min(values), max(values))
    across = (-180.0, 180.0) if by_azimuth else (min(xs), max(max(xs), min(xs) + 1))
    frame = Frame(52.0, 10.0, WIDTH - 72, 210.0, across, (marks[0], marks[-1]))
    root = canvas(WIDTH, 266.0, f"{metric['title']} around the object")
    _draw_ticks_left(root, frame, marks)
    below = [90.0 * i for i in range(-2, 3)] if by_azimuth else _whole_ticks(*across)
    _draw_ticks_below(root, frame, below, "\N{DEGREE SIGN}" if by_azimuth else "")
    if by_azimuth:
        x = frame.across(0.0)
        add(root, "line", x1=x, x2=x, y1=frame.top, y2=frame.top + frame.height, kind="input")
    words = "azimuth from the input view" if by_azimuth else "view"
    add(root, "text", words, x=frame.left + frame.width / 2, y=260.0, kind="axis-words middle")
    places = decimals(values)
    for style, curve in enumerate(curves):
        _draw_objects(root, frame, curve, style % STYLES, places, by_azimuth)
    for style, curve in enumerate(curves):
        _draw_curve(root, frame, curve, style, places, by_azimuth)
    return root


def _draw_line(
    root: Element, frame: Frame, points: Sequence[tuple[float, float]], kind: str, by_azimuth: bool
) -> Element:
    """A line through ``points``; what is seen from the back stands at both ends."""
    back = [(-180.0, points[-1][1])] if by_azimuth and points[-1][0] == 180 and points[0][0] > -180 else []
    return add_line(root, [(frame.across(x), frame.down(y)) for x, y in (*back, *points)], kind)


def _draw_objects(
    root: Element, frame: Frame, curve: Curve, style: int, places: int, by_azimuth: bool
) -> None:
    for name, line in curve.lines.items():
        add(_draw_line(root, frame, line, f"faint s{style}", by_azimuth), "title", name)
    for name, x, y in curve.dots:
        dot = add(root, "circle", cx=frame.across(x), cy=frame.down(y), r=2, kind=f"dot s{style}")
        add(dot, "title", f"{name}: {number(y, places)}")


def _draw_curve(root: Element, frame: Frame, curve: Curve, style: int, places: int, by_azimuth: bool) -> None:
    _draw_line(root, frame, [(x, y) for x, y, _ in curve.mean], f"line s{style % STYLES}", by_azimuth)
    for x, y, count in curve.mean if len(curve.mean) <= _MOST_MARKS else ():
        where = f"{number(x, 1).removesuffix('.0')}\N{DEGREE SIGN}" if by_azimuth else f"view {x:g}"
        hint = f"{curve.label}, {where}: mean {number(y, places)} ({count})"
        add_mark(root, frame.across(x), frame.down(y), style, hint)


def _draw_mean(root: Element, frame: Frame, ends: Ends, style: int, label: str, alone: bool) -> None:
    """A line, and of a run that is alone its interval: of several, the intervals of differences matter."""
    if ends is None:
        return
    kind, places = f"s{style % STYLES}", decimals(ends)
    mean, low, high = (frame.across(end) for end in ends)
    said = [number(end, places) for end in ends]
    if alone:
        wide = max(high - low, 0.5)
        add(root, "rect", x=low, y=frame.top, width=wide, height=frame.height, kind=f"band {kind}")
    bottom = frame.top + frame.height
    line = add(root, "line", x1=mean, x2=mean, y1=frame.top, y2=bottom, kind=f"mean {kind}")
    add(line, "title", f"{label}: mean {said[0]}, {said[1]} to {said[2]}")


def _draw_name(root: Element, name: str, x: float, y: float) -> None:
    short = name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
    drawn = add(root, "text", short, x=x, y=y + 4, kind="name end")
    if short != name:
        add(drawn, "title", name)


def _draw_ticks_below(root: Element, frame: Frame, marks: Sequence[float], unit: str = "") -> None:
    bottom, step = frame.top + frame.height, marks[1] - marks[0]
    for mark in marks:
        x = frame.across(mark)
        add(root, "line", x1=x, x2=x, y1=frame.top, y2=bottom, kind="grid")
        add(root, "text", tick_label(mark, step) + unit, x=x, y=bottom + 16, kind="tick middle")


def _draw_ticks_left(root: Element, frame: Frame, marks: Sequence[float]) -> None:
    step = marks[1] - marks[0]
    for mark in marks:
        y = frame.down(mark)
        add(root, "line", x1=frame.left, x2=frame.left + frame.width, y1=y, y2=y, kind="grid")
        add(root, "text", tick_label(mark, step), x=frame.left - 8, y=y + 4, kind="tick end")


def _draw_better(root: Element, frame: Frame, higher: bool) -> None:
    """Below the axis: which of its ends is the better one."""
    y, right = frame.top + frame.height + 36, frame.left + frame.width
    text = "better \N{RIGHTWARDS ARROW}" if higher else "\N{LEFTWARDS ARROW} better"
    add(
        root,
        "text",
        text,
        x=right if higher else frame.left,
        y=y,
        kind=f"axis-words {'end' if higher else ''}",
    )


def _whole_ticks(low: float, high: float) -> list[float]:
    return [mark for mark in ticks(low, high, 8) if low <= mark <= high and mark == round(mark)] or [
        low,
        high,
    ]


def _evenly(rows: Sequence[Any], most: int) -> list[Any]:
    """The first, the last and as many between, evenly."""
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]
