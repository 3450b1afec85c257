"""From fog to a surface: a field of fog goes in and is a signed distance afterwards.

Fog says how far each view sees. What several views see through is empty, and all else is inside: so what lies
behind the surface is solid, of which fog knows nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .band import fog_opacities, fog_samples
from .closing import close_unseen
from .grid_field import GridField
from .rays import pixel_rays

SHELL = 2.0
"""How deep behind a surface that is seen the object is known to be solid, in cells."""

_ACROSS = 96  # pixels of the pictures of depth


def settle(field: GridField, seen_by: int, pressure: float) -> None:
    """Make a field of fog a signed distance on the same lattice, with the fog's colours.

    Args:
        field: has the buffers ``views``, ``intrinsics`` and ``hull`` of its recipe.
        seen_by: how many views must see through a place that is empty.
        pressure: curvature up to which surfaces that no view sees bulge, in 1 / scene units.
    """
    lattice = field.lattice()
    cell = lattice.spacing
    field.refresh()
    depths, matrix = _depths(field)
    points = torch.from_numpy(lattice.points()).to(depths)
    beyond = _seen_through(points, depths, field.views, matrix, seen_by).view(lattice.shape)
    outside = beyond.clamp(-2 * cell, 2 * cell).maximum(field.hull)
    unseen = (beyond < -SHELL * cell) & (outside < 0)
    closed = close_unseen((outside < 0) & ~unseen, unseen, pressure * cell)
    distances = torch.where(unseen, outside.maximum((0.5 - closed) * 2 * cell), outside)
    colours = torch.full((points.shape[0], 3), 0.5, device=points.device)
    colours[field.band_points] = field.colours[:-1].detach()
    everywhere = torch.ones_like(distances, dtype=torch.bool)
    field.lay(lattice, distances, everywhere, colours.view(*lattice.shape, 3))


def _depths(field: GridField) -> tuple[Tensor, Tensor]:
    """(V, H, W) how far along its ray each pixel sees, and the (3, 3) intrinsics of these pictures."""
    scale = _ACROSS / (2 * float(field.intrinsics[0, 2]))
    matrix = field.intrinsics.clone()
    matrix[:2] *= scale
    height = round(2 * float(matrix[1, 2]))
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(_ACROSS) + 0.5, indexing="ij")
    x, y = x.reshape(-1).to(matrix.device), y.reshape(-1).to(matrix.device)
    depths = []
    for view in range(len(field.views)):
        rays = pixel_rays(field.views, matrix, torch.full_like(x, view, dtype=torch.long), x, y)
        with torch.no_grad():
            z_vals = fog_samples(field, rays, 64, 40)
            raw = field.sdf(rays.points(z_vals).reshape(-1, 3)).view(z_vals.shape)
            through = torch.cumprod(1 - fog_opacities(raw, z_vals), -1)
            stopped = through < 0.5
            first = stopped.float().argmax(-1, keepdim=True)
            depth = torch.where(stopped.any(-1, keepdim=True), z_vals.gather(1, first), torch.inf)
        depths.append(depth.view(height, _ACROSS))
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


