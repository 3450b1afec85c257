"""The document: results go in, the marked blocks of docs/reconstruction.md and its pictures come out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evidence.folder import STUDY
from evidence.page import filled
from PIL import Image

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_bytes, write_json, write_png

from . import tables
from .results import METRICS, Results
from .sheets import sheet
from .systems import FUSED, INDEPENDENT, SMALL, STUDIES
from .tables import SYSTEMS

_TABLES: Mapping[str, Callable[[Results], str]] = {
    "views": tables.views,
    "spins": tables.spins,
    "presets": tables.presets,
}
SHOWN = 12
"""So many objects are on a sheet at most, spread evenly over the study's."""


def write_page(state: Path, page: Path, images: Path) -> list[str]:
    """Fill ``page``, write its pictures into ``images`` and its numbers beside it; the names of the blocks.

    Raises:
        ViewFusionError: there is no page, no results, or no place for some.
    """
    found = {name: Results(state / name) for name in STUDIES if (state / name / STUDY).exists()}
    found = {name: results for name, results in found.items() if results.objects}
    if not found:
        raise ViewFusionError(f"{state}: no finished object of any study; run `measure` first")
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    link = Path(os.path.relpath(images, page.parent)).as_posix()
    blocks = {
        name: f"![{name}]({link}/reconstruction-{name}.png)\n\n{_TABLES[name](results)}"
        for name, results in found.items()
    }
    write_bytes(page, filled(text, blocks, page).encode())
    images.mkdir(parents=True, exist_ok=True)
    for name, results in found.items():
        write_png(images / f"reconstruction-{name}.png", drawn(name, results))
    write_json(page.with_suffix(".json"), {name: numbers(results) for name, results in found.items()})
    return list(blocks)


def drawn(name: str, results: Results) -> Image.Image:
    """Truth and meshes of some objects."""
    systems = [SMALL, FUSED, INDEPENDENT] if name == "spins" else results.systems
    rows = [("truth", "truth"), *((system, SYSTEMS.get(system, system)) for system in systems)]
    step = max(1, -(-len(results.objects) // SHOWN))
    return sheet(results.objects[::step], rows)


def numbers(results: Results) -> dict[str, Any]:
    """Every number that is told, by object and system, and what was measured."""
    return {
        "about": results.about,
        "objects": {
            each.name: {
                system: {"failed": each.failed[system]}
                if system in each.failed
                else {**{name: each.value(system, name) for name in METRICS}, **each.systems[system]["form"]}
                for system in results.systems
            }
            for each in results.objects
        },
    }
