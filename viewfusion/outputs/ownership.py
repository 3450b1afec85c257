"""Whose a folder is and whether it is whole: what a run left in it goes in, answers come out.

Everything read here may have been edited by hand, cut short or put there by somebody else.
"""

from __future__ import annotations

import json
import re
import reprlib
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from .products import FILES, FOLDERS

_VIEW = re.compile(rf"({'|'.join(FOLDERS)})/[0-9]{{3,}}\.png")
_MOST_BYTES = 2**28
_DEEPEST = 8


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} where there is none.

    Raises:
        OSError: there is something that cannot be read.
    """
    try:
        about = path.stat()
        if about.st_size > _MOST_BYTES or stat.S_ISFIFO(about.st_mode):  # a pipe would be waited for
            return {}
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def differences(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Phrases such as "views=16, now 36", in the order of ``now``."""
    old, new = _flat(was), _flat(now)
    phrases = []
    for key in [*new, *(key for key in old if key not in new)]:
        if key not in old:
            phrases.append(f"no {_short(key, 60)}, now {_short(new[key])}")
        elif key not in new:
            phrases.append(f"{_short(key, 60)}={_short(old[key])}, now without")
        elif old[key] != new[key]:
            phrases.append(f"{_short(key, 60)}={_short(old[key])}, now {_short(new[key])}")
    return phrases


def is_whole(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether the files a manifest names, its views among them, are there and can be opened.

    Pictures somebody has touched up count as whole, those that are cut short or damaged do not.
    """
    files, views = manifest.get("files"), manifest.get("views")
    if not (isinstance(files, list) and isinstance(views, list) and views):
        return False
    if not all(isinstance(view, dict) and "file" in view for view in views):
        return False
    # A single view's run keeps no pictures of those on the way.
    pictures = [view["file"] for view in views if view["file"] is not None]
    return bool(
        pictures
        and all(isinstance(name, str) and _is_inside(name) for name in (*files, *pictures))
        and set(pictures) <= set(files)
        and all(can_be_opened(folder / name) for name in files)
    )


def made_files(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """Files in ``folder`` that its run has made, beside the manifest.

    A manifest tells which; without one (``{}``: the run was not finished) every name that runs use counts.
    Whatever a manifest says, no other name does, and nothing behind a link.
    """
    listed = manifest.get("files")
    names = listed if isinstance(listed, list) else [*FILES, *_views_in(folder)]
    linked = {name for name in FOLDERS if (folder / name).is_symlink()}
    return [
        folder / name
        for name in names
        if name in FILES or (_is_view(name) and PurePosixPath(name).parts[0] not in linked)
    ]


def _is_view(name: object) -> bool:
    return isinstance(name, str) and bool(_VIEW.fullmatch(name))


def _views_in(folder: Path) -> Iterable[str]:
    return (f"{name}/{file.name}" for name in FOLDERS for file in (folder / name).glob("*.png"))


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def can_be_opened(path: Path) -> bool:
    """Whether a file is there and, as far as can be told cheaply, neither cut short nor damaged."""
    if not path.is_file() or not path.stat().st_size:
        return False
    if path.suffix == ".json":
        return bool(read_json(path))
    if path.suffix not in (".png", ".gif"):
        return True
    try:
        with Image.open(path, formats=("PNG", "GIF")) as picture:
            picture.verify()  # the checksums of a PNG, without decoding it
    except Exception:  # damaged files fail in every way Pillow knows
        return False
    return True


def _flat(values: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Nested keys joined by dots; what is nested deeper than any run of ours stays as it is."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict) and depth < _DEEPEST
        flat.update(_flat(value, f"{prefix}{key}.", depth + 1) if nested else {prefix + key: value})
    return flat


def _short(value: Any, most: int = 16) -> str:
    """On one line, and without what would move a terminal's cursor."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    text = "".join(letter if letter.isprintable() else "?" for letter in text[: most + 1])
    return text if len(text) <= most else text[: most - 4] + "..."
