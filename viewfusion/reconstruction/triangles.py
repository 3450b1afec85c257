"""Triangles: what the steps from a field to a mesh hand one another, how they lie together, their normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Triangles:
    """A surface, z up, vertices shared by the triangles that meet there.

    Args:
        vertices: (V, 3) float64.
        faces: (F, 3) int64, counter-clockwise seen from outside.
    """

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def corners(self) -> np.ndarray:
        """(F, 3, 3): the corners of each face."""
        return self.vertices[self.faces]

    @property
    def volume(self) -> float:
        """What is enclosed; negative where the inside is out."""
        return float(six_volumes(self.corners).sum() / 6)


@dataclass(frozen=True)
class Topology:
    """How a surface hangs together, as :mod:`trimesh` finds it.

    Args:
        watertight: every edge belongs to two faces, which run along it in opposite directions.
        components: pieces that share no vertex.
        genus: handles of all pieces together; None where the surface is not watertight.
        volume: None where the surface is not watertight.
    """

    vertices: int
    faces: int
    watertight: bool
    components: int
    genus: int | None
    area: float
    volume: float | None


def topology(triangles: Triangles) -> Topology:
    import trimesh

    mesh = trimesh.Trimesh(triangles.vertices, triangles.faces, process=False)
    closed = bool(mesh.is_watertight and mesh.is_winding_consistent)
    pieces = int(components(triangles).max(initial=-1)) + 1
    used = len(np.unique(triangles.faces))
    euler = used - len(mesh.edges_unique) + len(triangles.faces)
    return Topology(
        vertices=len(triangles.vertices),
        faces=len(triangles.faces),
        watertight=closed,
        components=pieces,
        genus=pieces - euler // 2 if closed else None,
        area=float(mesh.area),
        volume=float(mesh.volume) if closed else None,
    )


def is_watertight(triangles: Triangles) -> bool:
    """Whether every edge belongs to two faces, which run along it in opposite directions."""
    import trimesh

    mesh = trimesh.Trimesh(triangles.vertices, triangles.faces, process=False)
    return bool(len(triangles.faces) and mesh.is_watertight and mesh.is_winding_consistent)


def components(triangles: Triangles) -> np.ndarray:
    """(F,) number of the piece that a face belongs to, from 0; pieces share no vertex."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count, faces = len(triangles.vertices), triangles.faces
    rows, columns = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    return np.unique(labels[faces[:, 0]], return_inverse=True)[1]


def six_volumes(corners: np.ndarray) -> np.ndarray:
    """(F,) six times the signed volume of the tetrahedron of each face of (F, 3, 3) and the origin."""
    return np.einsum("fi,fi->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2]))


def vertex_normals(triangles: Triangles) -> np.ndarray:
    """(V, 3) of unit length: the faces around a vertex, weighted by their angles there.

    So a corner of a cube points outwards evenly however its sides are cut into triangles. A vertex without
    area around it gets some direction, for formats want one.
    """
    corners = triangles.corners
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    normals = np.zeros_like(triangles.vertices)
    for place in range(3):
        ahead = unit(corners[:, (place + 1) % 3] - corners[:, place])
        back = unit(corners[:, (place + 2) % 3] - corners[:, place])
        angles = np.arccos(np.clip((ahead * back).sum(axis=1), -1, 1))
        for axis in range(3):
            normals[:, axis] += np.bincount(
                triangles.faces[:, place], angles * flat[:, axis], len(triangles.vertices)
            )
    normals = unit(normals)
    normals[~normals.any(axis=1)] = (0.0, 0.0, 1.0)
    return normals


def unit(vectors: np.ndarray) -> np.ndarray:
    """``vectors`` (N, 3) at length 1; zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-30)
