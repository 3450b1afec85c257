"""The document: results go in, the marked blocks of ``docs/preprocessing.md`` and its picture come out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evidence.page import filled
from evidence.subjects import KINDS
from evidence.tables import number, table
from PIL import Image, ImageDraw, ImageFont

from viewfusion import ViewFusionError
from viewfusion.evaluation.metrics import Interval
from viewfusion.outputs.files import write_bytes, write_png
from viewfusion.preprocessing import over_white, read_image

from .composites import GROUNDS
from .results import BAD_OVERLAP, FLAGGED_GOOD, Case, Results, quantile_cases

PICTURE = "segmenters.png"
TYPICAL = (0.25, 0.5, 0.75)
"""Quantiles of the best segmenter's overlap."""
FAILURES = 4
"""How many of its worst are shown."""

_CELL, _GAP = (168, 140), 4
_METRICS = {
    "overlap": ("overlap (intersection over union)", 1, 3),
    "outline": ("distance of the outlines, % of the diagonal", 100, 2),
    "alpha": ("mean absolute error of alpha, %", 100, 2),
}


def write_report(results: Results, page: Path, images: Path) -> list[str]:
    """Fill ``page`` and write the picture into ``images``; the names of the blocks that were filled.

    Raises:
        ViewFusionError: there is no page, no results, or no place for some.
    """
    chosen = examples(results)
    link = Path(os.path.relpath(images, page.parent)).as_posix()
    blocks = {
        "segmenters": f"{said(results)}\n\n{means(results)}",
        "segmenters-differences": differences(results),
        "segmenters-confidence": confidences(results),
        "segmenters-examples": f"![segmenters]({link}/{PICTURE})\n\n{listed(chosen)}",
    }
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    content = filled(text, blocks, page)
    images.mkdir(parents=True, exist_ok=True)
    write_png(images / PICTURE, sheet(chosen, results.names))
    write_bytes(page, content.encode())
    return list(blocks)


def said(results: Results) -> str:
    """A line on what was measured."""
    kinds = [sum(case.about["kind"] == kind for case in results.cases) for kind in KINDS]
    objects = " and ".join(
        f"{count} {words}" for count, words in zip(kinds, KINDS.values(), strict=True) if count
    )
    grounds = ", ".join(f"{len(results.of(ground))} {words}" for ground, words in GROUNDS.items())
    photos = {case.about["photo"] for case in results.cases} - {""}
    return (
        f"{len(results.cases)} photos: {objects}, before {grounds} (pieces of {len(photos)} "
        "photographs). Means with 95 % intervals over the photos that a segmenter does not refuse."
    )


def means(results: Results) -> str:
    """A row for each metric and segmenter, a column for each ground."""
    grounds = [ground for ground in GROUNDS if results.of(ground)]
    rows, first = [], results.names[0]
    for name in results.names:
        counts = [
            f"{len(results.answered(name, each))} of {len(results.of(each))}" for each in (*grounds, None)
        ]
        rows.append(["photos answered", name, *counts])
    for metric, (words, factor, digits) in _METRICS.items():
        for name in results.names:
            found = [results.mean(name, metric, each) for each in (*grounds, None)]
            rows.append([words, name, *(_interval(each, factor, digits) for each in found)])
    for name in results.names:
        ratio = results.relative_time(name, first)
        told = "-" if ratio is None else f"{ratio:.2g}"
        rows.append([f"time, as a multiple of that of {first}", name, *["" for _ in grounds], told])
    return table(["", "segmenter", *(GROUNDS[each] for each in grounds), "all"], rows)


def differences(results: Results) -> str:
    """Each segmenter against the best, on the photos that both answered."""
    best, rows = best_of(results), []
    for name in results.names:
        cells = []
        for metric, (_, factor, digits) in _METRICS.items():
            found = None if name == best else results.difference(name, best, metric)
            cells.append(_interval(found[0], factor, digits, "+") if found else "-")
        both = results.difference(name, best, "overlap")
        if name != best:
            rows.append([f"{name} minus {best}", str(both[1] if both else 0), *cells])
    return table(["difference", "photos", *(words for words, _, _ in _METRICS.values())], rows)


