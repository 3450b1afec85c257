"""A measurement's folder: what it is of goes in once, what is finished in it comes out.

``study.json`` says what is measured. Each thing that is measured has a folder of its own with a JSON file for
each system.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import write_json

STUDY = "study.json"


def same_study(folder: Path, about: dict[str, Any]) -> None:
    """Write ``about`` into ``folder``, or see that it is what is there already.

    Raises:
        ViewFusionError: it is not.
    """
    path, about = folder / STUDY, json.loads(json.dumps(about))
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, about)
        return
    known = study_of(folder)
    odd = next((key for key in sorted({*known, *about}) if known.get(key) != about.get(key)), None)
    if odd:
        raise ViewFusionError(
            f"{folder}: was measured with other {odd}; remove the folder or choose another --state"
        )


def study_of(folder: Path) -> dict[str, Any]:
    """What :func:`same_study` wrote.

    Raises:
        ViewFusionError: nothing was measured there.
    """
    try:
        return _read(folder / STUDY)
    except OSError as error:
        raise ViewFusionError(
            f"{folder / STUDY} cannot be read: {error.strerror}; run `measure` first"
        ) from error


def finished(places: Iterable[Path], names: Sequence[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Those of ``places`` that have a JSON file of every one of ``names``, with what the files hold."""
    for place in sorted(places):
        files = {name: place / f"{name}.json" for name in names}
        if all(file.exists() for file in files.values()):
            yield place, {name: _read(file) for name, file in files.items()}


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
