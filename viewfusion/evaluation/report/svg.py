"""Pictures made of lines: shapes and numbers go in, SVG that stands inside a page comes out.

Elements are built as a tree and written by the standard library, which escapes every text and attribute.
Colours are the classes ``s0``, ``s1``, ... of the page's style, one for each run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

from viewfusion.errors import printable

Element = ElementTree.Element

STYLES = 6
"""Colours, and shapes of marks, that a page tells apart; further runs begin again."""

_MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z",  # circle
    "M-3.5 -3.5h7v7h-7Z",  # square
    "M0 -5L5 0L0 5L-5 0Z",  # diamond
    "M0 -4.8L4.6 3.4H-4.6Z",  # triangle
    "M0 4.8L4.6 -3.4H-4.6Z",  # triangle on its tip
    "M-1.3 -4.5h2.6v3.2h3.2v2.6h-3.2v3.2h-2.6v-3.2h-3.2v-2.6h3.2Z",  # cross
)


def canvas(width: float, height: float, label: str, kind: str = "chart") -> Element:
    """An empty picture; ``label`` is what a reader hears who does not see it."""
    size = {"viewBox": f"0 0 {width:g} {height:g}", "width": f"{width:g}"}
    return Element("svg", {"class": kind, **size, "role": "img", "aria-label": printable(label)})


def add(parent: Element, tag: str, text: str | None = None, **attributes: Any) -> Element:
    """A new element in ``parent``: ``kind`` is its class, numbers are rounded, ``text`` is what it says."""
    given = {key.replace("_", "-"): _said(value) for key, value in attributes.items() if value is not None}
    if "kind" in given:
        given["class"] = given.pop("kind")
    element = ElementTree.SubElement(parent, tag, given)
    if text is not None:
        element.text = printable(text)
    return element


def add_mark(parent: Element, x: float, y: float, style: int, hint: str | None = None) -> Element:
    """The mark of a run at a place, with words that show when one points at it."""
    mark = add(
        parent,
        "path",
        d=_MARKS[style % STYLES],
        transform=f"translate({x:.2f} {y:.2f})",
        kind=f"mark s{style % STYLES}",
    )
    if hint is not None:
        add(mark, "title", hint)
    return mark


def add_line(parent: Element, points: Sequence[tuple[float, float]], kind: str) -> Element:
    """A line through ``points``."""
    path = "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
    return add(parent, "path", d=path, kind=kind)


def to_text(element: Element) -> str:
    """Its SVG, as it stands in HTML."""
    return ElementTree.tostring(element, encoding="unicode")


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers from below ``low`` to above ``high``, about as many as ``wanted``: 0, 0.2, 0.4."""
    if not high - low > 1e-9 * max(abs(low), abs(high)):  # numbers between the two would be the same
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    rough = (high - low) / wanted
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * factor for factor in (1, 2, 2.5, 5, 10) if base * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def tick_label(value: float, step: float) -> str:
    """With as many digits as the steps between ticks need."""
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**places - round(step * 10**places)) > 1e-6:  # steps of 2.5
        places += 1
    text = f"{value:.{places}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def _said(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
