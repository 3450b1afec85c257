"""Alignment: a mesh and a protocol's steps go in, the mesh where the protocol wants it comes out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .triangles import Triangles

STEPS = ("rotate", "centre", "scale")


def aligned(mesh: Triangles, steps: Sequence[str], rotation: float, longest_side: float) -> Triangles:
    """``mesh`` after ``steps``, one after another in the order given.

    Args:
        steps: "rotate" turns about z; "centre" puts the middle of the bounding box at the origin; "scale"
            multiplies coordinates so that the box's longest side is ``longest_side``. None: as it is.
        rotation: radians, counter-clockwise seen from above.
    """
    vertices = mesh.vertices
    for step in steps:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        if step == "rotate":
            vertices = vertices @ _turn(rotation).T
        elif step == "centre":
            vertices = vertices - (low + high) / 2
        elif step == "scale":
            vertices = vertices * (longest_side / (high - low).max())
        else:
            raise ValueError(f"unknown step {step!r}; known: {', '.join(STEPS)}")
    return Triangles(vertices, mesh.faces)


def _turn(angle: float) -> np.ndarray:
    """(3, 3)."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
