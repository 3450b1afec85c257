"""Tables: results of a study go in, Markdown comes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evidence.tables import number, table

from viewfusion.evaluation.metrics import Interval

from .results import METRICS, Measured, Results
from .subjects import KINDS
from .systems import FUSED, INDEPENDENT, SMALL

SYSTEMS = {FUSED: "fused", INDEPENDENT: "independent", SMALL: "true views of that size"}
"""How they are called; presets by their names."""

WANTED = (
    ("iou", 0.85, "at least"),
    ("outside", 0.85, "at least"),
    ("psnr", 25.0, "at least"),
    ("seconds", 600.0, "at most"),
)
"""Of the first preset, on average."""

_PLACED = ("iou", "outside", "chamfer", "f_score")
_OBJECT = (*_PLACED, "iou_viewfusion", "chamfer_viewfusion", "chamfer_syncdreamer")
_LOOK = ("psnr", "psnr_elsewhere")
_CLAIM = (*_PLACED, "normals", "chamfer_viewfusion", "f_viewfusion", "chamfer_syncdreamer")


def views(results: Results) -> str:
    """What is wanted, means of each preset, and every object of the first."""
    first = results.systems[0]
    means = [
        _means(results, system, (*_OBJECT, *_LOOK, "seconds", "gigabytes")) for system in results.systems
    ]
    return "\n\n".join([said(results), wanted(results, first), *means, per_object(results, first)])


def wanted(results: Results, system: str) -> str:
    """The bars, and whether they are met."""
    rows = []
    for name, bar, way in WANTED:
        found, metric = results.mean(system, name, results.kinds), METRICS[name]
        if found is None:
            continue
        met = found.mean >= bar if way == "at least" else found.mean <= bar
        short = f"{abs(found.mean - bar):.{metric.digits}f}"
        verdict = "yes" if met else f"no, by {short}"
        words = (
            f"{metric.title}, mean of {results.count(name, [system], results.kinds)} objects, {way} {bar:g}"
        )
        rows.append([words, told(found, metric.digits), verdict])
    return table([f"wanted of `{system}`", "mean and 95 % interval", "met"], rows)


def per_object(results: Results, system: str) -> str:
    """A row an object."""
    names = (*_OBJECT, *_LOOK, "seconds", "faces")
    rows = []
    for each in results.objects:
        if system in each.failed:
            rows.append([each.name, f"failed: {each.failed[system]}", *[""] * (len(names) + 1)])
            continue
        values = [_cell(each.value(system, name), METRICS[name].digits) for name in names]
        form = each.systems[system]["form"]
        closed = "open" if not form["watertight"] else f"genus {form['genus']}"
        rows.append([each.name, *values, f"{closed}, {form['components']} part(s)", _volume_told(each)])
    heads = ["object", *(METRICS[name].title for name in names), "surface", "true volume"]
    return table(heads, rows)


def spins(results: Results) -> str:
    """Means of each system, and fused minus independent."""
    rows = []
    for system in results.systems:
        values = [results.mean(system, name, results.kinds) for name in _CLAIM]
        cells = [
            "-" if v is None else number(v.mean, METRICS[n].digits)
            for v, n in zip(values, _CLAIM, strict=True)
        ]
        rows.append([SYSTEMS.get(system, system), *cells])
    means = table(["mesh of", *(METRICS[name].title for name in _CLAIM)], rows)
    groups = [[kind] for kind in results.kinds] + ([results.kinds] if len(results.kinds) > 1 else [])
    heads = [
        "fused minus independent",
        *(" and ".join(KINDS[kind] for kind in group) for group in groups[:-1]),
    ]
    heads += ["all"] if len(groups) > 1 else [KINDS[results.kinds[0]]]
    rows = []
    for name in _CLAIM:
        cells = [_difference(results, name, group) for group in groups]
        rows.append([METRICS[name].title, *cells])
    return f"{said(results)}\n\n{means}\n\n{table(heads, rows)}\n\n{_spins_per_object(results)}"


def presets(results: Results) -> str:
    """A row a preset and object."""
    names = (
        "training",
        "steps",
        "iou",
        "outside",
        "chamfer",
        "f_score",
        "psnr",
        "psnr_elsewhere",
        "seconds",
        "gigabytes",
    )
    rows = []
    for each in results.objects:
        for system in results.systems:
            if system in each.failed:
                rows.append([each.name, f"`{system}`", f"failed: {each.failed[system]}", *[""] * len(names)])
                continue
            values = [_cell(each.value(system, name), METRICS[name].digits) for name in names]
            options = " ".join(each.systems[system]["options"][2:])
            rows.append([each.name, f"`{system}`", f"`{options}`" if options else "as it is", *values])
    heads = ["object", "preset", "options", *(METRICS[name].title for name in names)]
    return f"{said(results)}\n\n{table(heads, rows)}"


def said(results: Results) -> str:
    """A line on what was measured, with what."""
    about = results.about
    counts = [f"{len(results.of_kind([kind]))} {KINDS[kind]}" for kind in results.kinds]
    words = f"{', '.join(counts)}; {about['views']} views; {about['machine']}."
    if "checkpoint" in about:
        checkpoint = about["checkpoint"]
        digest, pixels = checkpoint["sha256"][:12], about["pixels"]
        words += f" Spins by `{checkpoint['name']}` (SHA-256 {digest}…), {pixels} pixels."
    failed = [each for each in results.objects if each.failed]
    return words + (f" {len(failed)} object(s) failed." if failed else "")


def told(found: Interval, digits: int, sign: str = "") -> str:
    """For instance "0.62 (0.31 to 0.95)"."""
    mean, low, high = (number(value, digits, sign) for value in (found.mean, found.low, found.high))
    return f"{mean} ({low} to {high})"


def _means(results: Results, system: str, names: Sequence[str]) -> str:
    groups = [[kind] for kind in results.kinds] + ([results.kinds] if len(results.kinds) > 1 else [])
    rows = []
    for group in groups:
        found = [results.mean(system, name, group) for name in names]
        cells = ["-" if f is None else told(f, METRICS[n].digits) for f, n in zip(found, names, strict=True)]
        rows.append([KINDS[group[0]] if len(group) == 1 else "all", *cells])
    return table([f"`{system}`: mean and 95 % interval", *(METRICS[name].title for name in names)], rows)


def _spins_per_object(results: Results) -> str:
    names = ("iou", "chamfer")
    heads = [
        f"{METRICS[name].title}, {SYSTEMS.get(system, system)}"
        for name in names
        for system in results.systems
    ]
    rows: Iterable[list[str]] = (
        [each.name, *(_cell(each.value(s, n), METRICS[n].digits) for n in names for s in results.systems)]
        for each in results.objects
    )
    return table(["object", *heads], rows)


def _difference(results: Results, metric: str, kinds: Sequence[str]) -> str:
    found = results.difference(FUSED, INDEPENDENT, metric, kinds)
    if found is None:
        return "-"
    words = told(found, METRICS[metric].digits, "+")
    return f"**{words}**" if found.excludes_zero else words


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.0f}" if digits == 0 else number(value, digits)


def _volume_told(each: Measured) -> str:
    closed = next(content["closed"] for content in each.systems.values())
    return "closed" if closed == 1 else f"{closed:.0%} certain"
