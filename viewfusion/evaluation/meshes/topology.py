"""Edges of a mesh: faces go in, whether they close around a volume comes out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .triangles import Triangles


@dataclass(frozen=True)
class Topology:
    """How the faces of a mesh join.

    Args:
        edges: how many different edges there are.
        odd: those with an odd number of faces: a face is missing there.
        flipped: those of exactly two faces that face opposite ways.
        crowded: those of more than two faces.
        balanced: whether every edge is run through as often one way as the other, each face being run around
            counter-clockwise. Then the surface winds a whole number of times around every point.
    """

    edges: int
    odd: int
    flipped: int
    crowded: int
    balanced: bool

    @property
    def watertight(self) -> bool:
        """Whether every ray from a point tells the same about whether the point is inside."""
        return self.balanced or not self.odd

    @property
    def signed(self) -> bool:
        """Whether the ways faces are turned can be trusted: where not, crossings are only counted."""
        return self.balanced or bool(self.odd and not self.flipped)

    def notes(self) -> list[str]:
        """What is unusual, in words."""
        notes = []
        if not self.watertight:
            notes.append(
                f"not watertight: a face is missing at {self.odd:,} of {self.edges:,} edges; inside is what "
                "most of six directions take for it"
            )
        if self.crowded:
            notes.append(f"not manifold: {self.crowded:,} of {self.edges:,} edges join more than two faces")
        if not self.signed:
            notes.append(
                f"faces are turned both ways, at {self.flipped:,} of {self.edges:,} edges; inside is told by "
                "counting crossings"
            )
        return notes


def topology(mesh: Triangles) -> Topology:
    """The edges of a mesh whose vertices at the same place are one (:func:`.triangles.cleaned`)."""
    starts, ends = mesh.faces.reshape(-1), np.roll(mesh.faces, -1, axis=1).reshape(-1)
    names = np.minimum(starts, ends) * len(mesh.vertices) + np.maximum(starts, ends)
    order = np.argsort(names, kind="stable")
    names, way = names[order], np.where(starts < ends, 1, -1)[order]
    first = np.flatnonzero(np.diff(names, prepend=-1))
    counts = np.diff(np.append(first, len(names)))
    balances = np.add.reduceat(way, first)
    return Topology(
        edges=len(first),
        odd=int((counts % 2).sum()),
        flipped=int(((counts == 2) & (balances != 0)).sum()),
        crowded=int((counts > 2).sum()),
        balanced=not balances.any(),
    )
