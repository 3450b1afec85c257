"""The paper's two networks (NeuS, arXiv 2106.10689): weights go in, a :class:`Field` comes out.

Names of weights are those of the released networks, so that their files load.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .fields import Deviation, Field, Surface


class NormedLinear(nn.Module):
    """A linear layer whose rows are a length ``weight_g`` times a direction ``weight_v``."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        plain = nn.Linear(width_in, width_out)
        self.bias = plain.bias
        self.weight_g = nn.Parameter(plain.weight.detach().norm(dim=1, keepdim=True))
        self.weight_v = plain.weight

    def set(self, weight: Tensor, bias: float) -> None:
        """Make it compute ``weight @ x + bias``."""
        with torch.no_grad():
            self.weight_g.copy_(weight.norm(dim=1, keepdim=True))
            self.weight_v.copy_(weight)
            self.bias.fill_(bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight_g * self.weight_v / self.weight_v.norm(dim=1, keepdim=True)
        return nn.functional.linear(x, weight, self.bias)


def encode(x: Tensor, frequencies: int) -> Tensor:
    """(P, 3 + 6 frequencies): x, then sine and cosine of 1, 2, 4, ... times it."""
    waves = [wave(x * 2.0**octave) for octave in range(frequencies) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], -1)


class SdfNetwork(nn.Module):
    """Points to signed distances and features: ``layers`` hidden layers and the encoded point once more.

    It begins as about a sphere of radius ``bias`` (geometric initialisation, SAL, arXiv 1911.10414).
    """

    def __init__(
        self,
        width: int = 256,
        features: int = 256,
        layers: int = 8,
        skip: int = 4,
        frequencies: int = 6,
        radius: float = 0.5,
    ) -> None:
        super().__init__()
        self.layers, self.skip, self.frequencies = layers, skip, frequencies
        encoded = 3 + 6 * frequencies
        widths = [encoded, *[width] * layers, 1 + features]
        for index in range(layers + 1):
            # What comes beside the skipped layer's own output is part of the next layer's width.
            width_out = widths[index + 1] - (encoded if index + 1 == skip else 0)
            layer = NormedLinear(widths[index], width_out)
            layer.set(*self._start(index, widths[index], width_out, encoded, radius))
            setattr(self, f"lin{index}", layer)

    def _start(
        self, index: int, width_in: int, width_out: int, encoded: int, radius: float
    ) -> tuple[Tensor, float]:
        """(width_out, width_in) weight, and bias, of a layer."""
        if index == self.layers:
            return torch.randn(width_out, width_in) * 1e-4 + math.sqrt(math.pi / width_in), -radius
        weight = torch.randn(width_out, width_in) * math.sqrt(2 / width_out)
        if index == 0:
            weight[:, 3:] = 0  # only the point itself, none of its waves
        elif index == self.skip:
            weight[:, 3 - encoded :] = 0
        return weight, 0.0

    def forward(self, points: Tensor) -> Tensor:
        """(P, 1 + features)."""
        encoded = encode(points, self.frequencies)
        x = encoded
        for index in range(self.layers + 1):
            if index == self.skip:
                x = torch.cat([x, encoded], -1) / math.sqrt(2)
            x = getattr(self, f"lin{index}")(x)
            if index < self.layers:
                x = nn.functional.softplus(x, beta=100)
        return x


class ColourNetwork(nn.Module):
    """Points, mirrored directions, normals and features to colours.

    The way to the camera is mirrored at the normal, as it is for a highlight (Ref-NeRF, arXiv 2112.03907,
    equation 4).
    """

    def __init__(self, width: int = 256, features: int = 256, layers: int = 4, frequencies: int = 4) -> None:
        super().__init__()
        self.layers, self.frequencies = layers, frequencies
        widths = [3 + 3 + 6 * frequencies + 3 + features, *[width] * layers, 3]
        for index in range(layers + 1):
            setattr(self, f"lin{index}", NormedLinear(widths[index], widths[index + 1]))

    def forward(self, points: Tensor, normals: Tensor, directions: Tensor, features: Tensor) -> Tensor:
        """(P, 3) in [0, 1]."""
        normals = nn.functional.normalize(normals, dim=-1)
        towards = -directions
        reflected = 2 * (towards * normals).sum(-1, keepdim=True) * normals - towards
        x = torch.cat([points, encode(reflected, self.frequencies), normals, features], -1)
        for index in range(self.layers + 1):
            x = getattr(self, f"lin{index}")(x)
            x = torch.relu(x) if index < self.layers else torch.sigmoid(x)
        return x


class MlpField(Field):
    """The networks of the paper as a field."""

    def __init__(
        self,
        width: int = 256,
        features: int = 256,
        layers: int = 8,
        skip: int = 4,
        frequencies: int = 6,
        colour_layers: int = 4,
        direction_frequencies: int = 4,
        radius: float = 0.5,
        deviation: float = 0.3,
    ) -> None:
        super().__init__()
        self.sdf_network = SdfNetwork(width, features, layers, skip, frequencies, radius)
        self.color_network = ColourNetwork(width, features, colour_layers, direction_frequencies)
        self.deviation_network = Deviation(deviation)

    def sdf(self, points: Tensor) -> Tensor:
        return self.sdf_network(points)[:, :1]

    def surface(self, points: Tensor, directions: Tensor) -> Surface:
        learning = torch.is_grad_enabled()
        with torch.enable_grad():
            points = points if points.requires_grad else points.detach().requires_grad_()
            out = self.sdf_network(points)
            (gradients,) = torch.autograd.grad(out[:, 0].sum(), points, create_graph=learning)
        out = out if learning else out.detach()
        colours = self.color_network(points, gradients, directions, out[:, 1:])
        return Surface(out[:, :1], gradients, colours)

    def inverse_deviation(self) -> Tensor:
        return self.deviation_network()
