"""The document: results as JSON go in, the marked blocks of ``docs/benchmarks.md`` come out.

Blocks are as in :mod:`evidence.page`: what is between them, and those that no result is for, stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evidence.page import filled

from viewfusion import ViewFusionError
from viewfusion.outputs.files import write_bytes

from .tables import told

SUFFIXES = {"spin": "", "steps": "-steps", "growth": "-growth"}


def write_page(files: Sequence[Path], page: Path) -> list[str]:
    """Fill ``page``; the names of the blocks that were filled.

    Raises:
        ViewFusionError: a file is no result, or the page has no place for one.
    """
    results = [read_result(path) for path in files]
    blocks = {block_of(result): told(result) for result in results}
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise ViewFusionError(f"{page} cannot be read: {error.strerror}") from error
    write_bytes(page, filled(text, blocks, page).encode())
    return list(blocks)


def block_of(result: dict[str, Any]) -> str:
    """For instance "zero123-nano-cpu", "full-size-cpu-steps", "full-size-cuda"."""
    name = f"{result['network']}-{result['host']['device']}{SUFFIXES[result['kind']]}"
    return re.sub(r"[^\w-]", "-", name)


def read_result(path: Path) -> dict[str, Any]:
    """What ``--json`` wrote.

    Raises:
        ViewFusionError: it is none.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not JSON"
        raise ViewFusionError(f"{path}: cannot be read ({reason}); give what --json wrote") from error
    if not isinstance(result, dict) or result.get("kind") not in SUFFIXES:
        raise ViewFusionError(f"{path}: no result of a measurement; give what --json wrote")
    return result
