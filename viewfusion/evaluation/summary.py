"""Summaries: what every object scored goes in, a mean of each metric and its interval come out.

Two ways to average: "objects" is the mean of each object's mean, "values" the plain mean of all values (of
all images, or all pairs, of all objects), in which an object counts as often as it has values. In both the
interval is of drawing objects: the views of one object are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

AVERAGINGS = ("objects", "values")
"""A mean over objects of their means; or over all images (or pairs) of all objects."""

Scores = list[float | None]

_ORDER = (
    *("psnr", "ssim", "lpips_alex", "lpips_vgg", "clip", "mask_iou"),
    *("adjacent_lpips_alex", "adjacent_lpips_vgg", "adjacent_clip", "adjacent_sift"),
    *("flow_warp_error", "epipolar_share", "epipolar_residual", "loop_closure"),
    *("chamfer", "f_score", "precision", "recall", "volume_iou", "normal_consistency"),
)


def summarise(
    objects: Sequence[Mapping[str, Any]], metrics: Mapping[str, Mapping[str, Any]], averaging: str
) -> dict[str, dict[str, Any]]:
    """The ``summary`` of ``results.json``, for each of ``metrics``.

    Args:
        objects: entries of ``objects``; those that failed have no values.
        metrics: entries of ``metrics``; a metric that says ``averaging`` itself is averaged so.
        averaging: "objects" or "values".

    Returns:
        For each metric ``mean``, ``low``, ``high`` (null without values), ``level``; ``objects`` and
        ``values`` that count, and values that are ``missing`` because they are null.
    """
    from .metrics.bootstrap import bootstrap_interval

    summary = {}
    for name, metric in metrics.items():
        entry = means(objects, name, metric["of"], averaging_of(metric, averaging))
        each, weights = entry.pop("each"), entry.pop("weights")
        interval = bootstrap_interval(each, weights=weights) if each else None
        summary[name] = {
            **entry,
            "low": interval and interval.low,
            "high": interval and interval.high,
            "level": interval.level if interval else 0.95,
        }
    return summary


def scores_of(each: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """The ``scores`` of an object: of each metric its images or pairs have, the mean; its own as they are."""
    found = {}
    for name, metric in metrics.items():
        values = values_of(each, name, metric["of"])
        if values:
            found[name] = mean_of(values)
    return found


def means(objects: Sequence[Mapping[str, Any]], name: str, of: str, averaging: str) -> dict[str, Any]:
    """The mean of a metric, what it counts, ``each`` object's mean and its ``weights``."""
    each, weights, missing = [], [], 0
    for entry in objects:
        values = values_of(entry, name, of)
        there = [value for value in values if value is not None]
        missing += len(values) - len(there)
        if there:
            each.append(math.fsum(there) / len(there))
            weights.append(len(there))
    count = sum(weights)
    weights = weights if averaging == "values" else [1] * len(each)
    total = math.fsum(value * weight for value, weight in zip(each, weights, strict=True))
    return {
        "mean": total / sum(weights) if each else None,
        "objects": len(each),
        "values": count,
        "missing": missing,
        "each": each,
        "weights": weights,
    }


def values_of(each: Mapping[str, Any], name: str, of: str) -> Scores:
    """What an object scored in a metric: one number of each image or pair, or its own."""
    holders = [each] if of == "object" else each[of]
    return [holder["scores"][name] for holder in holders if name in holder["scores"]]


def mean_of(values: Scores) -> float | None:
    """The mean of those that are there; none where none is."""
    there = [value for value in values if value is not None]
    return math.fsum(there) / len(there) if there else None


def averaging_of(metric: Mapping[str, Any], averaging: str) -> str:
    return str(metric.get("averaging", averaging))


def in_order(names: Iterable[str]) -> list[str]:
    """Metrics as a reader expects them: pictures, neighbouring views, meshes; others by the alphabet."""
    return sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name))
