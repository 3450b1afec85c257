"""Where the files that travel with the package lie: configs and shipped checkpoints."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """The folder ``name`` ("configs", "zero123_ckpts"): of the checkout, or inside the installed package."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
