"""The manifest: how a run's views were made goes in, one JSON record that lets anybody repeat it comes out.

No time of day and no absolute path enters: two runs of the same thing differ in ``seconds`` only.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from .cameras import pose_json, view_file
from .roles import is_input

if TYPE_CHECKING:
    from viewfusion.views import View, ViewRecord, ViewSet

SCHEMA = 1
"""Raised when a key changes its meaning or goes away."""


def manifest(
    views: ViewSet,
    records: Mapping[int, ViewRecord],
    *,
    fingerprint: dict[str, Any],
    config: dict[str, Any],
    checkpoint: dict[str, Any],
    source: dict[str, Any],
    files: Iterable[str],
    trajectory: dict[str, Any] | None = None,
    picture_of: Callable[[int], str | None] = view_file,
) -> dict[str, Any]:
    """Content of ``manifest.json``.

    Args:
        views: in output order.
        records: by view index, of the views made; views without one are listed without.
        fingerprint: what tells this run from another, as given to :meth:`RunFolder.open`.
        config: the whole configuration.
        checkpoint: {name, sha256}; of a name that is a path the last part is kept.
        source: {file, sha256, method, confidence, warnings, ...} of the photo; of ``file`` the last part is
            kept.
        files: paths of the run's other files, inside its folder.
        trajectory: {kind, file, order}: where the poses come from, and the order they were made in.
        picture_of: the picture of a view by its index; None for one that is not kept.
    """
    made = [records[view.index] for view in views if view.index in records]
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "fingerprint": fingerprint,
        "config": config,
        "seed": config.get("seed", 0),
        "checkpoint": _without_folder(checkpoint, "name"),
        "input": _without_folder(source, "file"),
        **({"trajectory": trajectory} if trajectory else {}),
        "files": sorted(files),
        "views": [
            _entry(view, picture_of(view.index), is_input(views, view), records.get(view.index))
            for view in views
        ],
        "totals": {
            "views": len(views),
            "generated": sum(not is_input(views, view) for view in views),
            "solver_steps": sum(record.solver_steps for record in made),
            "network_evaluations": sum(record.network_evaluations for record in made),
            "seconds": round(sum(record.seconds for record in made), 3),
        },
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the pictures."""
    found = {"python": platform.python_version()}
    for package in ("viewfusion", "torch", "diffusers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # used from a checkout, or views of another system
            found[package] = "not installed"
    return found


def _entry(view: View, file: str | None, given: bool, record: ViewRecord | None) -> dict[str, Any]:
    entry = {
        "index": view.index,
        "file": file,
        "pose": pose_json(view.pose),
        "source": "input" if given else "generated",
    }
    if record is None:
        return entry
    return entry | {
        "references": list(record.references),
        "weights": list(record.weights),
        "solver_steps": record.solver_steps,
        "network_evaluations": record.network_evaluations,
        "seconds": round(record.seconds, 3),
        **({"light_evaluations": record.light_evaluations} if record.light_evaluations else {}),
    }


def _without_folder(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {**values, key: PurePath(values[key]).name} if key in values else dict(values)
