"""Meshes: the path of an OBJ, glTF, PLY or STL goes in, triangles as Zero123's cameras expect them come out.

Whatever a file's axes, place and size: z is up, the middle of the bounding box lies at the origin, and the
longest side is 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .mesh_files import UP_AXES, Assets, check_faces, gltf_header, load_scene
from .textures import GREY, Material, MaterialReader, srgb_from_linear

if TYPE_CHECKING:
    import trimesh

UPS = ("auto", "y", "z")
SCALES = ("fit", "longest")

LONGEST_DIAGONAL = 1.25
"""Of a bounding box at scale "fit". The ball around it touches the frame of a camera at radius 1.5: its
tangents leave at asin(0.625 / 1.5), half the field of view."""

MOST_PROBLEMS = 10
"""So many textures that cannot be read are named; the others are counted."""

_Y_UP_TO_Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass(frozen=True, eq=False)
class Mesh:
    """V vertices and F triangles in the world of ``viewfusion.geometry``.

    Args:
        vertices: (V, 3) float32.
        faces: (F, 3) int32, indices into ``vertices``.
        normals: (V, 3) float32, unit length; zeros where the file gives none (then faces are flat).
        uv: (V, 2) float32, v upwards.
        colours: (V, 4) uint8, RGBA; multiply the material.
        materials: what surfaces look like.
        face_materials: (F,) int32, indices into ``materials``.
        to_world: (4, 4) float64 from the file's coordinates to the world's.
        warnings: whole phrases a person should see.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colours: np.ndarray
    materials: tuple[Material, ...]
    face_materials: np.ndarray
    to_world: np.ndarray
    warnings: tuple[str, ...] = ()


