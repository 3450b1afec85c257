"""Flow-warp error: pictures and the flow between them go in, how well one explains the other comes out.

What is seen in both of two neighbouring views should look the same in both, once moved by the flow. After
Lai et al., "Learning Blind Video Temporal Consistency" (ECCV 2018), with absolute differences.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from .pictures import check_pair

Flow = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Two (B, 3, H, W) in, (B, 2, H, W) twice out: ``back`` says for each pixel of the second picture how many
pixels to the right and down it is in the first, ``forth`` for each pixel of the first where in the second."""

_AT_ONCE = 8  # pairs
_ROUNDS = 10  # of a fixed point; flows between neighbouring views change by less than a pixel per pixel


def flow_warp_error(
    flow: Flow, images: torch.Tensor, others: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) errors in [0, 1] and (B,) shares of the pixels they are over.

    Each of ``images`` is warped onto its partner in ``others``; the error is the mean absolute difference
    over colours and over the pixels of the partner that are visible in both. NaN where none is. The share
    belongs to the number: what a flow cannot explain may be taken for hidden.

    Args:
        flow: gives the flow of a pair; :func:`.rife.load_rife` does.
        images: (B, 3, H, W) in [0, 1], at the size they have.
        others: the same.
    """
    check_pair(images, others, 2)
    errors, shares = [], []
    for a, b in zip(images.split(_AT_ONCE), others.split(_AT_ONCE), strict=True):
        back, forth = flow(a, b)
        mask = visible_pixels(back, forth)
        difference = (warp(a, back) - b).abs().mean(1)
        count = mask.flatten(1).sum(1)
        errors.append((difference * mask).flatten(1).sum(1) / count)
        shares.append(count / mask[0].numel())
    return torch.cat(errors), torch.cat(shares)


def warp(values: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W): at each pixel p what ``values`` are at p + ``flow`` (p).

    Bilinear; beyond the border as on it.

    Args:
        values: (B, C, H, W), at least 2 pixels a side.
        flow: (B, 2, H, W), steps to the right and down in pixels.
    """
    x, y = _ends(flow)
    height, width = values.shape[-2:]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)


def carried(values: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W): what ``values`` are at p, told at p + ``flow`` (p): :func:`warp` the other way round.

    By fixed point. Where the flow folds or tears, anything; :func:`visible_pixels` sees that.
    """
    steps = -flow
    for _ in range(_ROUNDS - 1):
        steps = -warp(flow, steps)
    return warp(values, steps)


def visible_pixels(back: torch.Tensor, forth: torch.Tensor) -> torch.Tensor:
    """(B, H, W) booleans: pixels whose origin lies in the other picture and whose way there and back closes.

    Hidden is, after Sundaram et al. (ECCV 2010), where ``|back + forth|² > 0.01 (|back|² + |forth|²) + 0.5``.

    Args:
        back: (B, 2, H, W), from the pixels in question to where they come from.
        forth: (B, 2, H, W), from those to these.
    """
    returned = warp(forth, back)
    gap = (back + returned).square().sum(1)
    most = 0.01 * (back.square().sum(1) + returned.square().sum(1)) + 0.5
    x, y = _ends(back)
    height, width = back.shape[-2:]
    inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    return inside & (gap <= most)


def _ends(flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W) twice: the columns and rows that each pixel's step leads to."""
    height, width = flow.shape[-2:]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)
    return columns + flow[:, 0], rows[:, None] + flow[:, 1]
