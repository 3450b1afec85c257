"""Text from untrusted files, made fit for a one-line message."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 80


def brief(value: object) -> str:
    """``value`` in at most 80 printable ASCII characters; containers by their type only."""
    if isinstance(value, (dict, list, tuple, set)):
        return f"a {type(value).__name__}"
    try:
        text = str(value)
    except Exception:  # an integer of too many digits, for one
        return f"some {type(value).__name__}"
    return text[:_LONGEST].encode("unicode_escape").decode("ascii")


def shown(values: Iterable[object], most: int = 3) -> str:
    """The first few of ``values``, each brief, and "..." if there are more."""
    listed = list(values)
    return ", ".join(map(brief, listed[:most])) + (", ..." if len(listed) > most else "")
