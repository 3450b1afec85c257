"""What ``results.json`` may hold: anybody's parsed JSON goes in, itself or an error of one line comes out."""

from __future__ import annotations

import math
from typing import Any

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import LONGEST_NAME

from .shapes import (
    Misfit,
    Shape,
    brief,
    count,
    items,
    number,
    one_of,
    or_null,
    pattern,
    plain,
    record,
    table,
    text,
)
from .summary import AVERAGINGS, averaging_of, mean_of, means, values_of

SCHEMA = 1
KIND = "viewfusion-results"

_MOST_OBJECTS = 100_000
_MOST_VALUES = 10_000  # views, pairs or notes of one object
_CLOSE = 1e-5
"""Greatest difference, of a number and relative, between a mean that is written and that of the values."""


def check_results(content: Any, place: str) -> dict[str, Any]:
    """``content``, what a ``results.json`` at ``place`` says, if it is sound.

    Raises:
        ViewFusionError: another schema; something missing or of another type; a number that is none; names
            that are no folder's or stand twice; means that are not those of the values.
    """
    try:
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise Misfit(f"not the results of an evaluation (of kind {KIND!r})")
        if content.get("schema") is True or content.get("schema") != SCHEMA:
            raise Misfit(f"schema {brief(content.get('schema'))}, where this viewfusion reads {SCHEMA}")
        _RESULTS(content)
        _check_objects(content["objects"], content["metrics"])
        _check_summary(content)
    except Misfit as misfit:
        raise ViewFusionError(f"{place}: {misfit}; restore the file or evaluate again") from None
    return content


def _folder_name(value: Any) -> None:
    """One name, of what lies below ``objects/``: it leads nowhere else, and is not hidden."""
    text(LONGEST_NAME, 1)(value)
    long = len(value.encode("utf-8", "surrogatepass")) > LONGEST_NAME
    if long or value.startswith(".") or any(sign in value for sign in "/\\\0"):
        raise Misfit(f"must be the name of a folder, got {brief(value)}")


MOST_SHOWN = 24
"""Views in the picture of an object."""


def _settings(value: Any) -> None:
    """Of a protocol: plain data, of which averaging and published numbers are understood here."""
    record({"averaging": one_of(*AVERAGINGS)}, {"published": or_null(items(_PUBLISHED, 100))})(value)


_HASH = pattern("[0-9a-f]{64}", "a SHA-256 in hexadecimal")
_METRIC = pattern("[a-z][a-z0-9_]{0,63}", "the name of a metric (a-z, 0-9, _)")
_SCORES = table(_METRIC, or_null(number))
_WORDS = text(10_000)
_PLAIN = table(text(200), plain)
_PUBLISHED = record(
    {"system": text(200, 1), "scores": _SCORES},
    dict.fromkeys(("checkpoint", "data", "protocol", "source"), or_null(text(2000))),
)
_DIRECTION = dict.fromkeys(("azimuth_deg", "elevation_deg"), or_null(number))
_IMAGE = record({"view": count, "scores": _SCORES}, _DIRECTION)
_PAIR = record({"views": items(count, 2, 2), "scores": _SCORES}, _DIRECTION)  # that of the first view
_OBJECT = record(
    {
        "name": _folder_name,
        "status": one_of("scored", "failed"),
        "error": or_null(_WORDS),
        "scores": _SCORES,
        "images": items(_IMAGE, _MOST_VALUES),
        "pairs": items(_PAIR, _MOST_VALUES),
        "notes": items(_WORDS, _MOST_VALUES),
    },
    {
        "shown": items(count, MOST_SHOWN),  # views in its picture
        "truth_sha256": or_null(_HASH),  # of what it was compared with
    },
)
_DEFINITION = record(
    {
        "title": text(200, 1),
        "unit": text(40),
        "better": one_of("higher", "lower"),
        "of": one_of("images", "pairs", "object"),
    },
    {
        "settings": or_null(_PLAIN),
        "library": or_null(_WORDS),
        "averaging": one_of(*AVERAGINGS),
        "weights": record({"name": text(200), "sha256": _HASH}),  # of a network that a user gave
    },
)
_MEAN = record(
    {
        "mean": or_null(number),
        "low": or_null(number),
        "high": or_null(number),
        "level": number,
        **dict.fromkeys(("objects", "values", "missing"), count),
    }
)
_RESULTS: Shape = record(
    {
        "schema": count,
        "kind": one_of(KIND),
        "viewfusion": text(100),
        "protocol": record({"name": text(200, 1), "sha256": _HASH, "about": _WORDS, "settings": _settings}),
        "system": record(
            {
                "name": text(200, 1),
                "variant": or_null(text(200)),
                "checkpoint": or_null(record({"name": text(1000)}, {"sha256": or_null(_HASH)})),
                "config": or_null(_PLAIN),
            }
        ),
        "data": record({"name": text(1000), "layout": text(200), "objects": count, "sha256": or_null(_HASH)}),
        "metrics": table(_METRIC, _DEFINITION),
        "objects": items(_OBJECT, _MOST_OBJECTS),
        "summary": table(_METRIC, _MEAN),
    },
    {
        "command": or_null(items(_WORDS, 1000)),
        "versions": or_null(_PLAIN),
        "unmeasured": table(_METRIC, _WORDS),  # why a metric of the protocol is not among them
    },
)


