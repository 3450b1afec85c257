"""Importing much at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """While torch and diffusers are imported and a model is loaded, look for no garbage.

    Thousands of modules set off pass after pass over all that is there already, of which nothing is garbage:
    a fifth of the time that the imports take.
    """
    runs = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if runs:
            gc.enable()
