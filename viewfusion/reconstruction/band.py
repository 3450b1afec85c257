"""Where on a ray to look: a grid field and rays go in, sample positions near the surface come out, and what they show.

Sections end where samples lie, and their opacity follows from the distances at both ends (NeuS, equation 13),
so it is right however far apart the ends are: few samples, all about the surface, are enough.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .grid_field import GridField, density
from .rays import Rays
from .rendering import Rendered, section_weights


NO_FOG = -15.0


def box_ends(field: GridField, rays: Rays) -> tuple[Tensor, Tensor]:
    """(R, 1) where rays enter and leave the field's lattice; equal where they miss it."""
    size = (torch.tensor(field.everywhere.shape, device=rays.origins.device) - 1) * field.spacing
    directions = torch.where(rays.directions.abs() < 1e-9, 1e-9, rays.directions)
    first = (field.lower - rays.origins) / directions
    second = (field.lower + size - rays.origins) / directions
    near = torch.minimum(first, second).amax(-1, keepdim=True).maximum(rays.near)
    far = torch.maximum(first, second).amin(-1, keepdim=True).minimum(rays.far)
    return near, torch.maximum(near, far)


def opacities(sdf: Tensor, inverse_deviation: Tensor) -> Tensor:
    """(R, S-1) how much each section stops, of the distances (R, S) at its ends; equation 13."""
    # The ratio of two logistic functions, by their logarithms: both may be too small for a number.
    log_open = torch.nn.functional.logsigmoid(sdf * inverse_deviation)
    return -torch.expm1((log_open[:, 1:] - log_open[:, :-1]).clamp(max=0))


def band_samples(
    field: GridField, rays: Rays, probes: int, samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """(R, S) ascending positions, dense where the surface is.

    Args:
        field: refreshed since it was learned last (:meth:`GridField.refresh`).
        rays: R of them.
        probes: at how many even places the remembered distance is looked up first.
        samples: how many positions come out.
        generator: of the jitter; without it positions are the middles of what it would choose from.
    """
    with torch.no_grad():
        near, far = box_ends(field, rays)
        edges = near + (far - near) * torch.linspace(0, 1, probes + 1, device=near.device)
        length = (far - near) / probes
        at = field.nearest(rays.points(edges).reshape(-1, 3)).view(edges.shape)
        # What the probes cannot resolve is spread over the sections beside it.
        blunt = torch.minimum(field.inverse_deviation(), 1.5 / length.clamp(min=1e-6))
        edges, at = _resample(edges, at, blunt, samples, None, length)
        at = field.sdf(rays.points(edges).reshape(-1, 3)).view(edges.shape)
        return _resample(edges, at, field.inverse_deviation(), samples, generator, length)[0]


def _resample(
    edges: Tensor, sdf: Tensor, inverse_deviation: Tensor, count: int, generator: torch.Generator | None, floor: Tensor
) -> tuple[Tensor, Tensor]:
    """(R, count) positions spread as the weights of the sections are, a few wherever a surface is near."""
    weights = section_weights(opacities(sdf, inverse_deviation))
    lengths = edges.diff(dim=-1)
    middle = 0.5 * (sdf[:, 1:] + sdf[:, :-1])
    closeness = torch.exp(-((middle / (2 * floor + 2 / inverse_deviation)) ** 2))
    weights = weights + 0.1 * closeness * lengths / (lengths * closeness).sum(-1, keepdim=True).clamp(min=1e-9)
    weights = weights + 1e-3 * lengths / lengths.sum(-1, keepdim=True).clamp(min=1e-9)
    return _spread_by(weights, edges, count, generator), sdf


def _spread_by(weights: Tensor, edges: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(R, count) positions, of which each section (R, S-1) gets a share by its weight."""
    through = torch.cumsum(weights, -1)
    through = torch.cat([torch.zeros_like(through[:, :1]), through / through[:, -1:].clamp(min=1e-9)], -1)
    if generator is None:
        offset = torch.full((len(edges), count), 0.5, device=edges.device)
    else:
        offset = torch.rand(len(edges), count, generator=generator).to(edges.device)
    wanted = (torch.arange(count, device=edges.device) + offset) / count
    right = torch.searchsorted(through, wanted).clamp(1, edges.shape[1] - 1)
    low, high = through.gather(1, right - 1), through.gather(1, right)
    share = ((wanted - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    start, end = edges.gather(1, right - 1), edges.gather(1, right)
    return start + share * (end - start)


def fog_samples(
    field: GridField, rays: Rays, probes: int, samples: int, generator: torch.Generator | None = None
) -> Tensor:
    """(R, S) ascending positions: half of them even over what may hold fog, half where it stops the ray."""
    with torch.no_grad():
        near, far = box_ends(field, rays)
        edges = near + (far - near) * torch.linspace(0, 1, probes + 1, device=near.device)
        raw = field.nearest(rays.points(edges).reshape(-1, 3)).view(edges.shape)
        stops = section_weights(fog_opacities(raw, edges)) + 1e-6
        possible = ((raw[:, 1:] > NO_FOG) | (raw[:, :-1] > NO_FOG)).float() + 1e-6
        weights = stops / stops.sum(-1, keepdim=True) + possible / possible.sum(-1, keepdim=True)
        return _spread_by(weights, edges, samples, generator)


def fog_opacities(raw: Tensor, edges: Tensor) -> Tensor:
    """(R, S-1) how much sections between ``edges`` (R, S) stop, whose ends have the numbers ``raw``."""
    fog = density(raw)
    return -torch.expm1(-0.5 * (fog[:, 1:] + fog[:, :-1]) * edges.diff(dim=-1))


def render_band(field: GridField, rays: Rays, z_vals: Tensor, background: float = 1.0, normals: bool = False) -> Rendered:
    """What the field shows along R rays cut at ``z_vals`` (R, S) into S - 1 sections.

    Args:
        field: asked at the positions themselves.
        rays: R of them.
        z_vals: ascending positions.
        background: grey level behind everything.
        normals: whether normals are wanted, and the errors of the gradients.
    """
    count = z_vals.shape
    points = rays.points(z_vals).reshape(-1, 3)
    if normals:
        surface = field.surface(points, points)
        sdf, colours = surface.sdf, surface.colours
    else:
        sdf, colours = field.values(points)
    if field.fog:
        stopped = fog_opacities(sdf.view(count), z_vals)
    else:
        stopped = opacities(sdf.view(count), field.inverse_deviation())
    weights = section_weights(stopped)
    mask = weights.sum(-1, keepdim=True)

    def over(values: Tensor) -> Tensor:  # each sample has half of both sections beside it
        half = torch.nn.functional.pad(weights, (1, 1))
        return torch.bmm((0.5 * (half[:, 1:] + half[:, :-1]))[:, None], values.view(*count, -1))[:, 0]

    rows = torch.zeros_like(weights)
    directions = error = None
    if normals:
        directions = over(torch.nn.functional.normalize(surface.gradients, dim=-1))
        error = (surface.gradients.norm(dim=-1).view(count)[:, 1:] - 1) ** 2
    return Rendered(
        rgb=over(colours) + background * (1 - mask),
        mask=mask,
        normals=torch.zeros_like(rays.origins) if directions is None else directions,
        depth=over(z_vals) + (1 - mask) * rays.far,
        weights=weights,
        gradient_error=rows if error is None else error,
        inner_mask=rows.bool(),
    )
