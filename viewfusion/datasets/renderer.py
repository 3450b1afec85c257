"""Pictures of meshes: a :class:`Mesh`, a pose and a light go in, straight-alpha RGBA comes out.

Rays are cast by Embree. Surfaces are Lambertian and two-sided, lit by one light that stands still in the
world and an even rest; what is transparent shows what is behind it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, camera_to_world

from .mesh_files import missing_extra
from .meshes import Mesh

SUPERSAMPLE = 4
"""Rays a side of each pixel: 16 a pixel."""

MAX_SIDE = 2048
LAYERS = 12
"""So many transparent surfaces behind one another are seen; the last one counts as opaque."""

_RAYS = 2**18  # at once: about 100 MB of arrays
_STEP = 1e-4  # past a surface, in units of the object's longest side
_FAINT = 1 / 512  # of the light through transparent surfaces


@dataclass(frozen=True)
class Light:
    """One distant light and an even rest.

    Args:
        direction: towards the light, in the world, of any length; None: where the camera is.
        ambient: share of a colour seen in the shade, in [0, 1]; 1 shows colours as they are.
    """

    direction: tuple[float, float, float] | None = (0.5, 0.5, 1.0)
    ambient: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.ambient <= 1:
            raise ViewFusionError(f"ambient light must be within 0 and 1, got {self.ambient:g}")
        if self.direction is not None and not 0 < math.hypot(*self.direction) < math.inf:
            raise ViewFusionError("a light needs a direction, got one without length")

    @classmethod
    def from_angles(cls, azimuth: float, elevation: float, ambient: float) -> Light:
        """Radians, as of a :class:`Pose`."""
        flat = math.cos(elevation)
        return cls((flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)), ambient)


class Renderer:
    """Renders one mesh from any number of poses.

    Raises:
        ViewFusionError: embreex is missing.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._scene = _embree_scene(mesh)
        self._normals = mesh.normals if mesh.normals.any() else None
        self._densities = _texel_densities(mesh)

    def render(
        self,
        pose: Pose,
        size: int,
        light: Light | None = None,
        supersample: int = SUPERSAMPLE,
        fov: float = FOV,
    ) -> np.ndarray:
        """(size, size, 4) uint8 RGBA, straight alpha; white where nothing is.

        The same arguments give the same picture.
        """
        camera, rays = camera_to_world(pose), size * supersample
        steps = (2 * (np.arange(rays) + 0.5) / rays - 1) * math.tan(fov / 2)
        spread = 2 * math.tan(fov / 2) / rays
        picture = np.empty((size, size, 4), np.uint8)
        rows = max(1, _RAYS // (rays * supersample))
        for top in range(0, size, rows):
            heights = -steps[top * supersample : (top + rows) * supersample]
            local = np.stack(
                np.broadcast_arrays(steps[None, :], heights[:, None], -np.ones((1, 1))), axis=-1
            ).reshape(-1, 3)
            directions = local @ camera[:3, :3].T
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            seen = self._trace(camera[:3, 3], directions, light or Light(), spread)
            blocks = seen.reshape(-1, supersample, size, supersample, 4).mean(axis=(1, 3))
            picture[top : top + rows] = _straight(blocks)
        return picture

    def _trace(self, origin: np.ndarray, directions: np.ndarray, light: Light, spread: float) -> np.ndarray:
        """(R, 4) premultiplied colour and alpha of rays from ``origin`` along unit ``directions`` (R, 3).

        Args:
            spread: width of what a ray stands for, at distance 1.
        """
        directions = directions.astype(np.float32)
        seen = np.zeros((len(directions), 4), np.float32)
        through = np.ones(len(directions), np.float32)
        travelled = np.zeros(len(directions), np.float32)
        active = np.arange(len(directions))
        for layer in range(LAYERS):
            towards = directions[active]
            starts = origin.astype(np.float32) + travelled[active, None] * towards
            hits = self._scene.run(starts, towards, output=True)
            met = hits["primID"] >= 0
            if not met.any():
                break
            active, towards = active[met], towards[met]
            hits = {name: values[met] for name, values in hits.items()}
            travelled[active] += hits["tfar"]
            rgba = self._surface(hits, travelled[active] * spread)
            rgba[:, :3] *= self._shade(hits, towards, light)[:, None]
            if layer == LAYERS - 1:
                rgba[:, 3] = 1
            weight = through[active] * rgba[:, 3]
            seen[active, :3] += weight[:, None] * rgba[:, :3]
            seen[active, 3] += weight
            through[active] -= weight
            active = active[through[active] > _FAINT]
            travelled[active] += _STEP
            if not len(active):
                break
        return seen

    def _surface(self, hits: dict[str, np.ndarray], footprint: np.ndarray) -> np.ndarray:
        """(R, 4) float32 RGBA in [0, 1] of the surface where rays met it, unlit."""
        mesh, faces = self.mesh, hits["primID"]
        colours = _interpolated(mesh.colours, mesh.faces[faces], hits) / 255
        materials = mesh.face_materials[faces]
        for each in np.unique(materials):
            material, rows = mesh.materials[each], np.flatnonzero(materials == each)
            colours[rows] *= np.asarray(material.colour, np.float32)
            if material.texture is not None:
                corners = {name: hits[name][rows] for name in ("u", "v")}
                uv = _interpolated(mesh.uv, mesh.faces[faces[rows]], corners)
                texels = self._densities[faces[rows]] * footprint[rows]
                level = np.log2(np.maximum(texels, 1.0))
                colours[rows] *= material.texture.sample(uv, level)
        return colours

    def _shade(self, hits: dict[str, np.ndarray], towards: np.ndarray, light: Light) -> np.ndarray:
        """(R,) what colours are multiplied by, in [0, 1]."""
        flat = _unit(hits["Ng"])
        flat *= -np.sign(_dot(flat, towards))[:, None]  # the side that is seen
        normals = flat
        if self._normals is not None:
            given = _interpolated(self._normals, self.mesh.faces[hits["primID"]], hits)
            given = _unit(given) * np.where(_dot(given, flat) < 0, -1, 1)[:, None].astype(np.float32)
            normals = np.where(given.any(axis=1, keepdims=True), given, flat)
        source = -towards if light.direction is None else np.asarray(light.direction, np.float32)[None]
        lambert = np.clip(_dot(normals, _unit(source)), 0, 1)
        return light.ambient + (1 - light.ambient) * lambert


def _embree_scene(mesh: Mesh) -> Any:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise missing_extra(error) from None
    scene = EmbreeScene(robust=True)  # no ray slips through between two triangles
    TriangleMesh(scene, mesh.vertices, mesh.faces)
    return scene


def _texel_densities(mesh: Mesh) -> np.ndarray:
    """(F,) texels of the face's texture to a unit of length; 0 where it has none."""
    densities = np.zeros(len(mesh.faces), np.float32)
    for place, material in enumerate(mesh.materials):
        if material.texture is None:
            continue
        rows = np.flatnonzero(mesh.face_materials == place)
        corners, uv = mesh.vertices[mesh.faces[rows]], mesh.uv[mesh.faces[rows]]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = np.linalg.norm(np.cross(a, b), axis=1)
        c, d = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
        height, width = material.texture.levels[0].shape[:2]
        texels = np.abs(c[:, 0] * d[:, 1] - c[:, 1] * d[:, 0]) * height * width
        densities[rows] = np.sqrt(texels / np.maximum(area, 1e-12))
    return densities


def _interpolated(values: np.ndarray, corners: np.ndarray, hits: dict[str, np.ndarray]) -> np.ndarray:
    """(R, C) float32: ``values`` (V, C) at ``corners`` (R, 3), mixed by where in its triangle each ray is."""
    u, v = hits["u"][:, None], hits["v"][:, None]
    mixed = values[corners[:, 0]].astype(np.float32) * (1 - u - v)
    mixed += values[corners[:, 1]].astype(np.float32) * u
    mixed += values[corners[:, 2]].astype(np.float32) * v
    return mixed


def touches_frame(rgba: np.ndarray) -> bool:
    """Whether something fills one of the outermost pixels of (H, W, 4): the frame cuts it off, most likely.

    What is partly on them may end just there, as the corners of a box at scale "fit" do.
    """
    filled = rgba[..., 3] == 255
    return bool(filled[[0, -1]].any() or filled[:, [0, -1]].any())


def _straight(premultiplied: np.ndarray) -> np.ndarray:
    """(..., 4) uint8 of premultiplied colours in [0, 1]; white where alpha is 0."""
    alpha = premultiplied[..., 3:]
    colour = np.where(alpha > 0, premultiplied[..., :3] / np.maximum(alpha, 1e-6), 1)
    return np.rint(np.clip(np.concatenate([colour, alpha], axis=-1), 0, 1) * 255).astype(np.uint8)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(length, 1e-30)).astype(np.float32)