def _check_objects(objects: list[dict[str, Any]], metrics: dict[str, Any]) -> None:
    """Names stand once, scores are of known metrics, and those of an object are the means of its own."""
    seen = set()
    for place, each in enumerate(objects):
        if each["name"] in seen:
            raise Misfit(f"stands twice: {brief(each['name'])}", "objects", place, "name")
        seen.add(each["name"])
        _check_failure(each, place)
        for holder, key in ((each["images"], "view"), (each["pairs"], "views")):
            if len({str(one[key]) for one in holder}) < len(holder):
                raise Misfit("has a view twice", "objects", place)
        for holder in (each, *each["images"], *each["pairs"]):
            for name in holder["scores"].keys() - metrics.keys():
                raise Misfit(f"is not among the metrics: {brief(name)}", "objects", place, "scores")
        for name, score in each["scores"].items():
            if not _close(score, mean_of(values_of(each, name, metrics[name]["of"]))):
                raise Misfit(f"is not the mean of the object's {name}", "objects", place, "scores", name)


def _check_failure(each: dict[str, Any], place: int) -> None:
    """Failed objects say why and have no scores; others have no error."""
    failed = each["status"] == "failed"
    if failed != bool(each["error"]):
        raise Misfit("must say why the object failed, or be null", "objects", place, "error")
    if failed and (each["scores"] or each["images"] or each["pairs"]):
        raise Misfit("must have no scores, since the object failed", "objects", place)


def _check_summary(content: dict[str, Any]) -> None:
    """Every metric has a mean that is the mean, over as many values as there are."""
    metrics, summary = content["metrics"], content["summary"]
    for name in metrics.keys() ^ summary.keys():
        raise Misfit("stands in one of metrics and summary", name)
    for name, metric in metrics.items():
        averaging = averaging_of(metric, content["protocol"]["settings"]["averaging"])
        wanted, written = means(content["objects"], name, metric["of"], averaging), summary[name]
        for key in ("mean", "objects", "values", "missing"):
            if not _close(written[key], wanted[key]):
                raise Misfit(
                    f"is {brief(written[key])} where the objects give {brief(wanted[key])}",
                    "summary",
                    name,
                    key,
                )
        low, high = written["low"], written["high"]
        bare = low is None or high is None
        if bare != (wanted["mean"] is None) or (not bare and low > high):
            raise Misfit("is no interval from low to high", "summary", name)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)
