"""Where on a ray to look: signed distances and rays go in, sample positions gathered at the surface come out.

The hierarchical sampling of NeuS (arXiv 2106.10689, section 3.3): evenly spread positions, then rounds that
each add some where rendering with a fixed, doubling sharpness puts its weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .rays import Rays
from .rendering import inside, section_weights
from .scene import HALF_SIDE

_TINY = 1e-5


@torch.no_grad()
def hierarchical(
    sdf: Callable[[Tensor], Tensor],
    rays: Rays,
    coarse: int = 64,
    fine: int = 64,
    rounds: int = 4,
    jitter: Tensor | None = None,
    half_side: float = HALF_SIDE,
) -> Tensor:
    """(R, coarse + fine) ascending positions on R rays, without gradients.

    Args:
        sdf: (P, 3) points to (P, 1) signed distances.
        rays: R of them.
        coarse: positions spread evenly from near to far.
        fine: positions added, the same number in each round.
        rounds: of refinement; round i looks with an inverse deviation of 64 * 2^i.
        jitter: (R, 1) in [0, 1), shifts a ray's even positions by up to 1 / coarse each way; None: no shift.
        half_side: of the cube outside of which nothing is.
    """
    z_vals = rays.near + (rays.far - rays.near) * torch.linspace(0, 1, coarse, device=rays.near.device)
    if jitter is not None:
        z_vals = z_vals + (jitter - 0.5) * 2 / coarse
    distances = _along(sdf, rays, z_vals)
    for index in range(rounds):
        weights = _estimated_weights(rays, z_vals, distances, 64.0 * 2**index, half_side)
        added = quantiles(z_vals, weights, fine // rounds)
        z_vals, order = torch.cat([z_vals, added], -1).sort(-1)
        if index + 1 < rounds:
            distances = torch.cat([distances, _along(sdf, rays, added)], -1).gather(-1, order)
    return z_vals


def _along(sdf: Callable[[Tensor], Tensor], rays: Rays, z_vals: Tensor) -> Tensor:
    """(R, S) signed distances at positions on rays."""
    return sdf(rays.points(z_vals).reshape(-1, 3)).reshape(z_vals.shape)


def _estimated_weights(
    rays: Rays, z_vals: Tensor, distances: Tensor, inverse_deviation: float, half_side: float
) -> Tensor:
    """(R, S - 1) weights of the sections between positions, from the distances at both ends alone."""
    lengths = z_vals.diff(dim=-1)
    slope = distances.diff(dim=-1) / (lengths + _TINY)
    # The steeper descent of a section and the one before it, so that a surface just missed is still met.
    before = torch.cat([torch.zeros_like(slope[:, :1]), slope[:, :-1]], -1)
    slope = torch.minimum(slope, before).clamp(-1e3, 0)
    held = inside(rays.points(z_vals), half_side)
    slope = slope * (held[:, :-1] | held[:, 1:])
    middle, half = (distances[:, :-1] + distances[:, 1:]) / 2, slope * lengths / 2
    entering = torch.sigmoid((middle - half) * inverse_deviation)
    leaving = torch.sigmoid((middle + half) * inverse_deviation)
    return section_weights((entering - leaving + _TINY) / (entering + _TINY))


def quantiles(edges: Tensor, weights: Tensor, count: int) -> Tensor:
    """(R, count) where a density reaches its (i + 1/2) / count quantiles.

    Args:
        edges: (R, S) ascending.
        weights: (R, S - 1) of what lies between them, spread evenly there; need not sum to 1.
    """
    share = weights + _TINY  # a ray that meets nothing is looked at evenly
    share = share / share.sum(-1, keepdim=True)
    reached = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(-1)], -1)
    wanted = (torch.arange(count, device=edges.device) + 0.5) / count
    wanted = wanted.expand(len(edges), count).contiguous()
    above = torch.searchsorted(reached, wanted, right=True).clamp(1, edges.shape[-1] - 1)
    low, high = reached.gather(-1, above - 1), reached.gather(-1, above)
    part = (wanted - low) / torch.where(high - low < _TINY, 1.0, high - low)
    left, right = edges.gather(-1, above - 1), edges.gather(-1, above)
    return left + part * (right - left)
