"""The mesh that leaves: a surface with normals, colours and a texture, in the world of the cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .triangles import Triangles


@dataclass(frozen=True, eq=False)
class TexturedMesh:
    """A mesh with its colours, z up, in world units.

    Args:
        vertices: (V, 3) float64; one on a cut of the texture is there several times.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        normals: (V, 3) float64 of unit length, the same on both sides of a cut.
        colours: (V, 3) uint8, for formats and viewers without textures.
        uv: (V, 2) float64 in [0, 1], v upwards; None without a texture.
        texture: (T, T, 3) uint8, sRGB, every texel filled; None without one.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    uv: np.ndarray | None = None
    texture: np.ndarray | None = None

    def scaled(self, factor: float) -> TexturedMesh:
        """``factor`` times as large; by 1 / :attr:`Scene.scale`, in the scene's units."""
        return replace(self, vertices=self.vertices * factor)

    def welded(self) -> TexturedMesh:
        """Without a texture, and every vertex once: what is cut open for the texture is closed again."""
        vertices, first, places = np.unique(self.vertices, axis=0, return_index=True, return_inverse=True)
        faces = places.reshape(-1)[self.faces]
        return TexturedMesh(vertices, faces, self.normals[first], self.colours[first])

    def surface(self) -> Triangles:
        """The surface alone, closed as :meth:`welded`."""
        welded = self.welded()
        return Triangles(welded.vertices, welded.faces)
