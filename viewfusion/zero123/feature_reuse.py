"""Feature reuse between steps: twins of a UNet that give, and that take, what its deep levels hand up.

Enters: a UNet of diffusers whose blocks are told values in a sequence. Leaves: one twin that runs whole and
appends the features before its last up block to a list, the sequence's last member; and one that runs the top
level alone, on features that stand there. After DeepCache (Ma et al., CVPR 2024): from one step to the next
these features change little, and most of the work is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


def has_deep_levels(unet: Any) -> bool:
    """Whether there is anything below the top level."""
    return len(unet.down_blocks) > 1 and len(unet.up_blocks) > 1


def giving_parts(unet: Any) -> dict[str, nn.Module]:
    """By dotted names, what takes the place of parts of ``unet`` to give its deep features."""
    place = len(unet.up_blocks) - 2
    return {f"up_blocks.{place}": _Giving(unet.up_blocks[place])}


def taking_parts(unet: Any) -> dict[str, nn.Module]:
    """By dotted names, what takes the place of parts of ``unet`` to run its top level on given features."""
    parts: dict[str, nn.Module] = {}
    for place, block in enumerate(unet.down_blocks[1:], start=1):
        parts[f"down_blocks.{place}"] = _Down(len(block.resnets) + (block.downsamplers is not None))
    if unet.mid_block is not None:
        parts["mid_block"] = _Up(())
    *deep, last = list(unet.up_blocks[:-1])
    parts |= {f"up_blocks.{place}": _Up(block.resnets) for place, block in enumerate(deep)}
    parts[f"up_blocks.{len(deep)}"] = _Taken(last.resnets)
    return parts


class _Giving(nn.Module):
    """An up block whose output is appended to the list that ends the values."""

    has_cross_attention = True  # so that it is told the values

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block, self.resnets = block, block.resnets

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: Sequence[Any],
        attention_mask: Any = None,
        cross_attention_kwargs: Any = None,
        encoder_attention_mask: Any = None,
        **options: Any,
    ) -> torch.Tensor:
        if getattr(self.block, "has_cross_attention", False):
            options["encoder_hidden_states"] = encoder_hidden_states
        output = self.block(hidden_states=hidden_states, **options)
        encoder_hidden_states[-1].append(output)
        return output


class _Down(nn.Module):
    """A down block that is passed by; what it hands across, nobody looks at."""

    def __init__(self, handed: int) -> None:
        super().__init__()
        self.handed = handed

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, tuple]:
        return hidden_states, (hidden_states,) * self.handed


class _Up(nn.Module):
    """A middle or up block that is passed by; ``resnets`` tell how much of what is handed across is its."""

    def __init__(self, resnets: Sequence[nn.Module]) -> None:
        super().__init__()
        self.resnets = [None] * len(resnets)

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return hidden_states


class _Taken(_Up):
    """An up block whose output is known: the last of the values."""

    has_cross_attention = True

    def forward(
        self, hidden_states: torch.Tensor, *_: Any, encoder_hidden_states: Sequence[Any], **__: Any
    ) -> torch.Tensor:
        return encoder_hidden_states[-1]
