"""Colour profiles: an image that carries one goes in, what makes its colours sRGB comes out."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms


@dataclass(frozen=True)
class ToSrgb:
    """From the colours of a profile, seen as ``mode``, to RGB in sRGB."""

    mode: str
    transform: ImageCms.ImageCmsTransform

    def __call__(self, image: Image.Image) -> Image.Image:
        from PIL import ImageCms

        return ImageCms.applyTransform(image, self.transform) or image


_ROUNDING = 2
"""Levels: curves of profiles in sRGB are tables of some length."""
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FITTING = {"L": ("L", "LA", "1", "F"), "CMYK": ("CMYK",), "RGB": ("RGB", "RGBA", "RGBX", "P", "PA", "YCbCr")}
"""Modes of images that a profile for the mode says something about; grey of 16 bits is added below."""


def _changes(found: ToSrgb) -> bool:
    """Whether it does more to greys and primaries than round. Names say little: "sRGB" with a linear curve
    is another space."""
    levels = np.zeros((4, 256, 3), np.uint8)
    levels[0] = np.arange(256)[:, None]
    for channel in range(3):
        levels[1 + channel, :, channel] = np.arange(256)
    ramp = Image.fromarray(levels if found.mode == "RGB" else levels[:1, :, 0])
    before, after = (np.asarray(each.convert("RGB"), np.int16) for each in (ramp, found(ramp)))
    return bool(np.abs(after - before).max() > _ROUNDING)


def conversion(image: Image.Image) -> ToSrgb | None:
    """What the image's colour profile asks for; None where it has none that is usable, or is in sRGB."""
    profile = image.info.get("icc_profile")
    if not profile and image.mode != "LAB":
        return None
    try:
        from PIL import ImageCms  # a Pillow built without LittleCMS has none

        srgb = ImageCms.createProfile("sRGB")
        if image.mode == "LAB":
            lab = ImageCms.createProfile("LAB")
            return ToSrgb("LAB", ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
        source = ImageCms.ImageCmsProfile(BytesIO(profile or b""))
        mode = _PROFILE_MODES[source.profile.xcolor_space.strip()]
        fits = image.mode in _FITTING[mode] or (mode == "L" and image.mode.startswith("I"))
        found = ToSrgb(mode, ImageCms.buildTransform(source, srgb, mode, "RGB"))
        return found if fits and (mode == "CMYK" or _changes(found)) else None
    except Exception:  # a damaged or foreign profile: the numbers themselves are the best guess left
        return None
