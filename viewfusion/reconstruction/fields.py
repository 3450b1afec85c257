"""What a reconstruction learns: points and directions go in, signed distances and colours come out.

Every parameterisation is a :class:`Field`; rendering, losses, training and the extraction of a surface know
nothing else about it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Surface:
    """What a field says about P points.

    Args:
        sdf: (P, 1) signed distance in scene units, negative inside.
        gradients: (P, 3) of the distance by the point; of length 1 where it is a distance indeed.
        colours: (P, 3) in [0, 1].
    """

    sdf: Tensor
    gradients: Tensor
    colours: Tensor


class Field(nn.Module, ABC):
    """A signed distance with colours, and how sharply it is rendered."""

    @abstractmethod
    def sdf(self, points: Tensor) -> Tensor:
        """(P, 1) signed distances of ``points`` (P, 3)."""

    @abstractmethod
    def surface(self, points: Tensor, directions: Tensor) -> Surface:
        """All about ``points`` (P, 3) seen along the unit ``directions`` (P, 3), away from the camera.

        Losses differentiate the gradients again, unless gradients are switched off.
        """

    @abstractmethod
    def inverse_deviation(self) -> Tensor:
        """() the s of the paper: 1 / standard deviation of the density about the surface."""


class Deviation(nn.Module):
    """The learned inverse deviation ``exp(10 v)``, kept between 1e-6 and 1e6."""

    def __init__(self, start: float = 0.3) -> None:
        super().__init__()
        self.variance = nn.Parameter(torch.tensor(start))

    def forward(self) -> Tensor:
        return torch.exp(10 * self.variance).clamp(1e-6, 1e6)
