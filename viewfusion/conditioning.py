"""What the network is told of each view it refers to, worked out once in a view's life.

Enters: views' poses and pixels as they appear. Leaves: the ``Conditions`` of a target.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from viewfusion.fusion import Conditions, Target
from viewfusion.geometry import Pose
from viewfusion.zero123 import Conditioned, Zero123


@dataclass
class ReferenceMemory:
    """Views that may serve as references.

    One memory may serve several runs one after another: a view given again with the same pixels, such as the
    input, keeps its encoding, one with other pixels loses it.

    Attributes:
        encodes: how many views were encoded so far; a view nothing refers to never is.
    """

    model: Zero123
    encodes: int = 0
    _views: dict[int, tuple[Pose, torch.Tensor]] = field(default_factory=dict)
    _encoded: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    _stems: dict[int, torch.Tensor] = field(default_factory=dict)

    def copy(self) -> ReferenceMemory:
        """One that knows what this one does and goes on by itself: runs that go on at once need one each."""
        views, encoded, stems = dict(self._views), dict(self._encoded), dict(self._stems)
        return replace(self, _views=views, _encoded=encoded, _stems=stems)

    def add(self, index: int, pose: Pose, pixels: torch.Tensor) -> None:
        """Remember a view: ``pixels`` (1, 3, H, W) in [-1, 1]."""
        known = self._views.get(index)
        if known is None or not torch.equal(known[1], pixels):
            self._encoded.pop(index, None)
            self._stems.pop(index, None)
        self._views[index] = pose, pixels

    def conditions(self, target: Target, pose: Pose) -> Conditions:
        """What ``target`` at ``pose`` is denoised from."""
        embeds = torch.cat([self._encode(index)[0] for index in target.references])
        moves = self.model.pose_embedding(pose, [self._views[index][0] for index in target.references])
        tokens = self.model.project(embeds, moves)
        tokens = torch.cat([torch.zeros_like(tokens[:1]), tokens])
        stems = [self._stem(index) for index in target.references]
        nothing = self.model.stem(torch.zeros_like(self._encode(target.references[0])[1]))
        rows = Conditioned(self.model.values(tokens), torch.cat([nothing, *stems]))
        return Conditions(rows, target.weights)

    def _encode(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index not in self._encoded:
            pixels = self._views[index][1].to(self.model.device, self.model.dtype)
            self._encoded[index] = self.model.embed_images(pixels), self.model.encode_cond_latents(pixels)
            self.encodes += 1
        return self._encoded[index]

    def _stem(self, index: int) -> torch.Tensor:
        if index not in self._stems:
            self._stems[index] = self.model.stem(self._encode(index)[1])
        return self._stems[index]
