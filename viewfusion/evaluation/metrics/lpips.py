"""LPIPS: two batches of pictures go in, a perceptual distance for each pair comes out.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), version
0.1 with its learned linear weights, on the convolutions of AlexNet or VGG16. Needs no torchvision.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import nn

from viewfusion.errors import ViewFusionError

from .pictures import check_pair
from .saved import open_tensors
from .weights import filled, load_network

NETWORKS = ("alex", "vgg")
_WIDTHS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
_SMALLEST = 32  # what AlexNet leaves a pixel of
_AT_ONCE = 8  # pictures; VGG's first tap takes 17 MB for one of 256 pixels
# ImageNet's mean and deviation, for pictures in [-1, 1] and rounded as LPIPS has them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class Lpips(nn.Module):
    """The distance: five taps, each unit-normalised over its channels, squared differences weighted by
    channel, averaged over the picture, and summed.

    Args:
        network: "alex" or "vgg".
    """

    def __init__(self, network: str) -> None:
        super().__init__()
        if network not in NETWORKS:
            raise ViewFusionError(f"LPIPS knows the networks {', '.join(NETWORKS)}, got {network!r}")
        self.stages = nn.ModuleList(_alex() if network == "alex" else _vgg())
        self.linear = nn.ParameterList(torch.ones(width) for width in _WIDTHS[network])

    def forward(self, images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """(B,) of two (B, 3, H, W) in [0, 1], at the size they have: 0 for equal pictures, symmetric."""
        check_pair(images, others, _SMALLEST)
        pairs = zip(images.split(_AT_ONCE), others.split(_AT_ONCE), strict=True)
        return torch.cat([self.between(self.features(a), self.features(b)) for a, b in pairs])

    def around(self, images: torch.Tensor) -> torch.Tensor:
        """(V,) distances of the pairs (i, i + 1 mod V) of a turn (V, 3, H, W), each picture seen once."""
        check_pair(images, images, _SMALLEST)
        first = last = self.features(images[:1])
        distances = []
        for image in images[1:].split(1):
            following = self.features(image)
            distances.append(self.between(last, following))
            last = following
        return torch.cat([*distances, self.between(last, first)])

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The taps of (B, 3, H, W) in [0, 1], of length 1 in every place."""
        shift = images.new_tensor(_SHIFT)[:, None, None]
        scale = images.new_tensor(_SCALE)[:, None, None]
        values, taps = (2 * images - 1 - shift) / scale, []
        for stage in self.stages:
            values = stage(values)
            taps.append(values / (values.square().sum(1, keepdim=True).sqrt() + _EPSILON))
        return taps

    def between(self, taps: list[torch.Tensor], others: list[torch.Tensor]) -> torch.Tensor:
        """(B,) distance of what :meth:`features` gave."""
        parts = [
            ((a - b).square() * weights[:, None, None]).sum(1).mean((1, 2))
            for a, b, weights in zip(taps, others, self.linear, strict=True)
        ]
        return torch.stack(parts).sum(0)


def load_lpips(network: str, path: Path | None = None, tower: Path | None = None) -> Lpips:
    """LPIPS on "alex" or "vgg" with the weights at ``path``, or those that were fetched.

    Args:
        path: a safetensors file of ours, or the ``.pth`` of the original LPIPS (``weights/v0.1/alex.pth``),
            which has the linear weights only.
        tower: beside such a ``.pth``, torchvision's file of the network; by default the one that torchvision
            has downloaded, which is read without torchvision.

    Raises:
        ViewFusionError: another network, no file, or one that does not fit.
    """
    with torch.device("meta"):
        empty = Lpips(network)
    if path is None or path.suffix != ".pth":
        return load_network(empty, f"lpips-{network}", path)
    tensors = {**_tower_weights(empty, tower or _torchvision_file(network)), **_linear_weights(path)}
    return filled(empty, tensors, f"lpips-{network}", path, "give both files of one network")


_TOWERS = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
_KIND = "file of LPIPS's weights"


def _torchvision_file(network: str) -> Path:
    """Where torchvision keeps the weights of a tower."""
    place = Path(torch.hub.get_dir()) / "checkpoints" / _TOWERS[network]
    if not place.is_file():
        name = "alexnet" if network == "alex" else "vgg16"
        raise ViewFusionError(
            f"{place}: no such file, and a .pth of LPIPS has no {name} in it; where torchvision is installed "
            f"""run `python -c "import torchvision; torchvision.models.{name}(weights='IMAGENET1K_V1')"`, """
            "or give that file as tower"
        )
    return place


def _tower_weights(network: Lpips, path: Path) -> dict[str, torch.Tensor]:
    """The convolutions in torchvision's order, under the names of ``network``."""
    file = open_tensors(path, _KIND, "give torchvision's file of the network")
    found = re.compile(r"features\.(\d{1,3})\.(weight|bias)")
    places = sorted({int(match[1]) for match in map(found.fullmatch, file.names) if match})
    ours = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    names = {
        f"{mine}.{part}": f"features.{place}.{part}"
        for mine, place in zip(ours, places, strict=False)
        for part in ("weight", "bias")
    }
    tensors = file.fetch([each for each in names.values() if each in file.names])
    return {mine: tensors[theirs] for mine, theirs in names.items() if theirs in tensors}


def _linear_weights(path: Path) -> dict[str, torch.Tensor]:
    """Five vectors, which the original has as convolutions (1, C, 1, 1)."""
    file = open_tensors(path, _KIND, "give LPIPS's own alex.pth or vgg.pth")
    names = {f"linear.{place}": f"lin{place}.model.1.weight" for place in range(5)}
    tensors = file.fetch([each for each in names.values() if each in file.names])
    return {mine: tensors[theirs].flatten() for mine, theirs in names.items() if theirs in tensors}


def _alex() -> list[nn.Module]:
    """AlexNet (the one-tower form of torchvision) up to its last convolution: relu1 ... relu5."""
    widths = _WIDTHS["alex"]
    convolutions = [
        nn.Conv2d(3, widths[0], 11, stride=4, padding=2),
        nn.Conv2d(widths[0], widths[1], 5, padding=2),
        *(nn.Conv2d(widths[i], widths[i + 1], 3, padding=1) for i in (1, 2, 3)),
    ]
    pooled = (False, True, True, False, False)
    return [
        nn.Sequential(*([nn.MaxPool2d(3, 2)] if pool else []), convolution, nn.ReLU())
        for pool, convolution in zip(pooled, convolutions, strict=True)
    ]


def _vgg() -> list[nn.Module]:
    """VGG16 up to its last convolution: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""
    stages: list[nn.Module] = []
    before = 3
    for place, (width, count) in enumerate(zip(_WIDTHS["vgg"], (2, 2, 3, 3, 3), strict=True)):
        layers: list[nn.Module] = [nn.MaxPool2d(2, 2)] if place else []
        for _ in range(count):
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        stages.append(nn.Sequential(*layers))
    return stages
