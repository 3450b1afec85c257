"""Where the files that travel with the package lie, and where the user's own may: configs, checkpoints."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

_IN_CHECKOUT = {"benchmark": "data/benchmark"}
"""Those that lie deeper in a checkout."""


def resource_folder(name: str) -> Path:
    """The folder "configs", "zero123_ckpts" or "benchmark": of the checkout, or in the installed package."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / _IN_CHECKOUT.get(name, name)


def cache_folder() -> Path:
    """The user's cache folder for viewfusion; need not exist, and may be emptied at any time."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "viewfusion"
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / "viewfusion"
