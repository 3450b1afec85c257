"""Pictures as metrics take them: views or pixels go in, ``(B, 3, H, W)`` float32 in [0, 1] comes out."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from viewfusion.errors import ViewFusionError
from viewfusion.views import ViewSet


def unit_images(pictures: ViewSet | np.ndarray) -> torch.Tensor:
    """(B, 3, H, W) float32 in [0, 1] of views, or of (B, H, W, 3) uint8 pixels.

    Views are rounded to 8 bits first, so that a run scores the same in memory and read from its files.
    """
    pixels = np.stack([view.rgb for view in pictures]) if isinstance(pictures, ViewSet) else pictures
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
        raise ViewFusionError(
            f"wanted pixels (B, H, W, 3) of type uint8, got {pixels.shape} of type {pixels.dtype}"
        )
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255


def resized(images: torch.Tensor, size: int) -> torch.Tensor:
    """(B, 3, size, size): bicubic (align_corners False, smoothed where it shrinks), kept within [0, 1]."""
    if images.shape[-2:] == (size, size):
        return images
    scaled = F.interpolate(images, (size, size), mode="bicubic", align_corners=False, antialias=True)
    return scaled.clamp(0, 1)


def each_with_next(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pairs (i, i + 1 mod V) of a whole turn (V, 3, H, W): what consistency is measured on."""
    return images, images.roll(-1, 0)


def check_pair(images: torch.Tensor, others: torch.Tensor, smallest: int = 1) -> None:
    """Refuse what would give a number without meaning.

    Raises:
        ViewFusionError: shapes that differ or are no (B, 3, H, W) of at least ``smallest`` pixels a side, or
            values outside [0, 1].
    """
    shapes = tuple(images.shape), tuple(others.shape)
    if shapes[0] != shapes[1] or images.ndim != 4 or images.shape[1] != 3 or not images.numel():
        raise ViewFusionError(
            f"wanted two batches of pictures (B, 3, H, W) of one shape, got {shapes[0]} and {shapes[1]}"
        )
    if min(images.shape[-2:]) < smallest:
        height, width = images.shape[-2:]
        raise ViewFusionError(f"wanted pictures of {smallest} pixels a side or more, got {width} x {height}")
    for batch in (images, others):
        low, high = (float(value) for value in batch.aminmax())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise ViewFusionError(
                f"wanted pictures with values in [0, 1], got {low:g} to {high:g}; unit_images() gives them"
            )
