"""Finishing: the raw triangles of a field go in; what a person would hand on comes out, closed, outside out.

Floaters go, holes are closed, steps are smoothed without losing volume, and flat parts get fewer triangles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from viewfusion.errors import ViewFusionError

from .triangles import (
    Topology,
    Triangles,
    components,
    is_watertight,
    six_volumes,
    topology,
    vertex_normals,
)

_SHRINK, _GROW = 0.5, 0.525
"""Taubin's factors; 1 / 0.5 - 1 / 0.525 = 0.095 is the frequency that passes unchanged."""

_CRUMB = 1e-4
"""Pieces with less of the largest one's volume, that closing holes may leave, go."""

_GENTLER = (1.0, 1.5, 2.5, 4.0)
"""Times the faces asked for, tried in turn until what is left hangs together as before."""


@dataclass(frozen=True)
class Finishing:
    """How a surface is finished.

    Args:
        faces: at most so many are left; 0: all of them.
        smoothing: passes of Taubin's filter, each one step in and one out; 0: none.
        smallest_piece: pieces with less than this share of the largest one's volume are floaters; 1 leaves
            the largest alone.
        handles: whether handles must last, if that takes more faces; of noise they need not.
    """

    faces: int = 40_000
    smoothing: int = 5
    smallest_piece: float = 0.02
    handles: bool = True

    def __post_init__(self) -> None:
        if self.faces < 0 or 0 < self.faces < 100:
            raise ViewFusionError(f"faces must be 0 (all) or at least 100, got {self.faces}")
        if self.smoothing < 0:
            raise ViewFusionError(f"smoothing must be 0 (none) or more passes, got {self.smoothing}")
        if not 0 <= self.smallest_piece <= 1:
            raise ViewFusionError(f"smallest_piece must be a share of 0 to 1, got {self.smallest_piece:g}")


def finished(triangles: Triangles, settings: Finishing | None = None) -> Triangles:
    """``triangles`` without floaters and holes, smoothed and reduced.

    Raises:
        ViewFusionError: nothing is left that encloses anything.
    """
    settings = settings or Finishing()
    whole = without_floaters(outside_out(closed(triangles)), settings.smallest_piece)
    return decimated(smoothed(whole, settings.smoothing), settings.faces, settings.handles)


def outside_out(triangles: Triangles) -> Triangles:
    """Faces turned over where, together, they enclose less than nothing."""
    if triangles.volume >= 0:
        return triangles
    return Triangles(triangles.vertices, triangles.faces[:, ::-1].copy())


def without_floaters(triangles: Triangles, smallest_piece: float) -> Triangles:
    """The pieces that enclose at least ``smallest_piece`` of what the largest one does.

    Those that are inside out are walls of cavities, and those within another piece are in one: neither can
    be seen.

    Raises:
        ViewFusionError: no piece encloses anything.
    """
    labels = components(triangles)
    volumes = np.bincount(labels, six_volumes(triangles.corners)) / 6 if len(labels) else np.zeros(1)
    largest = volumes.max()
    if not largest > 0:
        raise ViewFusionError("no mesh can be made: the surface encloses nothing; train longer")
    kept = [piece for piece in np.argsort(-volumes) if volumes[piece] >= max(smallest_piece * largest, 1e-12)]
    seen: list[int] = []
    for piece in kept:
        point = triangles.corners[np.argmax(labels == piece), 0]
        if not any(winding_number(triangles.corners[labels == other], point) > 0.5 for other in seen):
            seen.append(int(piece))
    return used_only(triangles.vertices, triangles.faces[np.isin(labels, seen)])


def winding_number(corners: np.ndarray, point: np.ndarray) -> float:
    """How often the closed surface of (F, 3, 3) goes around ``point``: 1 inside, 0 outside.

    By the solid angles of its faces (van Oosterom and Strackee, 1983).
    """
    a, b, c = (corners[:, place] - point for place in range(3))
    x, y, z = (np.linalg.norm(each, axis=1) for each in (a, b, c))
    above = np.einsum("fi,fi->f", a, np.cross(b, c))
    below = x * y * z + (a * b).sum(1) * z + (b * c).sum(1) * x + (c * a).sum(1) * y
    return float(np.arctan2(above, below).sum() / (2 * np.pi))


def closed(triangles: Triangles) -> Triangles:
    """Without faces of no use, and with a fan over each hole.

    Faces are of no use that name a vertex twice or are there twice. Where more than two faces share an edge,
    those around it go, and the holes they leave are closed too. A surface that is watertight is left alone.
    """
    if is_watertight(triangles):
        return triangles
    faces = triangles.faces
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    faces = faces[np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1]]
    crowded = _crowded_vertices(faces)
    faces = faces[~np.isin(faces, crowded).any(axis=1)]
    vertices, faces = _fanned(triangles.vertices, faces)
    return used_only(vertices, faces)