def read_mesh(
    path: str | Path,
    up: str = "auto",
    textures: bool = True,
    scale: str = "fit",
    rotation: np.ndarray | None = None,
) -> Mesh:
    """The mesh in a file, all its parts together.

    Args:
        up: which axis of the file points up: "y", "z", or "auto" for what is usual (glTF and OBJ: y).
        textures: without, surfaces have the colour the file states beside the picture.
        scale: "longest" makes the longest side 1; "fit" does too unless the diagonal would be over 1.25, so
            that nothing is cut off at radius 1.5.
        rotation: (3, 3) in the file's coordinates, applied before everything else.

    Raises:
        ViewFusionError: the file cannot be read, is over a limit, or holds nothing to see.
    """
    path = Path(path)
    _check_choice("scale", scale, SCALES)
    turn = _upright(path, up) @ (np.eye(3) if rotation is None else np.asarray(rotation, dtype=np.float64))
    assets = Assets(path, textures)
    scene, reader = load_scene(path, assets), MaterialReader(textures)
    with _in_one_line(path):
        parts = list(_parts(scene, reader, path.suffix.lower() in (".glb", ".gltf")))
        mesh, dropped = _without_broken_faces(_joined(parts))
        vertices, to_world = _placed(mesh, turn, scale)
    problems = [*assets.problems.values(), *reader.problems, *_lost_textures(path, scene, textures)]
    warnings = [f"{problem}; drawn in a plain colour" for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        warnings.append(f"{len(problems) - MOST_PROBLEMS:,} more textures or materials cannot be read")
    if dropped:
        warnings.append(f"{dropped:,} faces with corners that are no finite numbers are left out")
    materials = tuple(part.material for part in parts)
    normals = (mesh.normals @ turn.T).astype(np.float32)
    return Mesh(
        vertices, mesh.faces.astype(np.int32), normals, mesh.uv.astype(np.float32), mesh.colours,
        materials, mesh.face_parts.astype(np.int32), to_world, tuple(warnings),
    )  # fmt: skip


def read_triangles(path: str | Path, up: str = "auto") -> tuple[np.ndarray, np.ndarray]:
    """The surface in a file where the file has it, to be measured: no vertex is moved but to turn z up.

    Args:
        up: as for :func:`read_mesh`; "z" leaves coordinates as they are.

    Returns:
        (V, 3) float64 and (F, 3) int64, all parts together; numbers that are not finite stay.

    Raises:
        ViewFusionError: the file cannot be read, is over a limit, or holds no faces.
    """
    path = Path(path)
    turn = _upright(path, up)
    scene = load_scene(path, Assets(path, textures=False))
    with _in_one_line(path):
        mesh = _joined(list(_parts(scene, MaterialReader(textures=False), linear=False)))
        return mesh.vertices @ turn.T, mesh.faces.astype(np.int64)


def fit_scale(low: np.ndarray, high: np.ndarray, scale: str = "fit") -> float:
    """What a box from ``low`` to ``high`` is multiplied by; see :func:`read_mesh`.

    Raises:
        ViewFusionError: the box is a point, or larger than numbers go.
    """
    longest, diagonal = float((high - low).max()), float(np.linalg.norm(high - low))
    if not (longest > 0 and math.isfinite(diagonal) and math.isfinite(1 / longest)):
        raise ViewFusionError("has no extent that a camera could see; check the file's vertices")
    return 1 / longest if scale == "longest" else min(1 / longest, LONGEST_DIAGONAL / diagonal)


def _upright(path: Path, up: str) -> np.ndarray:
    """(3, 3) from the axes of a file to z up."""
    _check_choice("up", up, UPS)
    usual = UP_AXES.get(path.suffix.lower(), "z")  # of a kind that is not read, reading tells
    return _Y_UP_TO_Z_UP if (usual if up == "auto" else up) == "y" else np.eye(3)


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ViewFusionError(f"{name} must be one of {', '.join(known)}, got {value!r}")


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """What goes wrong with the content of a file becomes an error that names it."""
    try:
        with np.errstate(all="ignore"):  # numbers out of range are looked for
            yield
    except MemoryError:
        raise ViewFusionError(f"{path}: needs more memory than there is; reduce the mesh") from None
    except ViewFusionError as error:
        raise ViewFusionError(f"{path}: {error}") from None
    except Exception as error:  # a reader that lets damaged values through
        said = " ".join(str(error).split())[:100] or type(error).__name__
        raise ViewFusionError(f"{path}: cannot be used ({said}); export it again") from None


@dataclass(frozen=True, eq=False)
class _Part:
    """One geometry of a scene in the scene's coordinates, float64; other fields as of :class:`Mesh`."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colours: np.ndarray
    material: Material


@dataclass(frozen=True, eq=False)
class _Joined:
    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    colours: np.ndarray
    face_parts: np.ndarray


def _parts(scene: trimesh.Scene, reader: MaterialReader, linear: bool) -> Iterator[_Part]:
    """Every geometry with faces, as often as the scene shows it."""
    shown = [scene.geometry[scene.graph[node][1]] for node in scene.graph.nodes_geometry]
    check_faces(sum(len(getattr(geometry, "faces", ())) for geometry in shown))
    for node in scene.graph.nodes_geometry:
        matrix, name = scene.graph[node]
        geometry = scene.geometry[name]
        faces = np.asarray(getattr(geometry, "faces", ()))
        if not len(faces):  # points, lines
            continue
        vertices = np.asarray(geometry.vertices, dtype=np.float64)
        if faces.ndim != 2 or faces.shape[1] != 3 or vertices.ndim != 2 or vertices.shape[1] != 3:
            raise ViewFusionError("its faces are no triangles; triangulate and export it again")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise ViewFusionError("a face names a vertex that is not there; export it again")
        matrix = np.asarray(matrix, dtype=np.float64)
        normals = _unit(_given_normals(geometry) @ _inverse(matrix[:3, :3]))
        vertices = vertices @ matrix[:3, :3].T + matrix[:3, 3]
        part = _Part(vertices, faces, normals, _uv(geometry), *_look(geometry, reader, linear))
        yield _unshared(part) if len(part.colours) == len(faces) != len(vertices) else part


def _given_normals(geometry: Any) -> np.ndarray:
    """(V, 3): of the file, or zeros where it has none: trimesh would compute some, smoothing every edge."""
    if "vertex_normals" in geometry._cache:
        normals = np.asarray(geometry._cache["vertex_normals"], dtype=np.float64)
        if normals.shape == geometry.vertices.shape:
            return np.nan_to_num(normals, nan=0.0, posinf=0.0, neginf=0.0)
    return np.zeros(geometry.vertices.shape)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """What rows of normals are multiplied by where points go through ``matrix``; 0 for a flattened part."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.zeros((3, 3))


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-12)


def _uv(geometry: Any) -> np.ndarray:
    uv = getattr(geometry.visual, "uv", None)
    if uv is None or np.ndim(uv) != 2 or len(uv) != len(geometry.vertices) or np.shape(uv)[1] < 2:
        return np.zeros((len(geometry.vertices), 2))
    return np.nan_to_num(np.asarray(uv, dtype=np.float64)[:, :2], nan=0.0, posinf=0.0, neginf=0.0)


