"""A dataset's pictures: where one lies goes in, (H, W, 4) uint8 RGBA comes out.

They are read by the same safe reader as photos, so nothing is decoded before its size is known.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing.images import opened_image, rgba_from_pil

from .records import Picture


def read_rgba(picture: Picture) -> np.ndarray:
    """(H, W, 4) uint8 straight-alpha sRGB, opaque where the file has no alpha.

    Raises:
        ViewFusionError: the file is missing, damaged, no picture, larger than 50 megapixels, fully
            transparent, or smaller than the part of it that is the view.
    """
    if picture.box is None:
        return _decoded(picture)
    stamp = picture.path.stat() if picture.path.exists() else None
    # A strip holds 16 views, which are asked for one after another.
    pixels = _strip(picture.path, stamp and (stamp.st_mtime_ns, stamp.st_size))
    left, top, right, bottom = picture.box
    if right > pixels.shape[1] or bottom > pixels.shape[0]:
        raise ViewFusionError(
            f"{picture.path}: wanted at least {right} x {bottom} pixels, got {pixels.shape[1]} x "
            f"{pixels.shape[0]}; copy it again"
        )
    return pixels[top:bottom, left:right].copy()


def picture_size(picture: Picture) -> tuple[int, int, bool]:
    """Width, height and whether it has alpha, as the file's header says; errors as of :func:`read_rgba`."""
    with opened_image(picture.path) as image:
        alpha = image.has_transparency_data
        if picture.box is None:
            return image.width, image.height, alpha
        left, top, right, bottom = picture.box
        return right - left, bottom - top, alpha


@lru_cache(maxsize=1)
def _strip(path: object, stamp: object) -> np.ndarray:
    return _decoded(Picture(path, None))  # type: ignore[arg-type]


def _decoded(picture: Picture) -> np.ndarray:
    with opened_image(picture.path) as image:
        return rgba_from_pil(image, str(picture.path), min_side=1)