def confidences(results: Results) -> str:
    """What each segmenter's confidence is worth."""
    rows = []
    for name in results.names:
        if not results.answered(name):
            continue
        found = results.confidence(name)
        caught = "-" if found.bad == 0 else f"{100 * found.caught:.0f} %"
        threshold = number(found.threshold, 3)
        rows.append([name, number(found.correlation, 2), str(found.bad), threshold, caught])
    heads = [
        "segmenter",
        "rank correlation of confidence and overlap",
        f"photos with an overlap below {BAD_OVERLAP:g}",
        f"confidence that {FLAGGED_GOOD:.0%} of the others stay below",
        "of the bad ones, below it",
    ]
    return table(heads, rows)


def best_of(results: Results) -> str:
    """The segmenter with the highest overlap, a refusal counting as 0."""

    def total(name: str) -> float:
        return sum(case.score(name, "overlap") or 0 for case in results.cases)

    return max(results.names, key=total)


def examples(results: Results) -> list[Case]:
    """Typical cases, then failures."""
    best = best_of(results)

    def overlap(case: Case) -> float:
        return case.score(best, "overlap") or 0

    typical = quantile_cases(results.cases, overlap, TYPICAL)
    worst = sorted((case for case in results.cases if case not in typical), key=overlap)
    return [*typical, *worst[:FAILURES]]


def listed(chosen: Sequence[Case]) -> str:
    """What the picture shows, from the top, and whose it is."""
    lines = []
    for place, case in enumerate(chosen, 1):
        ground = (
            f"before a photograph by {case.about['photo']}" if case.about["photo"] else "on a plain ground"
        )
        lines.append(f"{place}. {case.about['object']}, {ground}")
    return "\n".join(lines)


def sheet(chosen: Sequence[Case], names: Sequence[str]) -> Image.Image:
    """A row a case: the photo, the true cut-out over white, and each segmenter's with its overlap."""
    across, down = _CELL[0] + _GAP, _CELL[1] + _GAP
    image = Image.new("RGB", (across * (2 + len(names)) - _GAP, down * len(chosen) + 14), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for column, name in enumerate(("photo", "truth", *names)):
        pen.text((column * across + 2, 0), name, (40, 40, 40), font)
    for row, case in enumerate(chosen):
        photo = read_image(case.place / "photo.jpg")
        for column, name in enumerate(("photo", "truth", *names)):
            corner = column * across, 14 + row * down
            cell = photo[..., :3] if name == "photo" else _cut(photo, case.place / f"{name}.png")
            image.paste(_fitted(cell), corner)
            if name in names:
                score = case.score(name, "overlap")
                told = "refused" if score is None else f"{score:.3f}"
                pen.text((corner[0] + 3, corner[1] + _CELL[1] - 14), told, (200, 0, 0), font)
    return image.quantize(192, dither=Image.Dither.NONE).convert("RGB")


def _cut(photo: np.ndarray, alpha: Path) -> np.ndarray:
    """(H, W, 3) uint8: the photo over white by an alpha; white where there is no such file."""
    rgba = photo.copy()
    if alpha.exists():
        with Image.open(alpha) as file:
            rgba[..., 3] = np.asarray(file)
    else:
        rgba[..., 3] = 0
    return over_white(rgba)


def _fitted(pixels: np.ndarray) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail(_CELL, Image.Resampling.BOX)
    cell = Image.new("RGB", _CELL, (245, 245, 245))
    cell.paste(image, ((_CELL[0] - image.width) // 2, (_CELL[1] - image.height) // 2))
    return cell


def _interval(found: Interval | None, factor: float, digits: int, sign: str = "") -> str:
    """For instance "0.951 (0.930 to 0.968)"."""
    if found is None:
        return "-"
    mean, low, high = (number(factor * each, digits, sign) for each in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high})"
