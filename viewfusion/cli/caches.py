"""Where other packages write for themselves: the environment goes in, and comes out amended."""

from __future__ import annotations

import os
from pathlib import Path

_TORCH = "TORCHINDUCTOR_CACHE_DIR"


def keep_caches_together() -> None:
    """Give torch's compiler a folder below the user's cache folder, before torch is imported.

    diffusers imports that compiler, and the import makes a folder among the temporary files, used or not.
    Where the cache folder cannot be written to, it stays at that.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111
    # Unlike pathlib's, this exists() says no of what lies in a folder that may not be entered.
    there = next((folder for folder in (cache, *cache.parents) if os.path.exists(folder)), cache)  # noqa: PTH110
    if cache.is_absolute() and os.access(there, os.W_OK):
        os.environ.setdefault(_TORCH, str(cache / "viewfusion" / "torchinductor"))
