"""Tables: results go in, Markdown comes out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from viewfusion.evaluation.metrics import Interval

from .results import Results
from .subjects import KINDS

METRICS = {
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 3),
    "lpips_alex": ("LPIPS alex", 3),
    "lpips_vgg": ("LPIPS vgg", 3),
    "outline": ("outline overlap", 3),
    "outline_other_way": ("outline overlap, other way", 3),
    "adjacent_lpips_alex": ("adjacent LPIPS alex", 4),
    "adjacent_lpips_vgg": ("adjacent LPIPS vgg", 4),
    "sift": ("SIFT matches", 2),
    "flow_error": ("flow-warp error", 4),
    "flow_share": ("seen in both", 3),
}
"""How they are called and told: the name, digits behind the point."""

SYSTEMS = {
    "fused": "fused",
    "independent": "independent",
    "more-steps": "independent, more steps",
    "truth": "true views",
    "repeated": "input repeated",
    "colour": "mean colour",
}
CONSISTENCY = ("adjacent_lpips_alex", "adjacent_lpips_vgg", "sift", "flow_error", "psnr")
BARS_DB = {"mesh": 3.0, "procedural": 5.0}
"""By how much the mean PSNR is wanted above that of repeating the input."""


def quality(results: Results) -> str:
    """Means over views and objects, and what is gained over the systems that make nothing."""
    metrics = ("psnr", "ssim", "lpips_alex", "lpips_vgg", "outline", "outline_other_way")
    gains = [
        ("psnr", "repeated", "psnr"),
        ("ssim", "repeated", "ssim"),
        ("lpips_alex", "repeated", "lpips_alex"),
        ("lpips_vgg", "repeated", "lpips_vgg"),
        ("psnr", "colour", "psnr"),
        ("outline", "repeated", "outline"),
        ("outline", "fused", "outline_other_way"),
    ]
    rows = []
    for metric, system, theirs in gains:
        what = "a turn the other way" if system == "fused" else SYSTEMS[system]
        intervals = [results.difference([k], ("fused", metric), (system, theirs)) for k in results.objects]
        rows.append([f"{METRICS[metric][0]}: fused minus {what}", *_told(metric, intervals)])
    kinds = [KINDS[kind] for kind in results.objects]
    means = _means(results, ("fused", "independent", "repeated", "colour"), metrics)
    return f"{said(results)}\n\n{means}\n\n{table(['mean and 95 % interval', *kinds], rows)}"


def azimuths(results: Results) -> str:
    """One table a metric: by how far the camera has gone, both ways together."""
    parts = []
    for metric in ("psnr", "ssim", "lpips_alex", "lpips_vgg"):
        name, digits = METRICS[metric]
        distances = sorted(set(results.distances))
        rows = []
        for kind in results.objects:
            for system in ("fused", "independent", "repeated", "colour"):
                found = results.by_distance(kind, system, metric)
                values = [number(found[distance], digits) for distance in distances]
                rows.append([f"{KINDS[kind]}, {SYSTEMS[system]}", *values])
        parts.append(table([name, *(f"±{distance:g}°" for distance in distances)], rows))
    return "\n\n".join(parts)


def consistency(results: Results) -> str:
    """Means of neighbouring views beside how true they are, and fused against independent sampling."""
    metrics = (*CONSISTENCY[:-1], "flow_share", "psnr", "lpips_vgg")
    means = _means(results, (*results.made, "truth"), metrics, costs=True)
    together = list(results.objects)
    groups = [[kind] for kind in together] + ([together] if len(together) > 1 else [])
    heads = [" and ".join(KINDS[kind] for kind in group) for group in groups]
    rows = []
    for other in results.made[1:]:
        for metric in CONSISTENCY:
            intervals = [results.difference(g, ("fused", metric), (other, metric)) for g in groups]
            rows.append([f"{METRICS[metric][0]}: fused minus {SYSTEMS[other]}", *_told(metric, intervals)])
    return f"{said(results)}\n\n{means}\n\n{table(['mean and 95 % interval', *heads], rows)}"


def sweep(results: Results) -> str:
    """One row a setting."""
    metrics = ("psnr", "lpips_alex", "lpips_vgg", "adjacent_lpips_alex", "flow_error")
    return f"{said(results)}\n\n{_means(results, results.made, metrics, costs=True)}"


def temperatures(results: Results) -> str:
    """Adjacent-frame LPIPS and LPIPS to the truth of each pair of temperatures."""
    rows, (of_inputs, of_references) = [], grid(results)
    for kind in results.objects:
        for reference in of_references:
            values = []
            for each in of_inputs:
                system = f"{each}-{reference}"
                pair = [results.mean(kind, system, name) for name in ("adjacent_lpips_alex", "lpips_alex")]
                values.append(" / ".join(number(value, 3) for value in pair))
            rows.append([f"{KINDS[kind]}, reference temperature {reference}", *values])
    heads = [f"input temperature {each}" for each in of_inputs]
    return f"{said(results)}\n\n{table(['LPIPS alex: adjacent / to the truth', *heads], rows)}"


def grid(results: Results) -> tuple[list[str], list[str]]:
    """The temperatures of the input and of the references, of systems called "INPUT-REFERENCE"."""
    pairs = [name.split("-") for name in results.made if name != "independent"]
    of_inputs, of_references = (list(dict.fromkeys(column)) for column in zip(*pairs, strict=True))
    return of_inputs, of_references


def bars(quality: Results, consistency: Results) -> str:
    """What was wanted of the model, and whether it is met."""
    rows = []
    for kind in quality.objects:
        gain, wanted = quality.difference([kind], ("fused", "psnr"), ("repeated", "psnr")), BARS_DB[kind]
        met = "yes" if gain.mean >= wanted else f"no, short of it by {wanted - gain.mean:.2f} dB"
        name = f"{KINDS[kind]}: PSNR at least {wanted:g} dB above the input repeated"
        rows.append([name, _told("psnr", [gain])[0], met])
    everything = list(consistency.objects)
    for metric in ("adjacent_lpips_alex", "adjacent_lpips_vgg", "flow_error"):
        found = consistency.difference(everything, ("fused", metric), ("independent", metric))
        met = "yes" if found.high < 0 else "no" if found.low > 0 else "no, the interval includes zero"
        name = f"{METRICS[metric][0]}: fused below independent"
        rows.append([name, _told(metric, [found])[0], met])
    return table(["wanted", "measured difference", "met"], rows)


def said(results: Results) -> str:
    """A line on what was measured, with what."""
    about, config = results.about, results.about["config"]
    checkpoint, sampling, fusion = about["checkpoint"], config["sampling"], config["fusion"]
    counts = " and ".join(f"{len(found)} {KINDS[kind]}" for kind, found in results.objects.items())
    return (
        f"{counts} (split `{about['split']}`), rings of {about['views']} at elevation "
        f"{config['elevation_deg']:g}°, pictures of {results.pixels} pixels; `{checkpoint['name']}` (SHA-256 "
        f"{checkpoint['sha256'][:12]}…); unless told otherwise {sampling['solver']}, "
        f"{sampling['num_inference_steps']} steps, leap to sigma {sampling['leap_sigma']:g}, guidance "
        f"{sampling['guidance_scale']:g}, temperatures "
        f"{fusion['input_temperature']:g} (input) and {fusion['reference_temperature']:g} (references)."
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of Markdown, the first row being the heads."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float, digits: int, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{sign}.{digits}f}"


def _means(results: Results, systems: Sequence[str], metrics: Sequence[str], costs: bool = False) -> str:
    rows = []
    for kind in results.objects:
        for system in systems:
            values = [number(results.mean(kind, system, name), METRICS[name][1]) for name in metrics]
            evaluations = [str(results.evaluations(system) or "")] if costs else []
            rows.append(
                [
                    f"{KINDS[kind]}, {SYSTEMS.get(system) or f'{results.folder.name} {system}'}",
                    *evaluations,
                    *values,
                ]
            )
    names = [METRICS[name][0] for name in metrics]
    return table(["mean", *(["network evaluations a turn"] if costs else []), *names], rows)


def _told(metric: str, intervals: Iterable[Interval]) -> list[str]:
    """For instance "+0.62 (+0.31 to +0.95)"."""
    digits = METRICS[metric][1]
    ends = [[number(value, digits, "+") for value in (each.mean, each.low, each.high)] for each in intervals]
    return [f"{mean} ({low} to {high})" for mean, low, high in ends]
