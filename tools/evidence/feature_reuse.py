"""Feature reuse between steps: a UNet of diffusers goes in, it skips its deep levels at some calls.

After DeepCache (Ma et al., CVPR 2024): what the deep levels hand up changes slowly from one step to the next,
so that every other step may keep it and run the top level alone. A means of measuring whether that pays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


class FeatureReuse:
    """While the block runs, ``unet`` runs whole at every ``every``-th call since :meth:`restart`.

    At the others only its first down block and its last up block run, on what the up block before that gave
    when the UNet last ran whole. Rows of a batch must be those of that call.
    """

    def __init__(self, unet: Any, every: int) -> None:
        self.unet, self.every = unet, every
        self.calls = 0
        self._whole, self._kept = True, torch.empty(0)

    def restart(self) -> None:
        """The next call runs whole: it begins another sample."""
        self.calls = 0

    def __enter__(self) -> FeatureReuse:
        for block in self.unet.down_blocks[1:]:
            handed = len(block.resnets) + (block.downsamplers is not None)
            self._replace(block, lambda sample, handed=handed: (sample, (sample,) * handed))
        for block in (self.unet.mid_block, *self.unet.up_blocks[:-2]):
            self._replace(block, lambda sample: sample)
        self._replace(self.unet.up_blocks[-2], lambda sample: self._kept)
        self._hooks = [
            self.unet.down_blocks[0].register_forward_pre_hook(self._begin),
            self.unet.up_blocks[-2].register_forward_hook(self._keep),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for block in (*self.unet.down_blocks[1:], self.unet.mid_block, *self.unet.up_blocks[:-1]):
            del block.forward  # of the instance; its class has its own
        for hook in self._hooks:
            hook.remove()

    def _replace(self, block: nn.Module, skipped: Callable[[torch.Tensor], Any]) -> None:
        whole = block.forward

        def forward(hidden_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            return whole(hidden_states, *args, **kwargs) if self._whole else skipped(hidden_states)

        block.forward = forward

    def _begin(self, *_: Any) -> None:
        self._whole = self.calls % self.every == 0
        self.calls += 1

    def _keep(self, block: nn.Module, args: Any, output: torch.Tensor) -> None:
        self._kept = output
