"""What the network makes of a reference whatever the noise is, worked out once instead of at every step.

Enters: a UNet of diffusers, cross-attention tokens, condition latents. Leaves: :class:`Conditioned` rows, and
the UNet's output from them. Exact: attention to a single token is that token's value at every place, because
a softmax over one key is 1; and a convolution of two halves is the sum of theirs. The UNet itself stays as it
is; what runs is a twin that shares its weights and lacks the parts whose results are known.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import torch
from torch import nn

from .feature_reuse import giving_parts, has_deep_levels, taking_parts


@dataclass(eq=False)
class Kept:
    """What the deep levels last gave for one row.

    Args:
        features: (C, h, w); None: it did not go through them yet.
    """

    features: torch.Tensor | None = None


@dataclass(frozen=True)
class Conditioned:
    """What the network is told, a row for each reference; of either kind of UNet below, for that one alone.

    Args:
        values: (N, 1, D) what the cross-attention layers add, and tokens where they join the timestep's
            embedding, side by side: all of it linear in the tokens; of :class:`PlainUNet` the tokens.
        stem: (N, C, h, w) the first layer's share; of :class:`PlainUNet` the condition latents.
        kept: N, filled whenever the UNet runs whole; none: its deep features are not kept.
        light: the top level alone shall run, on what is kept, where it is.
    """

    values: torch.Tensor
    stem: torch.Tensor
    kept: tuple[Kept, ...] = ()
    light: bool = False

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | list[int]) -> Conditioned:
        kept = self.kept[rows] if isinstance(rows, slice) else [self.kept[row] for row in rows if self.kept]
        return Conditioned(self.values[rows], self.stem[rows], tuple(kept), self.light)

    def keeping(self) -> Conditioned:
        """The same rows, which keep their deep features from now on."""
        return replace(self, kept=tuple(Kept() for _ in range(len(self))))

    def lightly(self) -> Conditioned:
        """The same rows, on the deep features that are kept."""
        return replace(self, light=True)

    def mixed(self, weights: torch.Tensor) -> Conditioned:
        """M rows, each a weighted sum of these N by ``weights`` (M, N), whose rows sum to 1."""

        def mix(rows: torch.Tensor) -> torch.Tensor:
            # In half precision the weights would no longer sum to 1.
            in_full = torch.tensordot(weights.to(rows.device, torch.float32), rows.float(), dims=1)
            return in_full.to(rows.dtype)

        return Conditioned(mix(self.values), mix(self.stem))

    @classmethod
    def cat(cls, several: Sequence[Conditioned]) -> Conditioned:
        """The rows of all, one after another."""
        # Where one of them goes through the deep levels all do, and what is kept of others is made anew.
        keeps = any(each.kept for each in several)
        kept = tuple(chain.from_iterable(each.kept or each.keeping().kept for each in several if keeps))
        return cls(
            torch.cat([each.values for each in several]),
            torch.cat([each.stem for each in several]),
            kept,
            all(each.light for each in several),
        )


class PlainUNet:
    """A UNet as it is: told of tokens and condition latents anew at every step."""

    reuses = False
    """Whether it can go on with what its deep levels gave."""

    def __init__(self, unet: Any) -> None:
        self.unet = unet

    def values(self, tokens: torch.Tensor) -> torch.Tensor:
        """The tokens."""
        return tokens

    def stem(self, cond_latents: torch.Tensor) -> torch.Tensor:
        """The condition latents."""
        return cond_latents

    def __call__(
        self, latents: torch.Tensor, timesteps: torch.Tensor, conditioned: Conditioned
    ) -> torch.Tensor:
        """(N, 4, h, w) output at latents (1 or N, 4, h, w) and timesteps () or (N,)."""
        latents = latents.expand(len(conditioned), -1, -1, -1)
        sample = torch.cat([latents, conditioned.stem], dim=1)
        return self.unet(sample, timesteps, encoder_hidden_states=conditioned.values).sample


class SingleTokenUNet:
    """A UNet told once of each reference: one token and condition latents.

    Args:
        unet: one of which :func:`takes_single_tokens`; it stays as it is.
    """

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self.layers = [block.attn2 for block in transformer_blocks(unet).values()]
        self.widths = [layer.out_dim for layer in self.layers]
        if tokens_join_time(unet):
            self.widths.append(unet.config.cross_attention_dim)
        self.twin: Any = substituted(unet, {**known_parts(unet), "conv_in": nn.Identity()})

    @property
    def reuses(self) -> bool:
        """Whether it can go on with what its deep levels gave."""
        return has_deep_levels(self.twin)

    def values(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, 1, D) what each cross-attention layer adds at every place, of tokens (N, 1, d); and these
        themselves, where they are part of the timestep's embedding.

        Raises:
            ValueError: several tokens a row, among which a layer chooses by what it sees.
        """
        if tokens.shape[1] != 1:
            raise ValueError(f"one token a row expected, got {tokens.shape[1]}; use Zero123.predict_noise")
        values = [layer.to_out[0](layer.to_v(tokens)) for layer in self.layers]
        if tokens_join_time(self.unet):
            values.append(tokens)
        return torch.cat(values, dim=-1)

    def stem(self, cond_latents: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) the share of the condition, and the bias, in the first layer."""
        channels = slice(self.unet.conv_in.in_channels - cond_latents.shape[1], None)
        return self._first_layer(cond_latents, channels, self.unet.conv_in.bias)

    def __call__(
        self, latents: torch.Tensor, timesteps: torch.Tensor, conditioned: Conditioned
    ) -> torch.Tensor:
        """(N, 4, h, w) output at latents (1 or N, 4, h, w) and timesteps () or (N,)."""
        sample = self._first_layer(latents, slice(latents.shape[1])) + conditioned.stem
        values = conditioned.values.split(self.widths, dim=-1)
        if not conditioned.kept or not self.reuses:
            return self.twin(sample, timesteps, encoder_hidden_states=values).sample
        known = [each.features for each in conditioned.kept if each.features is not None]
        if conditioned.light and len(known) == len(conditioned):
            return self.taking(sample, timesteps, encoder_hidden_states=(*values, torch.stack(known))).sample
        given: list[torch.Tensor] = []
        output = self.giving(sample, timesteps, encoder_hidden_states=(*values, given)).sample
        for each, features in zip(conditioned.kept, given[0], strict=True):
            each.features = features
        return output

    @cached_property
    def giving(self) -> Any:
        """The twin, which gives its deep features."""
        return substituted(self.twin, giving_parts(self.twin))

    @cached_property
    def taking(self) -> Any:
        """The twin without its deep levels, which is told what they give."""
        return substituted(self.twin, taking_parts(self.twin))

    def _first_layer(
        self, half: torch.Tensor, channels: slice, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        layer = self.unet.conv_in
        return nn.functional.conv2d(half, layer.weight[:, channels], bias, layer.stride, layer.padding)


def split_unet(unet: Any) -> SingleTokenUNet | PlainUNet:
    """The cheapest exact form of ``unet``."""
    return SingleTokenUNet(unet) if takes_single_tokens(unet) else PlainUNet(unet)


def takes_single_tokens(unet: Any) -> bool:
    """Whether :class:`SingleTokenUNet` is exact: a UNet2DConditionModel all of whose parts are known ones."""
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

    if type(unet) is not UNet2DConditionModel:
        return False
    config, conv, blocks = unet.config, unet.conv_in, transformer_blocks(unet)
    # Nothing comes between the tokens and the attention, or before the first layer, which is an ordinary one.
    between = config.encoder_hid_dim_type, config.dual_cross_attention
    ordinary = (type(conv), conv.dilation, conv.groups, conv.padding_mode) == (nn.Conv2d, (1, 1), 1, "zeros")
    # Nothing else looks at the tokens, but for what adds them to the timestep's embedding.
    looking = [each for each in unet.modules() if isinstance(each, Attention) and each.is_cross_attention]
    return (
        between == (None, False)
        and config.addition_embed_type in (None, "text")
        and ordinary
        and not config.center_input_sample
        and looking == [block.attn2 for block in blocks.values()] != []
        and all(block.norm_type == "layer_norm" and not hasattr(block, "fuser") for block in blocks.values())
        and all(gives_the_value(layer) for layer in looking)
    )


def gives_the_value(layer: Any) -> bool:
    """Whether a cross-attention layer gives ``to_out(to_v(token))`` of a single token and nothing more."""
    from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

    return (
        type(layer.processor) in (AttnProcessor, AttnProcessor2_0)
        and not (layer.norm_cross or layer.residual_connection)
        and (layer.rescale_output_factor, layer.to_out[1].p) == (1, 0)
    )


def transformer_blocks(unet: nn.Module) -> dict[str, Any]:
    """By their dotted names, the blocks of ``unet`` with a second attention layer, ``attn2``."""
    from diffusers.models.attention import BasicTransformerBlock

    blocks = {name: each for name, each in unet.named_modules() if isinstance(each, BasicTransformerBlock)}
    return {name: block for name, block in blocks.items() if block.attn2 is not None}


def tokens_join_time(unet: Any) -> bool:
    """Whether tokens are part of the timestep's embedding too."""
    return unet.config.addition_embed_type == "text"


