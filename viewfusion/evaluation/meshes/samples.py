"""Points on a surface: a mesh goes in, samples spread evenly over its area come out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .triangles import Triangles


@dataclass(frozen=True, eq=False)
class Samples:
    """N points and how the surface lies there.

    Args:
        points: (N, 3) float64.
        normals: (N, 3) float64, unit length, of the face; which side they point to has no meaning.
    """

    points: np.ndarray
    normals: np.ndarray


def surface_samples(mesh: Triangles, count: int, generator: np.random.Generator) -> Samples:
    """``count`` points, each part of the surface as likely as its area says.

    A face is drawn by its area, then a point in it as (1 - sqrt u) A + sqrt u (1 - v) B + sqrt u v C with
    u, v uniform (Osada et al., Shape Distributions, 2002, section 4.2). The generator decides all of it.
    """
    crosses = mesh.crosses
    lengths = np.linalg.norm(crosses, axis=1)
    ends = np.cumsum(lengths)
    picks = np.searchsorted(ends, generator.random(count) * ends[-1], side="right")
    picks = np.minimum(picks, np.flatnonzero(lengths)[-1])  # a rounding up to the end itself
    root, v = np.sqrt(generator.random(count))[:, None], generator.random(count)[:, None]
    a, b, c = mesh.vertices[mesh.faces[picks]].swapaxes(0, 1)
    points = (1 - root) * a + root * (1 - v) * b + root * v * c
    return Samples(points, crosses[picks] / lengths[picks, None])
