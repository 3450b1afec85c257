"""Files by name: a file, a folder or a pattern as typed goes in, the files it names come out."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

from viewfusion.errors import ViewFusionError


def named_files(text: str, fits: Callable[[Path], bool], below: bool = False) -> list[Path] | None:
    """What ``text`` names, sorted; None for what is neither there nor a pattern.

    A file is itself, whatever it is. Of a folder and of a pattern only files that fit are taken, and no
    hidden ones, such as some systems put beside each file.

    Args:
        fits: decides by a file's name.
        below: a folder stands for the folders in it too.

    Raises:
        ViewFusionError: no name at all, such as of a variable that is not set.
    """
    if not text:
        raise ViewFusionError("an empty name was given; name a file or a folder, . for this one")
    path = Path(text)
    try:
        if path.is_dir():
            found = list(path.rglob("*") if below else path.iterdir())
        elif path.exists():
            return [path]
        elif glob.has_magic(text):
            # pathlib's own takes no absolute patterns.
            found = [Path(match) for match in glob.glob(text, recursive=True)]  # noqa: PTH207
        else:
            return None
    except (OSError, ValueError):  # too long, unreadable, or with a null byte: refused where it is opened
        return None
    return sorted(file for file in found if fits(file) and not file.name.startswith(".") and file.is_file())
