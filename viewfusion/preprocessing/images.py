"""Reading images: a file of a format photos come in goes in, (H, W, 4) uint8 straight-alpha sRGB RGBA out.

Everything that can be wrong with a file somebody found or uploaded is found here, before any model is loaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ViewFusionError

MIN_SIDE = 16
"""Fewest pixels a side. Less than that is an icon or a tracking pixel, and shows no shape to turn."""

MAX_PIXELS = 50_000_000
"""Most pixels, read in the header before anything is decoded: 200 MB as RGBA, above any ordinary camera."""

_FORMATS = [
    "PNG",
    "JPEG",
    "MPO",
    "WEBP",
    "GIF",
    "TIFF",
    "BMP",
    "DIB",
    "PPM",
    "TGA",
    "JPEG2000",
    "AVIF",
    "HEIF",
    "EPS",
]
"""What is tried; HEIF where a plugin reads it, EPS to be refused by its name. Of Pillow's other formats some
(icons) hold pictures larger than they say."""

_SEQUENCES = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")
"""Formats whose further pictures are frames or pages; of a camera's MPO they belong to the first one."""

_MOST_BYTES = 2**30  # no picture of 50 megapixels needs as many
_MOST_SCANS = 200  # a JPEG is decoded anew for each; ordinary ones have 1 or about 10

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of the image file at ``path``: sRGB colours, straight (not premultiplied) alpha.

    EXIF rotation is applied; palettes, grey, CMYK, 16-bit and colour-managed files become 8-bit sRGB; of an
    animation or a multi-page file the first picture is taken. Files without alpha come out opaque (255).

    Raises:
        ViewFusionError: the file is missing, a folder, empty, not an image, damaged, smaller than 16 pixels
            a side, larger than 50 megapixels, fully transparent, or asks for more memory than there is.
    """
    with opened_image(path) as image:
        return rgba_from_pil(image, str(path))


@contextmanager
def opened_image(path: str | Path) -> Iterator[Image.Image]:
    """The image file at ``path``, its header read and found sound; errors as of :func:`read_image`."""
    name = str(path)
    file = _existing_file(name)
    # Pillow warns about odd metadata and large headers: what matters of it is refused below, in our words.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.init()
            formats = [kind for kind in _FORMATS if kind in Image.OPEN]
            with Image.open(file, formats=formats) as image:
                yield image
        except UnidentifiedImageError:
            raise ViewFusionError(f"{name}: not an image Pillow can open; give a PNG, JPEG or WebP") from None
        except Image.DecompressionBombError:
            raise _too_large(name) from None
        except ViewFusionError:
            raise
        except Exception as error:  # headers too can hold anything
            raise _damaged(name, error) from None


def rgba_from_pil(image: Image.Image, name: str = "image", min_side: int = MIN_SIDE) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of an open Pillow image, by the rules of :func:`read_image`; errors say ``name``.

    Args:
        min_side: fewest pixels a side; the texture of a mesh may be a single one.

    Raises:
        ViewFusionError: as :func:`read_image` does, as far as it applies.
    """
    if image.format == "EPS":
        # Decoding one would start Ghostscript on a file nobody has checked.
        raise ViewFusionError(f"{name}: PostScript is not read; give a PNG, JPEG or WebP")
    _check_size(image.width, image.height, name, min_side)
    try:
        if image.format in ("JPEG", "MPO") and _scans(image) > _MOST_SCANS:
            raise ViewFusionError(f"has over {_MOST_SCANS} scans; save it as an ordinary JPEG")
        image.load()
        rgba = np.array(_upright(image))
    except ViewFusionError as error:
        raise ViewFusionError(f"{name}: {error}") from None
    except Exception as error:  # on damaged data decoders raise whatever they stumble over
        raise _damaged(name, error) from None
    return _visible(rgba, name)


def picture_remarks(image: Image.Image) -> tuple[str, ...]:
    """What a person should know of how the loaded ``image`` was read."""
    try:
        several = image.format in _SEQUENCES and getattr(image, "is_animated", False)
    except Exception:  # pictures after the first may be damaged
        several = True
    return ("the file holds several pictures; the first one is used",) if several else ()


