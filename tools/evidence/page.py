"""The document: results go in, the marked blocks of ``docs/nano.md`` and its pictures come out.

A block is what lies between ``<!-- figures: NAME -->`` and ``<!-- end -->``. Everything else is prose, which
is left alone; a block whose study was not measured stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_bytes, write_png

from . import figures, tables
from .folder import STUDY
from .recognised import recognised
from .results import Measured, Results

_BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def write_page(state: Path, page: Path, images: Path) -> list[str]:
    """Fill ``page`` and write its pictures into ``images``; the names of the blocks that were filled.

    Raises:
        ViewFusionError: there is no page, no results, or no place for some.
    """
    found = {path.parent.name: Results(path.parent) for path in sorted(state.glob(f"*/{STUDY}"))}
    found = {name: results for name, results in found.items() if results.objects}
    if not found:
        raise ViewFusionError(f"{state}: no finished object of any study; run `measure` first")
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    blocks = made_blocks(found, images, Path(os.path.relpath(images, page.parent)).as_posix())
    write_bytes(page, filled(text, blocks, page).encode())
    return list(blocks)


def made_blocks(found: Mapping[str, Results], images: Path, link: str) -> dict[str, str]:
    """Name -> Markdown of every block that the results are enough for; pictures are written."""
    blocks, drawn = {}, {}
    for name in ("leap", "guidance", "steps"):
        if name in found:
            blocks[name] = tables.sweep(found[name])
    if "temperatures" in found:
        blocks["temperatures"] = tables.temperatures(found["temperatures"])
        drawn["temperatures"] = figures.compact(figures.temperature_curves(found["temperatures"]))
    if "quality" in found:
        results = found["quality"]
        blocks |= {"quality": tables.quality(results), "azimuths": tables.azimuths(results)}
        blocks["recognised"] = recognised(results)
        blocks["equal-cost"] = tables.consistency(results)
        drawn["azimuths"] = figures.compact(figures.azimuth_curves(results))
        for name, chosen in (("typical", figures.typical(results)), ("failures", figures.failures(results))):
            blocks[name], drawn[name] = listed(chosen), figures.compact(figures.sheet(chosen), 256)
    if "consistency" in found:
        blocks["consistency"] = tables.consistency(found["consistency"])
    if "quality" in found and "consistency" in found:
        blocks["bars"] = tables.bars(found["quality"], found["consistency"])
    images.mkdir(parents=True, exist_ok=True)
    for name, image in drawn.items():
        write_png(images / f"nano-{name}.png", image)
        blocks[name] = f"![{name}]({link}/nano-{name}.png)\n\n{blocks[name]}"
    return blocks


def listed(chosen: list[Measured]) -> str:
    """What a sheet shows, from the top, and whose it is."""
    metric = figures.RANKED_BY
    digits, name = tables.METRICS[metric][1], tables.METRICS[metric][0]
    lines = [f"{each.credit}: {name} {each.mean('fused', metric):.{digits}f}" for each in chosen]
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))


def filled(text: str, blocks: Mapping[str, str], page: Path) -> str:
    """``text`` with the content of its marked blocks replaced by those of ``blocks`` that are there.

    Raises:
        ViewFusionError: the page has no place, or two, for one of ``blocks``.
    """
    places = [match[2] for match in _BLOCK.finditer(text)]
    for name in blocks:
        if places.count(name) != 1:
            raise ViewFusionError(
                f"{page}: one block `<!-- figures: {name} -->` ... `<!-- end -->` wanted, "
                f"{places.count(name)} found"
            )

    def replaced(match: re.Match[str]) -> str:
        content = f"{blocks[match[2]]}\n" if match[2] in blocks else match[3]
        return match[1] + content + match[4]

    return _BLOCK.sub(replaced, text)