def _look(geometry: Any, reader: MaterialReader, linear: bool) -> tuple[np.ndarray, Material]:
    """Colours of the vertices, or of the faces where there are as many as those, and the material.

    Args:
        linear: whether colours of vertices are linear light, as in glTF.
    """
    visual, white = geometry.visual, np.full((len(geometry.vertices), 4), 255, np.uint8)
    if visual.kind == "texture":
        if hasattr(visual.material, "baseColorFactor"):
            painted = visual.vertex_attributes.get("color")
            colours = white if painted is None else _levels(painted, linear)
            return (colours if len(colours) == len(white) else white), reader.pbr(visual.material)
        if hasattr(visual.material, "kwargs"):
            return white, reader.simple(visual.material)
        return white, Material()
    if visual.kind in ("vertex", "face"):
        painted = visual.vertex_colors if visual.kind == "vertex" else visual.face_colors
        return _levels(np.asarray(painted), linear), Material((1.0, 1.0, 1.0, 1.0))
    return white, Material(GREY)


def _levels(colours: np.ndarray, linear: bool) -> np.ndarray:
    """(N, 4) uint8 sRGB of colours as files have them: floats or integers, with or without alpha."""
    share = np.nan_to_num(colours[:, :4].astype(np.float64))
    if np.issubdtype(colours.dtype, np.integer):
        share /= np.iinfo(colours.dtype).max
    rgba = np.ones((len(share), 4))
    rgba[:, : share.shape[1]] = np.clip(share, 0, 1)
    if linear:
        rgba[:, :3] = srgb_from_linear(rgba[:, :3])
    return np.rint(rgba * 255).astype(np.uint8)


def _unshared(part: _Part) -> _Part:
    """The same triangles with three vertices each, so that every face can have its colour."""
    rows = part.faces.reshape(-1)
    return _Part(
        part.vertices[rows],
        np.arange(len(rows)).reshape(-1, 3),
        part.normals[rows],
        part.uv[rows],
        np.repeat(part.colours, 3, axis=0),
        part.material,
    )


def _joined(parts: Sequence[_Part]) -> _Joined:
    if not parts:
        raise ViewFusionError("holds no faces; export it with its surface")
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return _Joined(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.colours for part in parts]),
        np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts]),
    )


def _without_broken_faces(mesh: _Joined) -> tuple[_Joined, int]:
    """Faces with finite corners, and how many others there were. Those without area stay."""
    finite = np.isfinite(mesh.vertices).all(axis=1)
    kept = finite[mesh.faces].all(axis=1)
    if not kept.any():
        raise ViewFusionError("has no face whose corners are all finite numbers; export it again")
    vertices = np.where(finite[:, None], mesh.vertices, 0.0)
    clean = _Joined(vertices, mesh.faces[kept], mesh.normals, mesh.uv, mesh.colours, mesh.face_parts[kept])
    return clean, int((~kept).sum())


def _placed(mesh: _Joined, turn: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) float32 vertices in the world, and the (4, 4) matrix that put them there."""
    turned = mesh.vertices @ turn.T
    shown = np.zeros(len(turned), dtype=bool)
    shown[mesh.faces] = True
    low, high = turned[shown].min(axis=0), turned[shown].max(axis=0)
    factor = fit_scale(low, high, scale)
    to_world = np.eye(4)
    to_world[:3, :3] = factor * turn
    to_world[:3, 3] = -factor * (low + high) / 2
    turned[~shown] = low
    return ((turned - (low + high) / 2) * factor).astype(np.float32), to_world


def _lost_textures(path: Path, scene: trimesh.Scene, wanted: bool) -> list[str]:
    """Names of glTF materials whose pictures trimesh passed over without a word."""
    if not wanted:
        return []
    stated = {
        str(material.get("name"))
        for material in gltf_header(path).get("materials", [])
        if "baseColorTexture" in material.get("pbrMetallicRoughness", {})
    }
    read = [getattr(geometry.visual, "material", None) for geometry in scene.geometry.values()]
    lost = {
        str(getattr(material, "name", None))
        for material in read
        if material is not None and getattr(material, "baseColorTexture", None) is None
    }
    return [f"the texture of {name} cannot be read" for name in sorted(stated & lost)]
