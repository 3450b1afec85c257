"""Previews: a photo, its object's alpha and what the model sees go in, one picture to judge by comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from viewfusion.errors import printable

from .contact_sheet import INK, LABEL, MARGIN, TITLE, write_centred

PANEL = 384
"""Pixels a side of each of the three pictures; six, three or one and a half times what models see."""

LINE = 20
"""Height of a line of text below them."""

_WARNING, _FRAME, _PAPER = (178, 58, 0), (205, 205, 205), (246, 246, 246)
_OUTLINE, _HALO = (255, 0, 110), (255, 255, 255)
_CHECKER = (255, 226)  # what shows through where the photo is transparent


def preview(
    photo: np.ndarray,
    alpha: np.ndarray,
    framed: np.ndarray,
    *,
    title: str,
    labels: tuple[str, str, str],
    facts: Sequence[str],
    warnings: Sequence[str],
) -> Image.Image:
    """RGB picture: the photo, its object's outline, what the model sees; below, lines of text.

    Args:
        photo: (h, w, 4) uint8, straight alpha; a reduced copy will do.
        alpha: (h, w) uint8: what of it is the object.
        framed: (size, size, 4) uint8, straight alpha.
        title: above all.
        labels: one under each panel.
        facts: lines in ink.
        warnings: lines in orange, each marked; "no warnings" where there are none.
    """
    width = 3 * PANEL + 4 * MARGIN
    font = ImageFont.load_default(15)
    text = [(line, INK) for fact in facts for line in _wrapped(fact, width - 2 * MARGIN, font)]
    for warning in warnings:
        lines = _wrapped(f"! {warning}", width - 2 * MARGIN, font)
        text += [(line if place == 0 else f"  {line}", _WARNING) for place, line in enumerate(lines)]
    if not warnings:
        text.append(("no warnings", INK))
    below = MARGIN + TITLE + PANEL + LABEL + MARGIN
    sheet = Image.new("RGB", (width, below + LINE * len(text) + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    write_centred(draw, width / 2, (MARGIN + TITLE) / 2, printable(title), width - 2 * MARGIN, 17)
    panels = (_photo(photo), _outlined(photo, alpha), _framed(framed))
    for place, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        x, y = MARGIN + place * (PANEL + MARGIN), MARGIN + TITLE
        draw.rectangle((x - 1, y - 1, x + PANEL, y + PANEL), fill=_PAPER, outline=_FRAME)
        sheet.paste(panel, (x + (PANEL - panel.width) // 2, y + (PANEL - panel.height) // 2))
        write_centred(draw, x + PANEL / 2, y + PANEL + LABEL / 2, label, PANEL, 14)
    for row, (line, colour) in enumerate(text):
        draw.text((MARGIN, below + LINE * row), line, fill=colour, font=font)
    return sheet


def _photo(rgba: np.ndarray, side: int = PANEL) -> Image.Image:
    """The photo over a checkerboard, ``side`` pixels long."""
    height, width = rgba.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    seen = Image.fromarray(rgba).resize(size, Image.Resampling.BICUBIC)
    rows, columns = np.indices(seen.size[::-1]) * 24 // side
    squares = np.where((rows + columns) % 2, *reversed(_CHECKER)).astype(np.uint8)
    ground = Image.fromarray(np.dstack([squares] * 3)).convert("RGBA")
    return Image.alpha_composite(ground, seen).convert("RGB")


def _outlined(rgba: np.ndarray, alpha: np.ndarray) -> Image.Image:
    """The photo, paled where the object is not, with a line around it."""
    photo = _photo(rgba, 2 * PANEL)  # reduced at the end, which makes the line smooth
    share = Image.fromarray(alpha).resize(photo.size, Image.Resampling.BICUBIC)
    peak = max(1, int(alpha.max(initial=0)))
    mask = share.point([255 * (level * 2 >= peak) for level in range(256)])
    pale = Image.blend(photo.convert("L").convert("RGB"), Image.new("RGB", photo.size, "white"), 0.55)
    picture = Image.composite(photo, pale, mask)
    for width, colour in ((9, _HALO), (5, _OUTLINE)):
        grown, shrunk = mask.filter(ImageFilter.MaxFilter(width)), mask.filter(ImageFilter.MinFilter(width))
        picture.paste(colour, mask=ImageChops.subtract(grown, shrunk))
    return picture.reduce(2)


def _framed(rgba: np.ndarray) -> Image.Image:
    """Over white; small frames by whole factors, so that their pixels show."""
    frame = Image.fromarray(rgba)
    white = Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame).convert("RGB")
    whole = PANEL % frame.width == 0
    kernel = Image.Resampling.NEAREST if whole else Image.Resampling.BICUBIC
    return white.resize((PANEL, PANEL), kernel)


def _wrapped(text: str, room: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    """Lines of ``text`` that fit into ``room`` pixels, broken between words where that is possible."""
    lines = [""]
    for word in map(printable, text.split()):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= room:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        while font.getlength(word) > room and len(word) > 1:  # a path, perhaps
            fits = next(
                end for end in range(len(word) - 1, 0, -1) if font.getlength(word[:end]) <= room or end == 1
            )
            lines[-1], word = word[:fits], word[fits:]
            lines.append("")
        lines[-1] = word
    return lines
