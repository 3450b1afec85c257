"""Pictures of a report: ``comparison.png`` of an object goes in, a drawing with the picture inside comes out.

Pictures come from anybody's folder: they are decoded as PNG, of a bounded size, scaled, and written anew, so
that nothing of the file itself reaches the page. All of them together stay within the room there is.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from viewfusion.errors import ViewFusionError

from .svg import Element, add, canvas

ROOM = 6_000_000
"""Characters of all pictures of a page; with its charts and tables it stays below 8 MB."""

MAX_PIXELS = 2**26
"""Of a picture as it lies on disk: three rows of 36 views of 512 pixels are 28 million."""

_MAX_BYTES = 2**27
_MAX_SIDE = 20_000
_TALLEST = 4
_CELL = (56.0, 128.0)
"""Least and greatest side of a view on the page; each gets twice as many pixels, for fine screens."""

_WIDE, _LEFT, _TOP = 1024.0, 76.0, 20.0
_SHRINKING = ((2.0, "png"), (2.0, "jpeg"), (1.5, "jpeg"), (1.0, "jpeg"), (0.5, "jpeg"))
"""What is tried in turn until a picture fits: pixels for each unit of the page, and the format."""

ROWS = ("ours", "truth", "difference")


@dataclass(frozen=True)
class Picture:
    """A picture for the page, how it was made from the file, or why there is none."""

    drawing: Element | None
    words: str


def comparison_picture(folder: Path, name: str, columns: Sequence[str], room: float, label: str) -> Picture:
    """``comparison.png`` of the object ``name`` of the run in ``folder``, its rows and columns labelled.

    Args:
        columns: a label for each scored view; where the picture has not that many columns, none are written.
        room: characters it may take.
        label: what a reader hears who does not see it.
    """
    path = folder / "objects" / name / "comparison.png"
    try:
        image = _read(path, folder)
    except ViewFusionError as error:
        return Picture(None, str(error))
    rows = _rows(image, len(columns))
    wide = min(max(_WIDE / max(len(columns), 1), _CELL[0]), _CELL[1]) * len(columns) if rows else _WIDE
    high = wide * image.height / image.width
    for scale, kind in _SHRINKING:
        size = (round(wide * scale), max(round(high * scale), 1))
        shown = image if image.width <= size[0] else image.resize(size, Image.Resampling.LANCZOS)
        address = _address(shown, kind)
        if len(address) <= room:
            drawing = _drawing(address, wide, high, columns if rows else (), rows, label)
            return Picture(drawing, _how(image, shown, kind))
    return Picture(None, "the picture is left out: there is no room for it on this page")


def _read(path: Path, folder: Path) -> Image.Image:
    """An RGB picture that lies in ``folder``."""
    try:
        if not path.is_file():
            raise ViewFusionError("there is no comparison.png")
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ViewFusionError("comparison.png lies outside the folder")
        if path.stat().st_size > _MAX_BYTES:
            raise ViewFusionError("comparison.png is too large")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about large pictures: the size is checked here
            with Image.open(path, formats=("PNG",)) as image:
                size = f"{image.width} x {image.height}"
                if image.width * image.height > MAX_PIXELS or max(image.size) > _MAX_SIDE:
                    raise ViewFusionError(f"comparison.png is too large ({size})")
                if image.height > _TALLEST * image.width:
                    raise ViewFusionError(f"comparison.png is no row of views ({size})")
                return image.convert("RGB")
    except (ViewFusionError, MemoryError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error).partition("\n")[0][:80] or type(error).__name__
        raise ViewFusionError(f"comparison.png cannot be read: {reason}") from None


def _rows(image: Image.Image, columns: int) -> tuple[str, ...]:
    """What stands in each row, if the picture is a grid of square views with so many columns."""
    if not columns or image.width % columns:
        return ()
    rows = {1: ROWS[:1], 2: ROWS[:2], 3: ROWS}.get(round(image.height * columns / image.width), ())
    return rows if rows and len(rows) * image.width == image.height * columns else ()


def _address(image: Image.Image, kind: str) -> str:
    """The picture itself as a ``data:`` address."""
    buffer = io.BytesIO()
    if kind == "png":
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=88, subsampling=0)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _drawing(
    address: str, wide: float, high: float, columns: Sequence[str], rows: Sequence[str], label: str
) -> Element:
    left, top = (_LEFT, _TOP) if rows else (0.0, 0.0)
    root = canvas(left + wide, top + high, label, "picture")
    add(root, "image", href=address, x=left, y=top, width=wide, height=high)
    for place, words in enumerate(columns):
        x = left + wide * (place + 0.5) / len(columns)
        add(root, "text", words, x=x, y=top - 6, kind="tick middle")
    for place, words in enumerate(rows):
        add(root, "text", words, x=left - 8, y=top + high * (place + 0.5) / len(rows) + 4, kind="tick end")
    return root


def _how(image: Image.Image, shown: Image.Image, kind: str) -> str:
    """What was done to fit it in, if anything was."""
    done = []
    if shown.size != image.size:
        done.append(f"scaled from {image.width} x {image.height} to {shown.width} x {shown.height} pixels")
    if kind == "jpeg":
        done.append("compressed as JPEG")
    return " and ".join(done)
