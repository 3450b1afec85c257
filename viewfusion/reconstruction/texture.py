"""The texture: a surface and a scene's views go in, the textured mesh comes out.

A point of the surface takes its colour from the views that see it, by how far each is trusted, how squarely
it looks at the point and how far the point is from an outline, beside which pictures are wrong first.
Views never agree to the pixel: the coarse part of pictures is mixed from all, so no edge shows where one view
gives way to another, the fine part comes from the best, so nothing is seen twice (multi-band blending, Burt
and Adelson, 1983). What no view sees takes what lies around it on the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import grid_sample

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import opengl_to_colmap

from .rasters import rasterised, seen
from .scene import Scene
from .textured import TexturedMesh
from .triangles import Triangles, unit, vertex_normals
from .unwrapping import unwrapped

_POINTS = 2**14
"""Points of the surface coloured at once: of 36 views about 60 MB."""

_FINER = 2
"""Times as many depths as pixels a side."""

_BIAS = 0.004
"""A point so little behind what a view sees first is seen, in scene units; a cell of 256 is 0.0047."""

_STEP = 0.03
"""Neighbouring depths that differ by more are an outline within the object, in scene units."""

_LEAST_TRUST = 1e-4
"""What the surface around weighs beside what views see: it decides where they see nothing."""


@dataclass(frozen=True)
class Baking:
    """How a surface is coloured.

    Args:
        size: texels a side.
        squareness: power of the cosine between a surface and the direction it is seen from.
        choosiness: power of a view's weight in the fine part; the larger, the more the best view has it.
        outline: from a point so near an outline, a share of the picture's width, a view counts less.
        coarse: the part of a picture coarser than this share of its width is mixed.
        tolerance: a view whose coarse colour differs from the mean by as much counts a quarter.
    """

    size: int = 1024
    squareness: float = 2.0
    choosiness: float = 4.0
    outline: float = 0.03
    coarse: float = 0.02
    tolerance: float = 0.25

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 8192:
            raise ViewFusionError(f"a texture must be 64 to 8192 texels a side, got {self.size}")


def baked(
    triangles: Triangles, scene: Scene, settings: Baking | None = None, views: tuple[int, ...] | None = None
) -> TexturedMesh:
    """``triangles`` (closed, in scene units) with the colours of ``scene``, in world units.

    Args:
        views: those that colour it; by default those trained on.

    Raises:
        ViewFusionError: no view sees any of it, or it fits no texture.
    """
    settings = settings or Baking()
    looks = Looks(triangles, scene, settings, scene.trained if views is None else views)
    normals = vertex_normals(triangles)
    colours, trust = looks.colours(triangles.vertices, normals)
    if not trust.any():
        raise ViewFusionError(
            "the surface cannot be coloured: no view sees any of it; check that cameras and "
            "masks belong together"
        )
    colours = spread(triangles, colours, trust)
    charts = unwrapped(triangles, settings.size)
    size = (settings.size, settings.size)
    flat = np.stack([charts.uv[:, 0], 1 - charts.uv[:, 1]], axis=1) * settings.size
    raster = rasterised(np.concatenate([flat, np.ones((len(flat), 1))], axis=1)[charts.faces], size)
    painted, trust = looks.colours(
        raster.mixed(triangles.vertices, triangles.faces), unit(raster.mixed(normals, triangles.faces))
    )
    around = raster.mixed(colours, triangles.faces)
    share = (trust / (trust + _LEAST_TRUST))[:, None]
    texture = np.zeros((*size, 3), np.uint8)
    texture[raster.faces >= 0] = _levels(share * painted + (1 - share) * around)
    return TexturedMesh(
        vertices=triangles.vertices[charts.origin] * scene.scale,
        faces=charts.faces,
        normals=normals[charts.origin],
        colours=_levels(colours)[charts.origin],
        uv=charts.uv,
        texture=_filled(texture, raster.faces < 0),
    )


class Looks:
    """What views show of a surface."""

    def __init__(self, triangles: Triangles, scene: Scene, settings: Baking, views: tuple[int, ...]) -> None:
        self.settings = settings
        self.size = scene.size
        cameras = scene.cameras.numpy()[list(views)]
        intrinsics = scene.intrinsics.numpy()
        projections = [intrinsics @ opengl_to_colmap(camera)[:3] for camera in cameras]
        height, width = self.size
        # Filled one by one: of many large views, a second copy would be most of the memory.
        self.layers = torch.empty(len(views), 7, height, width)
        self.depths = torch.empty(len(views), 1, _FINER * height, _FINER * width)
        for place, (view, camera) in enumerate(zip(views, cameras, strict=True)):
            depth = seen(triangles, camera, intrinsics, self.size, _FINER).depth
            image, mask = scene.images[view].numpy(), scene.masks[view].numpy()
            self.layers[place] = torch.from_numpy(_layers(image, mask, depth, settings))
            self.depths[place, 0] = torch.from_numpy(_furthest_around(depth))
        self.projections = torch.tensor(np.array(projections), dtype=torch.float32)
        self.centres = torch.tensor(cameras[:, :3, 3], dtype=torch.float32)
        self.trust = scene.weights[list(views)].float()

    @torch.no_grad()
    def colours(self, points: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, 3) in [0, 1] at ``points`` with ``normals`` (P, 3), and (P,) their weight; 0: unseen."""
        found = np.zeros((len(points), 4), np.float32)
        for start in range(0, len(points), _POINTS):
            rows = slice(start, start + _POINTS)
            place, normal = (torch.from_numpy(each[rows].astype(np.float32)) for each in (points, normals))
            found[rows] = self._mixed(*self._sampled(place, normal)).numpy()
        return found[:, :3], found[:, 3]

    def _sampled(self, points: torch.Tensor, normals: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(V, P, 3) coarse and fine colours in every view, and (V, P) what each of them weighs."""
        local = points @ self.projections[:, :, :3].transpose(1, 2) + self.projections[:, None, :, 3]
        depth = local[..., 2]
        sides = torch.tensor([self.size[1], self.size[0]])
        grid = (2 * local[..., :2] / depth.clamp(min=1e-6)[..., None] / sides - 1)[:, None]
        shown = grid_sample(self.layers, grid, align_corners=False)[:, :, 0].transpose(1, 2)
        first = grid_sample(self.depths, grid, mode="nearest", align_corners=False)[:, 0, 0]
        towards = self.centres[:, None] - points
        far = (towards * towards).sum(dim=-1).sqrt()  # norm() takes five times as long
        cosine = (towards * normals).sum(dim=-1) / far.clamp(min=1e-6)
        weight = cosine.clamp(min=0) ** self.settings.squareness * shown[..., 6] * self.trust[:, None]
        return shown[..., :3], shown[..., 3:6], weight * (depth <= first + _BIAS)

    def _mixed(self, coarse: torch.Tensor, fine: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """(P, 4): colours of points, and their weight."""
        off = ((coarse - _mean(coarse, weight)) ** 2).sum(dim=-1)
        agreed = weight / (1 + off / self.settings.tolerance**2) ** 2
        best = agreed / agreed.amax(dim=0).clamp(min=1e-20)
        colour = _mean(coarse, agreed) + _mean(fine, best**self.settings.choosiness)
        return torch.cat([colour.clamp(0, 1), weight.sum(dim=0)[:, None]], dim=1)


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(P, C) of (V, P, C), weighted by (V, P); 0 where nothing weighs."""
    return (values * weights[..., None]).sum(dim=0) / weights.sum(dim=0).clamp(min=1e-20)[:, None]


def _layers(image: np.ndarray, mask: np.ndarray, depth: np.ndarray, settings: Baking) -> np.ndarray:
    """(7, H, W): coarse and fine colours of the object, without the white behind it, and weight."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    height, width = mask.shape
    solid = mask > 0.5
    inside = np.where(solid, (image - 1 + mask) / np.maximum(mask, 0.5), 0).clip(0, 1)
    blur = settings.coarse * width
    share = gaussian_filter(solid.astype(np.float32), blur)
    coarse = np.stack([gaussian_filter(plane, blur) for plane in inside]) / np.maximum(share, 1e-6)
    clear = ~_outlines(depth).reshape(height, _FINER, width, _FINER).any(axis=(1, 3)) & (mask > 0.95)
    inward = distance_transform_edt(np.pad(clear, 1))[1:-1, 1:-1]
    weight = np.where(solid, (inward / (settings.outline * width)).clip(0.01, 1), 0)
    return np.concatenate([coarse, np.where(solid, inside - coarse, 0), weight[None]])


def _outlines(depth: np.ndarray) -> np.ndarray:
    """Where (H, W) depths end, or jump to the next one."""
    there = np.where(np.isfinite(depth), depth, 100.0)
    jumps = ~np.isfinite(depth)
    for axis in (0, 1):
        step = np.abs(np.diff(there, axis=axis)) > _STEP
        before, after = ((0, 1), (0, 0)), ((1, 0), (0, 0))
        jumps |= np.pad(step, before if axis == 0 else before[::-1])
        jumps |= np.pad(step, after if axis == 0 else after[::-1])
    return jumps


def _furthest_around(depth: np.ndarray) -> np.ndarray:
    """The largest of the nine depths around each pixel: a slope hides none of its own points."""
    from scipy.ndimage import maximum_filter

    return maximum_filter(np.where(np.isfinite(depth), depth, -1.0), 3, mode="nearest")


def spread(triangles: Triangles, colours: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(V, 3) colours of vertices, where trusted as they are, elsewhere those around them on the surface.

    Of all there are those with the least (colour - given)² · trust + least trust · differences along edges².
    Pieces of which nothing is seen have the mean colour.
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import splu

    count, faces = len(triangles.vertices), triangles.faces
    rows, columns = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()  # each edge once either way
    edges = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count)).tocsr()
    degrees = diags(np.asarray(edges.sum(axis=1)).ravel() + 1e-6)
    weights = trust.astype(np.float64)[:, None]
    mean = (weights * colours).sum(axis=0) / weights.sum()
    system = diags(weights[:, 0]) + _LEAST_TRUST * (degrees - (edges + edges.T) / 2)
    wanted = weights * colours + _LEAST_TRUST * 1e-6 * mean
    return splu(system.tocsc()).solve(wanted).clip(0, 1)


def _filled(texture: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Every empty texel has the colour of the nearest other, so smaller copies take nothing foreign in."""
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return texture[tuple(nearest)]


def _levels(colours: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
