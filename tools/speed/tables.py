"""Tables: results go in, Markdown comes out, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from evidence.tables import table

from .spins import EXACT, NAIVE
from .stages import STAGES

SETTLED = 20
"""Objects after which a process should have all that it will ever need."""


def told(result: dict[str, Any]) -> str:
    """A result of any kind."""
    tables = {"spin": spin_tables, "steps": steps_table, "growth": growth_tables}
    return tables[result["kind"]](result)


def said(result: dict[str, Any]) -> str:
    """A line on what was measured where."""
    host = result["host"]
    versions = ", ".join(f"{name} {version}" for name, version in host["versions"].items())
    where = host["device_name"] if host["device"] == "cuda" else f"CPU ({host['device_name']})"
    cores = f"{host['cores']} cores, {host['threads']} threads of torch"
    return f"`{result['network']}`; {where}; {cores}; {versions}; {host['date']}."


def spin_tables(result: dict[str, Any]) -> str:
    order = sorted(result["variants"], key=lambda name: (name != NAIVE, name != EXACT, name))
    variants = {name: result["variants"][name] for name in order}
    heads = ["variant", "seconds", "times as fast", "evaluations", "encodes", "decodes", "TFLOP"]
    heads += ["TFLOP/s", "of the roofline", "peak memory, GB", "largest difference", "mean difference"]
    rows = []
    for name, each in variants.items():
        low, high = each["speedup_range"]
        rows.append(
            [
                f"`{name}`, {each['dtype']}",
                f"{each['seconds']:.2f}",
                f"{each['speedup']:.2f} ({low:.2f} to {high:.2f})",
                f"{each['evaluations']}",
                f"{each['encodes']}",
                f"{each['decodes']}",
                f"{each['flops'] / 1e12:.3g}",
                f"{each['flops_a_second'] / 1e12:.3g}",
                f"{each['roofline_share']:.0%}",
                f"{each['peak_memory'] / 1e9:.2f}",
                "-" if each["max_difference"] is None else f"{each['max_difference']}/255",
                "-" if each["mean_difference"] is None else f"{each['mean_difference']:.2f}/255",
            ]
        )
    shares = [
        [f"`{name}`", *(f"{e['shares'][stage]:.1%}" for stage in STAGES)] for name, e in variants.items()
    ]
    first = next(iter(variants.values()))
    roofs = ", ".join(
        f"{reached / 1e12:.3g} TFLOP/s in {dtype} ({side}²)"
        for dtype, (side, reached) in result["matrix_products"].items()
    )
    return "\n\n".join(
        [
            f"{result['views']} views, {first['references']} references in all and at most "
            f"{first['most_references']} at once; medians of {result['repeat']}, the variants in turn; "
            f"{said(result)}",
            table(heads, rows),
            f"Differences and times are against `{first['compared_with']}`. The roofline is what a product "
            f"of large matrices reached in the same run: {roofs}. Peak memory: {first['peak_memory_is']}.",
            table(["share of the time", *STAGES], shares),
        ]
    )


def steps_table(result: dict[str, Any]) -> str:
    naive, exact = (result["variants"][name] for name in (NAIVE, EXACT))
    rows = [
        [
            f"`{name}`",
            f"{each['rows']}",
            f"{each['seconds']:.2f}",
            f"{each['seconds'] / each['rows']:.3f}",
            f"{each['flops_a_row'] / 1e9:.1f}",
            f"{each['flops_a_row'] * each['rows'] / each['seconds'] / result['matrix_product'][1]:.0%}",
            f"{each['evaluations']}",
            f"{each['evaluations'] * each['seconds'] / each['rows'] / 3600:.1f}",
        ]
        for name, each in ((NAIVE, naive), (EXACT, exact))
    ]
    heads = ["variant", "rows of the step", "seconds", "seconds a row", "GFLOP a row", "of the roofline"]
    heads += [f"evaluations of {result['views']} views", "hours they would take"]
    counted = naive["evaluations"] / exact["evaluations"]
    return "\n\n".join(
        [
            f"One step with {result['references']} references, the best of {result['repeat']}; "
            f"{result['dtype']}; {said(result)}",
            table(heads, rows),
            f"The step: {naive['seconds'] / exact['seconds']:.2f} times as fast "
            f"({naive['rows'] / exact['rows']:.2f} times fewer rows). A spin of {result['views']} views: "
            f"{counted:.2f} times fewer evaluations.",
        ]
    )


def growth_tables(result: dict[str, Any]) -> str:
    rows, memory = [], []
    for views, made in sorted(result["rings"].items(), key=lambda ring: int(ring[0])):
        thirds = np.array_split(np.arange(len(made)), 3)
        seconds, evaluations = (np.array([each[key] for each in made]) for key in ("seconds", "evaluations"))
        references = [each["references"] for each in made]
        rows.append(
            [
                views,
                f"{sum(references)}",
                f"{max(references)}",
                *(f"{seconds[third].mean():.3f}" for third in thirds),
                *(f"{1000 * seconds[third].sum() / evaluations[third].sum():.2f}" for third in thirds),
            ]
        )
        resident = [each["resident"] / 2**20 for each in made]
        memory.append([views, f"{resident[0]:.0f}", f"{resident[len(made) // 2]:.0f}", f"{resident[-1]:.0f}"])
    heads = ["views", "references in all", "at most at once", "s a view, first third", "middle", "last"]
    heads += ["ms an evaluation, first third", "middle", "last"]
    return "\n\n".join(
        [
            f"{result['solver_steps']} solver steps; {said(result)}",
            table(heads, rows),
            table(["views", "MiB after the first view", "middle", "last"], memory),
            objects_line(result["resident_after_objects"], result["object_views"]),
        ]
    )


def objects_line(after: Sequence[int], views: int) -> str:
    """How the process's memory went on from object to object."""
    settled = np.array(after[min(SETTLED, len(after) // 2) :]) / 2**10
    slope = np.polyfit(np.arange(len(settled)), settled, 1)[0] if len(settled) > 1 else 0.0
    first, middle, last, most = (
        f"{each / 2**20:.0f}" for each in (after[0], after[len(after) // 2], after[-1], max(after))
    )
    return (
        f"{len(after)} objects of {views} views in one process: {first} MiB resident after the first, "
        f"{middle} in the middle, {last} after the last, {most} at most; "
        f"once {len(after) - len(settled)} are done {slope:+.1f} KiB an object."
    )
