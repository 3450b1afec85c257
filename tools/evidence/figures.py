"""Figures: results go in, charts and sheets of turns come out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .charts import COLOURS, Line, beside, chart
from .results import Measured, Results
from .subjects import KINDS
from .tables import METRICS, SYSTEMS, grid

RANKED_BY = "lpips_vgg"
TYPICAL = (0.25, 0.5, 0.75)
"""Quantiles of :data:`RANKED_BY`."""
FAILURES = 3
"""Of each kind: those with the most."""

_LEAST_CELL = 96
_TURNS = ("truth", "fused")


def azimuth_curves(results: Results) -> Image.Image:
    """A row a metric, a column a kind of object."""
    shown = ("fused", "independent", "repeated", "colour")
    charts = []
    for metric in ("psnr", "lpips_vgg"):
        for kind in results.objects:
            lines = [
                Line(SYSTEMS[system], list(results.by_distance(kind, system, metric).items()), colour)
                for system, colour in zip(shown, COLOURS, strict=False)
            ]
            across, marks = "degrees from the input", sorted(set(results.distances))
            charts.append(chart(lines, KINDS[kind], across, METRICS[metric][0], marks))
    return beside(charts, len(results.objects))


def temperature_curves(results: Results) -> Image.Image:
    """A curve a reference temperature, along it the input's; nearer to the lower left is better."""
    charts, (of_inputs, of_references) = [], grid(results)
    names = ("lpips_alex", "adjacent_lpips_alex")
    for kind in results.objects:
        lines = []
        for reference, colour in zip(of_references, COLOURS, strict=False):
            systems = [f"{each}-{reference}" for each in of_inputs]
            points = [tuple(results.mean(kind, system, name) for name in names) for system in systems]
            lines.append(Line(f"reference {reference}", points, colour, of_inputs))
        alone = tuple(results.mean(kind, "independent", name) for name in names)
        lines.append(Line("independent", [alone], COLOURS[-1]))
        across = [point[0] for line in lines for point in line.points]
        level = results.mean(kind, "truth", "adjacent_lpips_alex")
        lines.append(
            Line("true views", [(x, level) for x in (min(across), max(across))], (90, 90, 90), dashed=True)
        )
        charts.append(chart(lines, KINDS[kind], "LPIPS alex to the truth", "adjacent LPIPS alex"))
    return beside(charts, len(charts))


def ranked(results: Results, kind: str) -> list[Measured]:
    """A kind's objects, from the least :data:`RANKED_BY` of the fused views to the most."""
    return sorted(results.objects[kind], key=lambda each: each.mean("fused", RANKED_BY))


def typical(results: Results) -> list[Measured]:
    """Of each kind those at the quantiles :data:`TYPICAL`."""
    chosen = []
    for kind in results.objects:
        order = ranked(results, kind)
        chosen += [order[place] for place in sorted({round(q * (len(order) - 1)) for q in TYPICAL})]
    return chosen


def failures(results: Results) -> list[Measured]:
    """Of each kind the last :data:`FAILURES`, the worst first."""
    return [each for kind in results.objects for each in ranked(results, kind)[-FAILURES:][::-1]]


def sheet(objects: Sequence[Measured], gap: int = 8) -> Image.Image:
    """Two rows an object: true views, the input first, and below them the fused ones."""
    parts = []
    for each in objects:
        for turn in _TURNS:
            with Image.open(each.folder / f"{turn}.png") as file:
                parts.append(np.asarray(file.convert("RGB")))
        parts.append(np.full((gap, *parts[-1].shape[1:]), 255, np.uint8))
    image = Image.fromarray(np.concatenate(parts[:-1]))
    if parts[0].shape[0] >= _LEAST_CELL:
        return image
    return image.resize((image.width * 2, image.height * 2), Image.Resampling.NEAREST)


def compact(image: Image.Image, colours: int = 64) -> Image.Image:
    """``image`` in fewer colours and bytes; a chart has no more than 64 but for the edges of letters."""
    return image.quantize(colours, dither=Image.Dither.NONE)
