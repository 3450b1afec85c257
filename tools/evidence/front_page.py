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
from viewfusion.fusion import evaluations_a_step, schedule
from viewfusion.geometry import ring
from viewfusion.outputs.files import write_bytes, write_json, write_png
from viewfusion.solvers import make_scheduler

from .charts import COLOURS, Line, beside, chart
from .figures import compact
from .folder import STUDY, study_of
from .front_settings import EXACT, IN_ORDER
from .page import filled
from .tables import number, table

SPIN = 36
"""Views of the spin whose network evaluations are counted."""
MEANS = ("psnr", "lpips_vgg", "adjacent_lpips_vgg", "psnr_to_exact", "lpips_vgg_to_exact")


def evaluations(config: Config, views: int, scheduler_config: Mapping[str, Any]) -> int:
    """Network evaluations (rows) of a ring of ``views``, counted and not run."""
    config = changed(config, views=views)
    sampling: Any = config.sampling
    timesteps = make_scheduler(
        sampling.solver, scheduler_config, sampling.num_inference_steps, sampling.spacing, sampling.leap_sigma
    ).timesteps
    shares = [float(each) / scheduler_config["num_train_timesteps"] for each in timesteps]
    guided = sum(sampling.guidance_low <= share <= sampling.guidance_high for share in shares)
    guided *= sampling.guidance_scale != 1
    counts = [len(target.references) for target in schedule(ring(views), config.rules())]
    variant = config.fusion.variant
    with_guidance = sum(evaluations_a_step(variant, count) for count in counts)
    without = sum(evaluations_a_step(variant, count, guided=False) for count in counts)
    return guided * with_guidance + (len(shares) - guided) * without


def summary(state: Path) -> dict[str, Any]:
    """Means over the objects of ``state``, and medians of the times' ratios to exact.

    Raises:
        ViewFusionError: nothing was measured there.
    """
    about = study_of(state)
    files = sorted(path for path in state.glob("*.json") if path.name != STUDY)
    objects = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    if not objects:
        raise ViewFusionError(f"{state}: no finished object; run `measure` first")
    settings = {}
    for name in about["settings"]:
        mine, exact = [each[name] for each in objects], [each[EXACT] for each in objects]
        faster = [
            b["cpu_seconds"] / a["cpu_seconds"] if a["cpu_seconds"] else 0.0
            for a, b in zip(mine, exact, strict=True)
        ]
        settings[name] = {
            **about["settings"][name],
            "evaluations": mine[0]["evaluations"],
            "seconds": round(statistics.median(each["seconds"] for each in mine), 3),
            "cpu_seconds": round(statistics.median(each["cpu_seconds"] for each in mine), 3),
            "times_as_fast": round(statistics.median(faster), 3),
            **{key: round(statistics.fmean(each[key] for each in mine), 4) for key in MEANS},
        }
    best = pareto({name: (each["times_as_fast"], each["lpips_vgg"]) for name, each in settings.items()})
    for name, each in settings.items():
        each["on_the_front"] = name in best
    told = {key: value for key, value in about.items() if key != "settings"}
    return {**told, "objects": [each["name"] for each in objects], "settings": settings}


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
    exact, rows = found["settings"][EXACT], []
    for name, each in found["settings"].items():
        worse = 100 * (each["lpips_vgg"] / exact["lpips_vgg"] - 1)
        rows.append(
            [
                f"**{name}**" if each["on_the_front"] else name,
                each["words"],
                f"{each['evaluations_of_36']:,}",
                number(each["times_as_fast"], 1),
                number(each["psnr"], 2),
                number(each["lpips_vgg"], 4),
                number(worse, 1, "+"),
                number(each["adjacent_lpips_vgg"], 4),
                number(each["lpips_vgg_to_exact"], 4),
            ]
        )
    checkpoint, names = found["checkpoint"], found["objects"]
    said = (
        f"{len(names)} objects of the embedded benchmark ({', '.join(names)}), rings of {found['views']}; "
        f"`{checkpoint['name']}` (SHA-256 {checkpoint['sha256'][:12]}…); {found['machine']}. "
        f"`{EXACT}` took {exact['cpu_seconds']:.1f} s of processor time a ring."
    )
    heads = [
        "setting", "", f"network evaluations, ring of {SPIN}", "times as fast as exact", "PSNR, dB",
        "LPIPS vgg", "to exact's, %", "adjacent LPIPS vgg", "LPIPS vgg from exact's views",
    ]  # fmt: skip
    return f"![front]({picture})\n\n{said}\n\n{table(heads, rows)}"


def drawn(found: Mapping[str, Any]) -> Image.Image:
    """Speed across, and up what is lost: to the truth on the left, between neighbours on the right."""
    lines = list(dict.fromkeys(each["line"] for each in found["settings"].values()))
    colours = dict(zip(lines, (*COLOURS, (190, 60, 120)), strict=False))
    charts = []
    for metric, title in (("lpips_vgg", "to the truth"), ("adjacent_lpips_vgg", "between neighbours")):
        made = []
        for line in lines:
            mine = {name: each for name, each in found["settings"].items() if each["line"] == line}
            points = [(each["times_as_fast"], each[metric]) for each in mine.values()]
            made.append(Line(line, points, colours[line], list(mine), joined=line in IN_ORDER))
        charts.append(chart(made, f"LPIPS vgg {title}", "times as fast as exact", "LPIPS vgg"))
    return beside(charts, 1)


def write_page(state: Path, page: Path, images: Path) -> dict[str, Any]:
    """Fill ``page``, write its picture and, beside it, ``front.json``; what that holds.

    Raises:
        ViewFusionError: there is no page, no results, or no place for them.
    """
    found = summary(state)
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    link = (Path(os.path.relpath(images, page.parent)) / "front.png").as_posix()
    write_bytes(page, filled(text, {"front": block(found, link)}, page).encode())
    images.mkdir(parents=True, exist_ok=True)
    write_png(images / "front.png", compact(drawn(found)))
    write_json(page.with_name("front.json"), found)
    return found
