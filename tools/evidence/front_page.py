"""Speed and quality as told: measured objects go in; a table, ``front.json`` and a picture come out."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from viewfusion import Config, ViewFusionError
from viewfusion.config import changed
from viewfusion.costs import steps_of
from viewfusion.fusion import schedule
from viewfusion.outputs.files import write_bytes, write_json, write_png

from .charts import COLOURS, Line, beside, chart
from .figures import compact
from .folder import STUDY, study_of
from .front_settings import COMPARISONS
from .page import filled
from .tables import number, table

SPIN = 36
"""Views of the spin whose network evaluations are counted."""
MEANS = ("psnr", "lpips_vgg", "adjacent_lpips_vgg", "psnr_to_base", "lpips_vgg_to_base")
IN_ORDER = ("DDIM", "DPM++", "SDE", "most")
"""Lines of the charts whose points are joined: those along which one number falls."""


def evaluations(config: Config, views: int, scheduler_config: Mapping[str, Any]) -> tuple[int, int]:
    """Network evaluations (rows) of a ring of ``views``, and how many of them are light; counted, not run."""
    config = changed(config, views=views)
    targets = schedule(config.trajectory(), config.rules())
    steps = [step for each in steps_of(config, targets, scheduler_config) for step in each]
    return sum(step.rows for step in steps), sum(step.rows for step in steps if step.light)


def summary(state: Path) -> dict[str, Any]:
    """Means over the objects of ``state``, and medians of the times' ratios to the base.

    Raises:
        ViewFusionError: nothing was measured there.
    """
    about = study_of(state)
    files = sorted(path for path in state.glob("*.json") if path.name != STUDY)
    objects = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    if not objects:
        raise ViewFusionError(f"{state}: no finished object; run `measure` first")
    settings = {name: _settled(about, name, objects) for name in about["names"]}
    best = pareto({name: (each["times_as_fast"], each["lpips_vgg"]) for name, each in settings.items()})
    for name, each in settings.items():
        each["on_the_front"] = name in best
    told = {key: value for key, value in about.items() if key != "settings"}
    return {**told, "objects": [each["name"] for each in objects], "settings": settings}


def _settled(about: Mapping[str, Any], name: str, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Of one setting."""
    mine, base = [each[name] for each in objects], [each[about["base"]] for each in objects]
    faster = [b["cpu_seconds"] / a["cpu_seconds"] for a, b in zip(mine, base, strict=True)]
    return {
        **about["settings"][name],
        "evaluations": mine[0]["evaluations"],
        "light_evaluations": mine[0]["light_evaluations"],
        "seconds": round(statistics.median(each["seconds"] for each in mine), 3),
        "cpu_seconds": round(statistics.median(each["cpu_seconds"] for each in mine), 3),
        "times_as_fast": round(statistics.median(faster), 3),
        **{key: round(statistics.fmean(each[key] for each in mine), 4) for key in MEANS},
    }


def pareto(points: Mapping[str, tuple[float, float]]) -> set[str]:
    """Those than which none is as fast and as good: (the more the better, the less the better)."""
    return {
        name
        for name, (speed, cost) in points.items()
        if not any(
            (other, least) != (speed, cost) and other >= speed and least <= cost
            for other, least in points.values()
        )
    }


def block(found: Mapping[str, Any], picture: str) -> str:
    """Markdown of what :func:`summary` gives."""
    base = found["settings"][found["base"]]
    rows = [
        [
            f"**{name}**" if each["on_the_front"] else name,
            each["words"],
            _counts(*each["evaluations_of_36"]),
            number(each["times_as_fast"], 1),
            number(each["psnr"], 2),
            number(each["lpips_vgg"], 4),
            number(100 * (each["lpips_vgg"] / base["lpips_vgg"] - 1), 1, "+"),
            number(each["adjacent_lpips_vgg"], 4),
            number(each["lpips_vgg_to_base"], 4),
        ]
        for name, each in _in_order(found)
    ]
    checkpoint, names = found["checkpoint"], found["objects"]
    said = (
        f"{len(names)} objects of the embedded benchmark ({', '.join(names)}), rings of {found['views']}; "
        f"`{checkpoint['name']}` (SHA-256 {checkpoint['sha256'][:12]}…); {found['machine']}. "
        f"`{found['base']}` took {base['cpu_seconds']:.1f} s of processor time a ring."
    )
    heads = [
        "setting",
        "",
        f"network evaluations, ring of {SPIN}",
        f"times as fast as {found['base']}",
        "PSNR, dB",
        "LPIPS vgg",
        f"to that of {found['base']}, %",
        "adjacent LPIPS vgg",
        f"LPIPS vgg from the views of {found['base']}",
    ]
    return f"![{found['name']}]({picture})\n\n{said}\n\n{table(heads, rows)}"


def _in_order(found: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The settings as they are told; a file has them by the alphabet."""
    return [(name, found["settings"][name]) for name in found["names"]]


def _counts(rows: int, light: int) -> str:
    return f"{rows - light:,} + {light:,} light" if light else f"{rows:,}"


def drawn(found: Mapping[str, Any]) -> Image.Image:
    """Speed across, and up what is lost: against the truth, and below that between neighbours."""
    lines = list(dict.fromkeys(each["line"] for _, each in _in_order(found)))
    colours = dict(zip(lines, (*COLOURS, (190, 60, 120)), strict=False))
    charts = []
    for metric, title in (("lpips_vgg", "to the truth"), ("adjacent_lpips_vgg", "between neighbours")):
        made = []
        for line in lines:
            mine = {name: each for name, each in _in_order(found) if each["line"] == line}
            points = [(each["times_as_fast"], each[metric]) for each in mine.values()]
            made.append(Line(line, points, colours[line], list(mine), joined=line in IN_ORDER))
        across = f"times as fast as {found['base']}"
        charts.append(chart(made, f"LPIPS vgg {title}", across, "LPIPS vgg"))
    return beside(charts, 1)


def write_page(state: Path, page: Path, images: Path) -> dict[str, Any]:
    """Fill ``page``, draw its pictures and write ``front.json`` beside it; what that holds, by comparison.

    Raises:
        ViewFusionError: there is no page, no results, or no place for them.
    """
    names = [name for name in COMPARISONS if (state / name / STUDY).exists()]
    if not names:
        raise ViewFusionError(f"{state}: nothing was measured there; run `measure` first")
    found = {name: summary(state / name) for name in names}
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    folder = Path(os.path.relpath(images, page.parent))
    blocks = {name: block(each, (folder / f"{name}.png").as_posix()) for name, each in found.items()}
    write_bytes(page, filled(text, blocks, page).encode())
    images.mkdir(parents=True, exist_ok=True)
    for name, each in found.items():
        write_png(images / f"{name}.png", compact(drawn(each)))
    write_json(page.with_name("front.json"), found)
    return found
