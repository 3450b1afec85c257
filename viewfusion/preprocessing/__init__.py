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
from .framing import FRAME_FRACTION, FRAMINGS, frame, framing_remarks, object_box, reduced_photo
from .images import (
    opened_image,
    over_white,
    photo_hash,
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
    "FRAMINGS",
    "SEGMENTERS",
    "Cutout",
    "Hints",
    "Preparation",
    "PreparedImage",
    "Steps",
    "cut_out",
    "frame",
    "over_white",
    "photo_hash",
    "prepare_image",
    "prepare_steps",
    "read_image",
    "rgba_from_array",
    "rgba_from_pil",
    "segment",
]

SEEN_SIDE = 768
"""Most pixels a side of the copies that :class:`Steps` keeps for people to look at."""


@dataclass(frozen=True)
class Preparation:
    """How a photo becomes an input view.

    Attributes:
        segmenter: who finds the object; see :func:`cut_out`.
        hints: what a person says about where it is.
        fraction, framing: how large it becomes; see :func:`frame`.
    """

    segmenter: str = "auto"
    hints: Hints = NO_HINTS
    fraction: float = FRAME_FRACTION
    framing: str = "longest"


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An input view as the model expects it.

    Attributes:
        rgba: (size, size, 4) uint8, straight alpha: the object, centred, in its frame.
        method: where its outline comes from, see :class:`Cutout`.
        warnings: whole phrases a person should see.
        confidence: how sure the outline is, 0 (a guess) to 1 (certain).
    """

    rgba: np.ndarray
    method: str
    warnings: tuple[str, ...] = ()
    confidence: float = 1.0

    @property
    def image(self) -> torch.Tensor:
        """(1, 3, size, size) float32 in [-1, 1], over white, on the CPU."""
        import torch

        pixels = torch.from_numpy(over_white(self.rgba)).permute(2, 0, 1)[None]
        return pixels.float() / 127.5 - 1


@dataclass(frozen=True, eq=False)
class Steps:
    """What becomes of a photo on its way, for people who want to see it.

    Attributes:
        prepared: the end.
        cutout: (H, W, 4) uint8, straight alpha: the object alone, as large as the upright photo.
        box: left, top, right, bottom of the object in it; right and bottom exclusive.
        photo: (h, w, 4) uint8: the upright photo as it was read, at most SEEN_SIDE pixels a side.
        alpha: (h, w) uint8: the object's alpha at that size.
    """

    prepared: PreparedImage
    cutout: np.ndarray
    box: tuple[int, int, int, int]
    photo: np.ndarray
    alpha: np.ndarray


def prepare_image(
    source: str | Path | Image.Image | np.ndarray, size: int, how: Preparation = Preparation()
) -> PreparedImage:
    """Read, cut out and frame ``source`` (a file, a Pillow image or a uint8 array) at ``size`` pixels a side.

    Raises:
        ViewFusionError: the source is no usable image, no object is found in it, or ``size`` is below 8.
    """
    return prepare_steps(source, size, how).prepared


def prepare_steps(
    source: str | Path | Image.Image | np.ndarray, size: int, how: Preparation = Preparation()
) -> Steps:
    """:func:`prepare_image`, keeping what came before the end."""
    rgba, remarks = _read(source)
    try:
        photo = reduced_photo(rgba, SEEN_SIDE)
        cutout = cut_out(rgba, how.segmenter, how.hints)
        del rgba  # 200 MB of a large photo
        framed = frame(cutout.rgba, size, how.fraction, how.framing)
        alpha = cutout.rgba[..., 3]
        remarks += (*cutout.warnings, *framing_remarks(alpha, how.fraction, how.framing))
        prepared = PreparedImage(framed, cutout.method, remarks, cutout.confidence)
        seen = reduced_photo(cutout.rgba, SEEN_SIDE)[..., 3]
        return Steps(prepared, cutout.rgba, object_box(alpha), photo, seen)
    except ViewFusionError as error:
        raise ViewFusionError(f"{_name(source)}: {error}") from None
    except Exception as error:
        if not _is_starved(error):
            raise
        raise ViewFusionError(f"{_name(source)}: needs more memory than there is; reduce it") from None


def _is_starved(error: Exception) -> bool:
    """Whether it says that there is too little memory; OpenCV has an error of its own for that."""
    return isinstance(error, MemoryError) or "Insufficient memory" in str(error)


def _name(source: object) -> str:
    return str(source) if isinstance(source, str | os.PathLike) else "image"


def _read(source: object) -> tuple[np.ndarray, tuple[str, ...]]:
    """(H, W, 4) uint8, and what to tell about how it was read."""
    if isinstance(source, np.ndarray):
        return rgba_from_array(source), ()
    if isinstance(source, Image.Image):
        return rgba_from_pil(source), picture_remarks(source)
    if isinstance(source, str | os.PathLike):
        with opened_image(source) as image:
            return rgba_from_pil(image, _name(source)), picture_remarks(image)
    kind = type(source).__name__
    raise ViewFusionError(f"expected a path, a Pillow image or a uint8 array, got {kind}")