def _crowded_vertices(faces: np.ndarray) -> np.ndarray:
    """Ends of the edges that more than two faces share, or two that run along it in the same direction."""
    edges = _edges(faces)
    _, where, counts = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
    _, one_way, times = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    return np.unique(edges[(counts[where.ravel()] > 2) | (times[one_way.ravel()] > 1)])


def _edges(faces: np.ndarray) -> np.ndarray:
    """(3 F, 2) edges of faces in the direction each runs along them."""
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def _fanned(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A new vertex in the middle of each border, and triangles from it to the border's edges."""
    edges = _edges(faces)
    there = {tuple(edge) for edge in edges.tolist()}
    border = [(first, second) for first, second in there if (second, first) not in there]
    ahead: dict[int, list[int]] = {}
    for first, second in sorted(border):
        ahead.setdefault(second, []).append(first)  # the new faces run the other way
    points: list[np.ndarray] = []
    fans: list[tuple[int, int, int]] = []
    while ahead:
        loop = _loop(ahead)
        middle = len(vertices) + len(points)
        points.append(vertices[loop].mean(axis=0))
        fans += [(first, second, middle) for first, second in zip(loop, [*loop[1:], loop[0]], strict=True)]
    if not fans:
        return vertices, faces
    return np.concatenate([vertices, points]), np.concatenate([faces, np.array(fans)])


def _loop(ahead: dict[int, list[int]]) -> list[int]:
    """One way round along ``ahead`` that passes no vertex twice; its edges are taken out."""
    path = [next(iter(ahead))]
    while True:
        following = ahead[path[-1]].pop()
        if not ahead[path[-1]]:
            del ahead[path[-1]]
        if following in path:
            place = path.index(following)
            for first, second in pairwise(path[: place + 1]):
                ahead.setdefault(first, []).append(second)  # the way to the loop is not of it
            return path[place:]
        path.append(following)


def used_only(vertices: np.ndarray, faces: np.ndarray) -> Triangles:
    """Without the vertices that no face has."""
    used, places = np.unique(faces, return_inverse=True)
    return Triangles(vertices[used], places.reshape(-1, 3).astype(np.int64))


def smoothed(triangles: Triangles, passes: int) -> Triangles:
    """Smoothed by Taubin's filter; encloses what it did."""
    if not passes:
        return triangles
    import trimesh
    from scipy.sparse import coo_matrix

    faces, count = triangles.faces, len(triangles.vertices)
    pairs = np.unique(np.concatenate([_edges(faces), _edges(faces)[:, ::-1]]), axis=0)
    share = 1 / np.bincount(pairs[:, 0], minlength=count).clip(1)[pairs[:, 0]]
    mean = coo_matrix((share, (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
    mesh = trimesh.Trimesh(triangles.vertices, faces, process=False)
    trimesh.smoothing.filter_taubin(mesh, _SHRINK, _GROW, iterations=2 * passes, laplacian_operator=mean)
    return enclosing(Triangles(np.array(mesh.vertices), faces), triangles.volume)


def enclosing(triangles: Triangles, volume: float) -> Triangles:
    """Moved in or out along the normals, everywhere as far, until so much is enclosed."""
    for _ in range(3):  # each leaves a small part of what was wrong
        corners = triangles.corners
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        step = (volume - triangles.volume) / max(area.sum() / 2, 1e-12)
        vertices = triangles.vertices + step * vertex_normals(triangles)
        triangles = Triangles(vertices, triangles.faces)
    return triangles


def decimated(triangles: Triangles, faces: int, handles: bool = True) -> Triangles:
    """About ``faces`` triangles at most; more where fewer would tear it or close its handles.

    Of many handles, most of which are noise, a third may go. If there is no keeping them, it is watertight.

    Args:
        faces: 0: all there are.
        handles: whether they matter.
    """
    if not faces or len(triangles.faces) <= faces:
        return triangles
    import fast_simplification

    before, tight = topology(triangles), None
    for times in _GENTLER:
        target = int(times * faces)
        if target >= len(triangles.faces):
            break
        vertices, left = fast_simplification.simplify(
            triangles.vertices, triangles.faces.astype(np.int32), target_count=target
        )
        result = closed(Triangles(vertices.astype(np.float64), left.astype(np.int64)))
        after = topology(result)
        if after.watertight and after.components > before.components:
            result = without_floaters(result, _CRUMB)
            after = topology(result)
        if after.watertight == before.watertight and (not handles or _as_many_handles(before, after)):
            return enclosing(result, triangles.volume)
        if after.watertight and tight is None:
            tight = result
    return triangles if tight is None else enclosing(tight, triangles.volume)


def _as_many_handles(before: Topology, after: Topology) -> bool:
    if before.genus is None or after.genus is None:
        return True
    return abs(after.genus - before.genus) <= before.genus // 3
