"""The document: results go in, the marked blocks of docs/reconstruction.md and its pictures come out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from evidence.folder import STUDY
from evidence.page import filled
from PIL import Image

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_bytes, write_json, write_png

from . import tables
from .results import Results
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
    found = {name: Results.read(state / name) for name in STUDIES if (state / name / STUDY).exists()}
    found = {name: results for name, results in found.items() if results.objects}
    if not found:
        raise ViewFusionError(f"{state}: no finished object of any study; run `measure` first")
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    link = Path(os.path.relpath(images, page.parent)).as_posix()
    blocks = {name: block(name, results, link) for name, results in found.items()}
    write_bytes(page, filled(text, blocks, page).encode())
    images.mkdir(parents=True, exist_ok=True)
    for name, results in found.items():
        write_png(images / picture(name), drawn(state / name, name, results))
    write_json(page.with_suffix(".json"), {name: results.to_data() for name, results in found.items()})
    return list(blocks)


def picture(name: str) -> str:
    """The file of a study's sheet."""
    return f"reconstruction-{name}.png"


def block(name: str, results: Results, link: str) -> str:
    """Markdown of a study; ``link`` is the folder of pictures as the page sees it."""
    return f"![{name}]({link}/{picture(name)})\n\n{_TABLES[name](results)}"


def drawn(folder: Path, name: str, results: Results) -> Image.Image:
    """Truth and meshes of some objects."""
    systems = [SMALL, FUSED, INDEPENDENT] if name == "spins" else results.systems
    rows = [("truth", "truth"), *((system, SYSTEMS.get(system, system)) for system in systems)]
    step = -(-len(results.objects) // SHOWN)
    return sheet(folder, [each.name for each in results.objects[::step]], rows)
