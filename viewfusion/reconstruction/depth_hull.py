"""From what views see to what is solid: a field goes in, and is a closed signed distance afterwards.

A field says how far each view sees. What several views see through is empty, a little behind what they see is
solid, and what no view sees is closed (:mod:`.closing`). Fog becomes a surface so; a surface is closed anew
where it was closed by what a coarser lattice knew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .band import samples, stops
from .closing import close_unseen
from .grid_field import GridField, from_surface, resample
from .hull import Lattice
from .rays import pixel_rays

_SEEN = 1.5  # cells behind what views see that are on the surface still
_ACROSS = 96  # pixels of the pictures of depth, at most


@dataclass(frozen=True)
class Limits:
    """What counts as seen.

    Args:
        seen_by: share of the views that must see through a place that is empty.
        shell: how deep behind a surface that is seen the object is solid, in cells.
        pressure: curvature up to which surfaces that no view sees bulge, in 1 / scene units.
    """

    seen_by: float
    shell: float
    pressure: float


def settle(
    field: GridField, lattice: Lattice, hull: Tensor, views: Tensor, intrinsics: Tensor, limits: Limits
) -> None:
    """Make the field a signed distance on ``lattice``, closed where no view sees; colours stay.

    Args:
        field: fog, or a distance already.
        lattice: over the same box.
        hull: (I, J, K) distances to the visual hull on it.
        views: (V, 4, 4) cameras, OpenGL camera-to-world.
        intrinsics: (3, 3) in pixels of pictures as wide as twice its centre.
        limits: of what counts as seen.
    """
    old, cell = field.lattice(), lattice.spacing
    count = max(1, round(limits.seen_by * len(views)))
    depths, matrix = _depths(field, views, intrinsics)
    points = torch.from_numpy(lattice.points()).to(depths)
    beyond = _seen_through(points, depths, views, matrix, count).view(lattice.shape)
    if field.fog:
        colours = torch.full((field.everywhere.numel(), 3), 0.5, device=points.device)
        colours[field.band_points] = field.colours[:-1].detach()
        colours = colours.view(*old.shape, 3)
        outside = beyond.clamp(-2 * cell, 2 * cell)
    else:
        distances, colours = from_surface(field)
        outside = resample(distances[..., None], old, lattice)[..., 0]
    outside = outside.maximum(hull)
    if field.fog:  # too rough to have normals
        solid = (outside < 0) & (beyond > -limits.shell * cell)
    else:
        solid = _behind_seen((outside < 0) & (beyond > -_SEEN * cell), outside, limits.shell)
    unseen = (beyond < 0) & (hull < 0) & ~solid
    closed = close_unseen((outside < 0) & ~unseen, unseen, limits.pressure * cell)
    settled = torch.where(unseen, hull.maximum((0.5 - closed) * 2 * cell), outside)
    everywhere = torch.ones_like(unseen)
    field.lay(lattice, settled, everywhere, resample(colours, old, lattice))


def _behind_seen(seen: Tensor, outside: Tensor, shell: float) -> Tensor:
    """(I, J, K) bool: seen places and what lies up to ``shell`` cells straight behind them.

    Behind means against the normal: what lies below the edge of a wall is not behind the wall, though views
    that look down past the edge see hardly farther than it.

    Args:
        seen: (I, J, K) bool, places on the surface.
        outside: (I, J, K) distances, whose slope is the normal.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    surface = seen.cpu().numpy()
    if not surface.any():
        return seen
    steps, source = distance_transform_edt(~surface, return_indices=True)
    near = np.nonzero((steps > 0) & (steps <= shell))
    normals = np.stack(np.gradient(gaussian_filter(outside.cpu().numpy(), 1.0)), -1)
    origin = source[(slice(None), *near)]
    normal = normals[tuple(origin)]
    depth = ((origin - np.stack(near)).T * normal).sum(-1)
    length = np.linalg.norm(normal, axis=-1) * steps[near]
    surface[near] = depth > 0.3 * length
    return torch.from_numpy(surface).to(seen.device)


def _depths(field: GridField, views: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """(V, H, W) how far along its ray each pixel sees, and the (3, 3) intrinsics of these pictures."""
    across = min(_ACROSS, round(2 * float(intrinsics[0, 2])))
    scale = across / (2 * float(intrinsics[0, 2]))
    matrix = intrinsics.clone()
    matrix[:2] *= scale
    height = round(2 * float(matrix[1, 2]))
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(across) + 0.5, indexing="ij")
    x, y = x.reshape(-1).to(matrix.device), y.reshape(-1).to(matrix.device)
    depths = []
    for view in range(len(views)):
        rays = pixel_rays(views, matrix, torch.full_like(x, view, dtype=torch.long), x, y)
        with torch.no_grad():
            z_vals = samples(field, rays, 64, 32)
            numbers = field.sdf(rays.points(z_vals).reshape(-1, 3)).view(z_vals.shape)
            stopped = torch.cumprod(1 - stops(field, numbers, z_vals), -1) < 0.5
            first = stopped.float().argmax(-1, keepdim=True)
            depth = torch.where(stopped.any(-1, keepdim=True), z_vals.gather(1, first), torch.inf)
        depths.append(depth.view(height, across))
    return torch.stack(depths), matrix


def _seen_through(points: Tensor, depths: Tensor, views: Tensor, matrix: Tensor, seen_by: int) -> Tensor:
    """(P,) how far ``seen_by`` views see beyond each point at least; negative where they do not see it."""
    height, width = depths.shape[1:]
    beyond = points.new_full((seen_by, len(points)), -torch.inf)
    for depth, camera in zip(depths, views, strict=True):
        local = (points - camera[:3, 3]) @ camera[:3, :3]
        x = (matrix[0, 0] * local[:, 0] / -local[:, 2] + matrix[0, 2]).long().clamp(0, width - 1)
        y = (-matrix[1, 1] * local[:, 1] / -local[:, 2] + matrix[1, 2]).long().clamp(0, height - 1)
        here = depth[y, x] - local.norm(dim=-1)
        beyond = torch.cat([beyond, here[None]]).topk(seen_by, dim=0).values
    return beyond[-1]
