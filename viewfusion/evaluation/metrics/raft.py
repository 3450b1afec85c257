"""Optical flow by RAFT: two pictures go in, where every pixel of one is in the other comes out.

Teed & Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow" (ECCV 2020), by torchvision, which
fits one torch only and is no dependency of viewfusion's; its weights lie in a file of the user's.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from viewfusion.errors import ViewFusionError
from viewfusion.untrusted import shown

from .saved import open_tensors
from .weights import filled, weights_sha256

_MULTIPLE, _SMALLEST = 8, 128  # pixels a side, of what the network takes
_FIRST = "feature_encoder.convnormrelu.0.weight"


class Raft(nn.Module):
    """A flow as :func:`.flow.flow_warp_error` takes it.

    Args:
        network: torchvision's RAFT, large or small.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @cached_property
    def sha256(self) -> str:
        """Hex digest of the weights."""
        return weights_sha256(self.network)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 2, H, W) twice: from each pixel of ``second`` into ``first``, and the other way.

        Args:
            first: (B, 3, H, W) in [0, 1], of any size; continued beyond its border to what RAFT takes.
            second: the same.
        """
        return self.steps(second, first), self.steps(first, second)

    def steps(self, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """(B, 2, H, W): from each pixel of ``here`` the steps to the right and down to where it is."""
        height, width = here.shape[-2:]
        right, below = (max(_SMALLEST - side, -side % _MULTIPLE) for side in (width, height))
        a, b = (F.pad(2 * each - 1, (0, right, 0, below), mode="replicate") for each in (here, there))
        flows: list[torch.Tensor] = self.network(a, b)  # one for each round
        return flows[-1][..., :height, :width]


def load_raft(path: Path) -> Raft:
    """RAFT, large or small as the weights at ``path`` are: torchvision's ``.pth``, or as safetensors.

    Raises:
        ViewFusionError: no torchvision that fits the torch here, no file, or one that does not fit.
    """
    file = open_tensors(path, "file of RAFT's weights", "give torchvision's raft_large or raft_small")
    if _FIRST not in file.names:
        raise ViewFusionError(f"{path}: holds no RAFT of torchvision's; give its raft_large or raft_small")
    tensors = file.fetch(file.names)
    build = _builder("raft_large" if tensors[_FIRST].shape[:1] == (64,) else "raft_small")
    copies = {name: value.clone() for name, value in tensors.items()}
    return Raft(filled(build(weights=None, progress=False), copies, "of RAFT", path, "fetch it again"))


def _builder(name: str) -> Any:
    try:
        from torchvision.models import optical_flow
    except (ImportError, RuntimeError) as error:  # RuntimeError: it is there and made for another torch
        raise ViewFusionError(
            f"RAFT needs the torchvision that fits torch {torch.__version__}, and it cannot be imported "
            f"({shown([error])}); install both from one place, or take RIFE: `viewfusion metrics fetch rife`"
        ) from error
    return getattr(optical_flow, name)
