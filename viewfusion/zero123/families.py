"""Which family a checkpoint is of. Nothing in original weights tells, and a wrong guess gives wrong pictures.

Enters: what each of metadata, catalogue and user says. Leaves: the family and who knows it; an error where
two of them differ, a warning where nobody knows.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.geometry import Family

from .catalogue import Entry, entries_of_size
from .hashes import file_hash

ASSUMED: Family = "zero123"


def decide_family(
    path: Path, stated: Family | None, entry: Entry | None, told: Family | None
) -> tuple[Family, str]:
    """The family of the checkpoint at ``path``, and how it is known.

    Args:
        stated: by the checkpoint's own metadata.
        entry: of the catalogue, where the user gave its name.
        told: by the user.

    Raises:
        ViewFusionError: two of them differ.
    """
    claims: list[tuple[Family, str]] = []
    if stated:
        claims.append((stated, "its metadata"))
    if entry:
        claims.append((entry.family, f"its name in the catalogue, {entry.name}"))
    if told:
        claims.append((told, "--family"))
    recognised = None if stated or path.is_dir() else _recognised(path, {family for family, _ in claims})
    if recognised:
        claims.insert(0, (recognised.family, f"its hash, which is that of {recognised.name}"))
    for family, witness in claims[1:]:
        if family != claims[0][0]:
            raise ViewFusionError(
                f"{path}: is of family {claims[0][0]!r} by {claims[0][1]}, and of {family!r} by {witness}; "
                "leave --family out or correct it"
            )
    if claims:
        return claims[0]
    warnings.warn(
        f"{path}: nothing says which family it is of; assuming {ASSUMED!r}, which gives wrong views if it is "
        "a Stable Zero123: then give --family stable-zero123",
        ViewFusionWarning,
        stacklevel=2,
    )
    return ASSUMED, "assumed"


def _recognised(path: Path, claimed: set[Family]) -> Entry | None:
    """The catalogue's entry of this very file; hashed only where that could tell something."""
    candidates = entries_of_size(path.stat().st_size)
    if not candidates or claimed == {entry.family for entry in candidates}:
        return None
    digest = file_hash(path)
    return next((entry for entry in candidates if entry.sha256 == digest), None)
