"""Colour profiles: an image that carries one goes in, what makes its colours sRGB comes out."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

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


_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_FITTING = {"L": ("L", "LA", "1", "F"), "CMYK": ("CMYK",), "RGB": ("RGB", "RGBA", "RGBX", "P", "PA", "YCbCr")}
"""Modes of images that a profile for the mode says something about; grey of 16 bits is added below."""


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
        if not fits or "sRGB" in ImageCms.getProfileDescription(source):
            return None  # converting to itself would round
        return ToSrgb(mode, ImageCms.buildTransform(source, srgb, mode, "RGB"))
    except Exception:  # a damaged or foreign profile: the numbers themselves are the best guess left
        return None
