"""Preprocessing: a file somebody has goes in, the square picture that the model expects comes out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import ViewFusionError
from .cutout import Cutout, cut_out
from .framing import FRAME_FRACTION, frame
from .images import (
    opened_image,
    over_white,
    picture_remarks,
    read_image,
    rgba_from_array,
    rgba_from_pil,
)
from .segmenters import NO_HINTS, SEGMENTERS, Hints, segment

if TYPE_CHECKING:
    import torch

__all__ = [
    "FRAME_FRACTION",
    "SEGMENTERS",
    "Cutout",
    "Hints",
    "PreparedImage",
    "cut_out",
    "frame",
    "over_white",
    "prepare_image",
    "read_image",
    "rgba_from_array",
    "rgba_from_pil",
    "segment",
]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An input view as the model expects it.

    Attributes:
        rgba: (size, size, 4) uint8, straight alpha: the object, centred, in its frame.
        method: where its outline comes from, see :class:`Cutout`.
        warnings: whole phrases a person should see.
    """

    rgba: np.ndarray
    method: str
    warnings: tuple[str, ...] = ()

    @property
    def image(self) -> torch.Tensor:
        """(1, 3, size, size) float32 in [-1, 1], over white, on the CPU."""
        import torch

        pixels = torch.from_numpy(over_white(self.rgba)).permute(2, 0, 1)[None]
        return pixels.float() / 127.5 - 1


def prepare_image(
    source: str | Path | Image.Image | np.ndarray,
    size: int,
    segmenter: str = "auto",
    hints: Hints = NO_HINTS,
) -> PreparedImage:
    """Read, cut out and frame ``source`` (a file, a Pillow image or a uint8 array) at ``size`` pixels a side.

    ``segmenter`` and ``hints`` are those of :func:`cut_out`.

    Raises:
        ViewFusionError: the source is no usable image, no object is found in it, or ``size`` is below 8.
    """
    name = "image"
    remarks: tuple[str, ...] = ()
    if isinstance(source, np.ndarray):
        rgba = rgba_from_array(source)
    elif isinstance(source, Image.Image):
        rgba, remarks = rgba_from_pil(source), picture_remarks(source)
    elif isinstance(source, str | os.PathLike):
        name = str(source)
        with opened_image(source) as image:
            rgba, remarks = rgba_from_pil(image, name), picture_remarks(image)
    else:
        kind = type(source).__name__
        raise ViewFusionError(f"expected a path, a Pillow image or a uint8 array, got {kind}")
    try:
        cutout = cut_out(rgba, segmenter, hints)
        return PreparedImage(frame(cutout.rgba, size), cutout.method, (*remarks, *cutout.warnings))
    except MemoryError:
        raise ViewFusionError(f"{name}: needs more memory than there is; reduce it") from None
    except ViewFusionError as error:
        raise ViewFusionError(f"{name}: {error}") from None