def rgba_from_array(array: np.ndarray, name: str = "image") -> np.ndarray:
    """(H, W, 4) uint8 RGBA of an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8 values.

    Raises:
        ViewFusionError: another shape or dtype, too small, too large or fully transparent.
    """
    shape = array.shape
    if array.dtype != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise ViewFusionError(
            f"{name}: expected a uint8 array of (H, W), (H, W, 3) or (H, W, 4), got {array.dtype} {shape}"
        )
    _check_size(shape[1], shape[0], name)
    colours = array[..., None] if array.ndim == 2 else array
    if colours.shape[2] != 4:
        rgb = np.broadcast_to(colours, (*shape[:2], 3))
        colours = np.concatenate([rgb, np.full((*shape[:2], 1), 255, np.uint8)], axis=2)
    return _visible(np.array(colours), name)


def over_white(rgba: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the straight-alpha ``rgba`` (H, W, 4) uint8 laid over white."""
    if rgba[..., 3].min() == 255:
        return rgba[..., :3].copy()
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _existing_file(name: str) -> Path:
    try:
        file = Path(name)
        if file.is_dir():
            raise ViewFusionError(f"{name}: is a folder; give one image file")
        if not file.exists():
            raise ViewFusionError(f"{name}: no such file; check the path")
        if not file.is_file():  # a pipe or a device would be waited for, or read without end
            raise ViewFusionError(f"{name}: not a regular file; give one image file")
        if file.stat().st_size == 0:
            raise ViewFusionError(f"{name}: the file is empty (0 bytes); export or copy it again")
        if file.stat().st_size > _MOST_BYTES:
            raise _too_large(name)
    except ViewFusionError:
        raise
    except (OSError, ValueError) as error:
        raise ViewFusionError(f"{name!r}: cannot be read ({error}); check the path") from None
    return file


def _scans(image: Image.Image) -> int:
    """How often a JPEG goes over its pixels, or more: other data may hold the same bytes. 0 once decoded."""
    file = getattr(image, "fp", None)
    if file is None:
        return 0
    count, last, before = 0, b"", file.tell()
    file.seek(0)
    while chunk := file.read(2**20):
        count += (last + chunk).count(b"\xff\xda")
        last = chunk[-1:]
    file.seek(before)
    return count


def _damaged(name: str, error: Exception) -> ViewFusionError:
    if isinstance(error, MemoryError):  # damaged files too ask for absurd amounts
        return ViewFusionError(f"{name}: cannot be read in the memory there is; reduce it, or copy it again")
    reason = " ".join(str(error).split()) or type(error).__name__
    return ViewFusionError(f"{name}: cannot be read as an image ({reason}); export or copy it again")


def _too_large(name: str, pixels: int | None = None) -> ViewFusionError:
    found = "" if pixels is None else f" ({pixels / 1e6:.0f} megapixels)"
    limit = MAX_PIXELS // 1_000_000
    return ViewFusionError(f"{name}: too large{found}; reduce it to {limit} megapixels or less")


def _check_size(width: int, height: int, name: str, min_side: int = MIN_SIDE) -> None:
    if width * height > MAX_PIXELS:
        raise _too_large(name, width * height)
    if min(width, height) < min_side:
        raise ViewFusionError(f"{name}: only {width} x {height} pixels; give at least {min_side} a side")


def _visible(rgba: np.ndarray, name: str) -> np.ndarray:
    if not rgba[..., 3].any():
        raise ViewFusionError(f"{name}: fully transparent; give an image with something on it")
    return rgba


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        return None


def _upright(image: Image.Image) -> Image.Image:
    """RGBA of a loaded image, turned as its EXIF asks."""
    turn = _turn(image)
    rgba = _as_rgba(image)
    return rgba if turn is None else rgba.transpose(turn)


def _as_rgba(image: Image.Image) -> Image.Image:
    """RGBA of a loaded image of any mode."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit_grey(image)
    if image.mode == "CMYK":
        return _srgb(image, profile).convert("RGBA")
    rgba = image.convert("RGBA")
    if profile:
        alpha = rgba.getchannel("A")
        rgba = _srgb(rgba.convert("RGB"), profile)
        rgba.putalpha(alpha)
    return rgba


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Mode L of a 16-bit integer (0 ... 65535) or floating-point (0 ... 1) image."""
    values = np.asarray(image)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= top):
        raise ViewFusionError(f"grey values outside 0 ... {top:g}; save it as an 8-bit PNG")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def _srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The RGB or CMYK image in sRGB; as it is where it has no usable colour profile."""
    if not profile:
        return image
    try:
        from PIL import ImageCms  # a Pillow built without LittleCMS has none

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image  # spares the rounding of a conversion to itself
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    except Exception:  # a damaged or foreign profile: the numbers themselves are the best guess left
        return image