def known_parts(unet: Any) -> dict[str, nn.Module]:
    """By dotted names, what takes the place of the parts that look at tokens: each ``attn2`` and the norm
    before it, and what adds tokens to the timestep's embedding, which finds them elsewhere."""
    parts: dict[str, nn.Module] = {}
    blocks = transformer_blocks(unet)
    for place, name in enumerate(blocks):
        parts |= {f"{name}.norm2": nn.Identity(), f"{name}.attn2": _Known(place)}
    if tokens_join_time(unet):
        parts["add_embedding"] = _Embedding(len(blocks), unet.add_embedding)
    return parts


class _Known(nn.Module):
    """An attention layer whose result is known: the ``place``-th of those handed on in place of tokens."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: Sequence[torch.Tensor],
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(N, 1, C), which is added at every place; the queries (N, h w, C) make no difference."""
        return encoder_hidden_states[self.place]


class _Embedding(nn.Module):
    """``embedding`` of the tokens, the ``place``-th of what is handed on in place of them.

    Not known beforehand: it is not linear, so :meth:`Conditioned.mixed` must mix the tokens themselves.
    """

    def __init__(self, place: int, embedding: nn.Module) -> None:
        super().__init__()
        self.place, self.embedding = place, embedding

    def forward(self, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """(N, D), which is added to the timestep's embedding."""
        return self.embedding(values[self.place])


def substituted(module: nn.Module, parts: Mapping[str, nn.Module]) -> nn.Module:
    """A twin of ``module`` with ``parts`` at their dotted names, and otherwise made of the same objects.

    Weights and hooks are shared: to move, change or load those of ``module`` does so for the twin.
    """
    twin, children = copy.copy(module), dict(module._modules)
    for name, child in module.named_children():
        inner = {
            dotted.removeprefix(f"{name}."): part
            for dotted, part in parts.items()
            if dotted.startswith(f"{name}.")
        }
        if inner:
            children[name] = substituted(child, inner)
    children |= {name: part for name, part in parts.items() if name in children}
    twin._modules = children
    return twin
