"""Results of an evaluation: what was scored goes in, ``results.json`` and ``results.csv`` come out, and back.

``results.json`` says everything: the protocol with all its settings, the system, the data, what each metric
is, every value and their means. ``results.csv`` holds the values alone, a row for each object, view and pair
of views. ``azimuth_deg`` of a view (of a pair: the first) is counted from the input view. An object is called
like its folder below ``objects/``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import write_bytes

from .schema import KIND, SCHEMA, check_results
from .summary import scores_of, summarise

__all__ = ["KIND", "MAX_BYTES", "SCHEMA", "read_results", "scores_of", "summarise", "write_results"]

RESULTS, TABLE = "results.json", "results.csv"

MAX_BYTES = 2**26
"""Of ``results.json``: half a million values. Parsed they take ten times as much memory."""

_COLUMNS = ("object", "status", "of", "view", "next_view", "azimuth_deg", "elevation_deg")


def write_results(folder: Path, results: dict[str, Any]) -> None:
    """``results.json``, an object a line, and ``results.csv``; each appears whole or not at all.

    Raises:
        ViewFusionError: ``results`` are not what :func:`read_results` would take, or cannot be written.
        ValueError: there are values that JSON has not, NaN for one.
    """
    content = _json_bytes(results)
    place = str(folder / RESULTS)
    if len(content) > MAX_BYTES:
        raise ViewFusionError(
            f"{place} would take more than {MAX_BYTES >> 20} MB; evaluate fewer objects at once"
        )
    checked = check_results(json.loads(content), place)
    write_bytes(folder / TABLE, _csv_bytes(checked))
    write_bytes(folder / RESULTS, content)


def read_results(folder: Path) -> dict[str, Any]:
    """What ``results.json`` in ``folder`` says; of anybody's folder.

    Raises:
        ViewFusionError: there is none, it is too large, or not what :mod:`.schema` says.
    """
    path = folder / RESULTS
    try:
        if not path.is_file():
            what = "no such folder" if not folder.is_dir() else f"there is no {RESULTS}"
            raise ViewFusionError(f"{folder}: {what}; give the folder that `benchmark` or `evaluate` made")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if len(content) > MAX_BYTES:
        raise ViewFusionError(f"{path}: larger than {MAX_BYTES >> 20} MB; restore the file or evaluate again")
    try:
        parsed = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0][:100] or type(error).__name__
        raise ViewFusionError(f"{path}: not JSON ({reason}); restore the file or evaluate again") from None
    return check_results(parsed, str(path))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _json_bytes(results: dict[str, Any]) -> bytes:
    """Sorted, indented, but each of the objects on one line: half the size, and good to search."""

    def text(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, allow_nan=False)

    objects = ",\n".join(text(each) for each in results.get("objects", ()))
    parts = {key: text(value, 2) for key, value in results.items() if key != "objects"}
    parts["objects"] = f"[\n{objects}\n]"
    lines = ",\n".join(f"{text(key)}: {parts[key]}" for key in sorted(parts))
    # File names may hold bytes that are no UTF-8; escaped (\udcff) they are valid JSON, read back the same.
    return f"{{\n{lines}\n}}\n".encode("utf-8", "backslashreplace")


def _csv_bytes(results: dict[str, Any]) -> bytes:
    """RFC 4180 with a head line; empty where there is no value."""
    metrics = sorted(results["metrics"])
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([*_COLUMNS, *metrics, "error"])
    for each in results["objects"]:
        for place, scores in _rows(each):
            # repr is the shortest text that is read back as the same number.
            numbers = ["" if scores.get(name) is None else repr(scores[name]) for name in metrics]
            error = each["error"] if place[2] == "object" else None
            writer.writerow([_cell(value) for value in place] + numbers + [_cell(error)])
    return file.getvalue().encode("utf-8", "backslashreplace")


def _rows(each: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Of an object: where a row's scores stand (one value for each of ``_COLUMNS``), and the scores."""
    head = (each["name"], each["status"])
    yield (*head, "object", None, None, None, None), each["scores"]
    for of, holders in (("image", each["images"]), ("pair", each["pairs"])):
        for holder in holders:
            views = holder["views"] if of == "pair" else (holder["view"], None)
            direction = holder.get("azimuth_deg"), holder.get("elevation_deg")
            yield (*head, of, *views, *direction), holder["scores"]


def _cell(value: Any) -> str:
    """A text that a spreadsheet does not take for a formula, whatever objects are called."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
