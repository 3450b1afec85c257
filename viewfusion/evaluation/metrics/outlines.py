"""Overlap of outlines: masks, or pictures over white, go in; intersection over union comes out."""

from __future__ import annotations

import torch

from .pictures import check_pair

NEARLY_WHITE = 234.5 / 255
"""A pixel whose darkest colour is above this (235 of 255 or more) is background."""


def mask_overlap(masks: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(B,) in [0, 1]: intersection over union of (B, H, W) booleans; 1 where both are empty."""
    both = (masks & truth).flatten(1).sum(1)
    either = (masks | truth).flatten(1).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0)


def outline_overlap(images: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(B,) :func:`mask_overlap` of what is not nearly white in (B, 3, H, W) in [0, 1]."""
    check_pair(images, truth)
    return mask_overlap(images.amin(1) < NEARLY_WHITE, truth.amin(1) < NEARLY_WHITE)
