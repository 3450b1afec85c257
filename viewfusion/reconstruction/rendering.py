"""Volume rendering of a signed distance: a field, rays and sample positions go in, colours come out.

Equations are those of NeuS (arXiv 2106.10689). A ray is cut at its sample positions into sections; each has
an opacity that follows from the distances at its two ends (equation 13), and the sections are laid one behind
the other over the background (equation 11). Where samples lie is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .fields import Field, Surface
from .rays import Rays, pixel_rays
from .scene import HALF_SIDE

_TINY = 1e-5


@dataclass(frozen=True, eq=False)
class Rendered:
    """What R rays of S sections show.

    Args:
        rgb: (R, 3) over the background.
        mask: (R, 1) how much of the ray is stopped.
        normals: (R, 3) mean of the unit gradients, as long as the mask is high.
        depth: (R, 1) mean distance at which it is stopped; what is not stopped goes to the far end.
        weights: (R, S) of the sections.
        gradient_error: (R, S) (length of the gradient - 1)^2, 0 where the field was not asked.
        inner_mask: (R, S) bool, the sections at which the field was asked.
    """

    rgb: Tensor
    mask: Tensor
    normals: Tensor
    depth: Tensor
    weights: Tensor
    gradient_error: Tensor
    inner_mask: Tensor


def render(
    field: Field,
    rays: Rays,
    z_vals: Tensor,
    cos_anneal_ratio: float = 1.0,
    *,
    half_side: float = HALF_SIDE,
    background: float = 1.0,
    wanted: Tensor | None = None,
) -> Rendered:
    """What the field shows along R rays.

    Args:
        field: asked at the middle of each section that lies in the cube.
        rays: R of them.
        z_vals: (R, S) where sections begin, ascending; the last is as long as the one before.
        cos_anneal_ratio: from 0, where surfaces seen from behind stop light as well, which helps a start from
            anything, to 1, the equations.
        half_side: of the cube.
        background: grey level behind everything.
        wanted: (R, S) bool, sections that may hold anything; the others are empty unasked.
    """
    lengths = section_lengths(z_vals)
    middles = z_vals + lengths / 2
    points = rays.points(middles)
    inner = inside(points, half_side)
    if wanted is not None:
        inner = inner & wanted
    directions = rays.directions[:, None].expand_as(points)[inner]
    surface = field.surface(points[inner], directions)
    opacities = section_opacities(
        surface, directions, lengths[inner][:, None], field.inverse_deviation(), cos_anneal_ratio
    )
    weights = section_weights(_spread(opacities, inner)[..., 0])
    mask = weights.sum(-1, keepdim=True)

    def over(values: Tensor) -> Tensor:  # equation 11
        return (_spread(values, inner) * weights[..., None]).sum(1)

    return Rendered(
        rgb=over(surface.colours) + background * (1 - mask),
        mask=mask,
        normals=over(torch.nn.functional.normalize(surface.gradients, dim=-1)),
        depth=(weights * middles).sum(-1, keepdim=True) + (1 - mask) * rays.far,
        weights=weights,
        gradient_error=_spread((surface.gradients.norm(dim=-1, keepdim=True) - 1) ** 2, inner)[..., 0],
        inner_mask=inner,
    )


def inside(points: Tensor, half_side: float = HALF_SIDE) -> Tensor:
    """(...) bool: which of ``points`` (..., 3) lie in the cube."""
    return (points.abs() <= half_side).all(-1)


def section_lengths(z_vals: Tensor) -> Tensor:
    """(R, S) from each position to the next; the last as long as the one before."""
    lengths = z_vals.diff(dim=-1)
    return torch.cat([lengths, lengths[:, -1:]], -1)


def section_opacities(
    surface: Surface, directions: Tensor, lengths: Tensor, inverse_deviation: Tensor, cos_anneal_ratio: float
) -> Tensor:
    """(P, 1) the alpha of sections whose middles are the points of ``surface``, equation 13.

    The distances at the two ends are those of a plane through the middle, which the gradient gives; so they
    agree between neighbours only as far as the field is a distance, and one point a section is enough.
    """
    cosine = (directions * surface.gradients).sum(-1, keepdim=True)
    # Negative where the ray goes in. The first form is so for rays that come out as well, and is left over
    # the first steps: a start from a sphere would otherwise have to wait for surfaces that face the camera.
    facing = torch.relu(0.5 - 0.5 * cosine) * (1 - cos_anneal_ratio) + torch.relu(-cosine) * cos_anneal_ratio
    half = facing * lengths / 2
    before = torch.sigmoid((surface.sdf + half) * inverse_deviation)
    behind = torch.sigmoid((surface.sdf - half) * inverse_deviation)
    return ((before - behind + _TINY) / (before + _TINY)).clamp(0, 1)


def section_weights(opacities: Tensor) -> Tensor:
    """(R, S) what each section adds to the ray: its opacity, times what those before it let through."""
    through = torch.cumprod(1 - opacities + 1e-7, -1)
    return opacities * torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], -1)


def _spread(values: Tensor, where: Tensor) -> Tensor:
    """(R, S, C) with the rows of ``values`` (P, C) at the P places of ``where`` (R, S), and 0 elsewhere."""
    out = values.new_zeros(*where.shape, values.shape[-1])
    out[where] = values
    return out


def render_view(
    rendering: Callable[[Rays], Rendered],
    camera: Tensor,
    intrinsics: Tensor,
    size: tuple[int, int],
    rays_at_once: int = 1024,
) -> dict[str, Tensor]:
    """A whole picture, without gradients: "rgb", "mask", "normals" and "depth", (C, H, W) each on the CPU.

    Args:
        rendering: what shows some rays, as :meth:`Recipe.render` of a field does.
        camera: (4, 4) OpenGL camera-to-world, in scene units.
        intrinsics: (3, 3) in pixels of this picture.
        size: height and width; the rays go through the centres of the pixels.
    """
    height, width = size
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    x, y = x.reshape(-1).to(camera.device), y.reshape(-1).to(camera.device)
    parts: dict[str, list[Tensor]] = {"rgb": [], "mask": [], "normals": [], "depth": []}
    for start in range(0, height * width, rays_at_once):
        some = slice(start, start + rays_at_once)
        views = torch.zeros(len(x[some]), dtype=torch.long, device=camera.device)
        with torch.no_grad():
            rendered = rendering(pixel_rays(camera[None], intrinsics, views, x[some], y[some]))
        for name, rows in parts.items():
            rows.append(getattr(rendered, name).cpu())
    return {name: torch.cat(rows).reshape(height, width, -1).permute(2, 0, 1) for name, rows in parts.items()}
