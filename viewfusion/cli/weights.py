"""Weights known by name: what is known of them goes in, a list for people or for programs comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer


def print_weights(rows: Sequence[Mapping[str, Any]], as_json: bool, source: str) -> None:
    """Say of each of ``rows`` whether it is here, where it comes from and under which licence.

    Args:
        rows: with "name", "licence", "size" in bytes and "path", both None where there is none.
        source: the key of where it comes from.
    """
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        size = f" ({row['size'] / 1e6:.0f} MB)" if row["size"] else ""
        typer.echo(f"{row['name']:{width}}  {row['path'] or 'not here'}")
        typer.echo(f"{'':{width}}  from {row[source]}{size}; licence: {row['licence']}")
