"""Reading images: a file of a format photos come in goes in, (H, W, 4) uint8 straight-alpha sRGB RGBA out.

Everything that can be wrong with a file somebody found or uploaded is found here, before any model is loaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from ..errors import ViewFusionError
from .profiles import ToSrgb, conversion

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
"""What is tried; HEIF where its plugin is installed, EPS to be refused by its name. Of Pillow's other formats
some (icons) hold pictures larger than they say."""

_BRANDS = {
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"},
}
"""What the first box of such a file says it is; an AVIF may call itself mif1 too."""

_OTHERWISE = "or give a PNG, JPEG or WebP"
_MISSING_READERS = {
    "AVIF": f"an AVIF, which this Pillow cannot read; `pip install -U 'pillow>=11.3'`, {_OTHERWISE}",
    "HEIF": f"a HEIC photo, which needs pillow-heif; `pip install 'viewfusion[heic]'`, {_OTHERWISE}",
}

_SEQUENCES = ("AVIF", "GIF", "PNG", "TIFF", "WEBP")
"""Formats whose further pictures are frames or pages; of a camera's MPO they belong to the first one."""

_MOST_BYTES = 2**30  # no picture of 50 megapixels needs as many
_MOST_SCANS = 200  # a JPEG is decoded anew for each; ordinary ones have 1 or about 10

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)  # two letters: C:/ is a path

_BAND = 2**21
"""Pixels that are converted at once, so that a large photo lies in memory twice and not five times."""

_ORIENTATION_TAG = 0x0112
_STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
"""By EXIF orientation: a view of the upright picture that lies as the file has it."""


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
def opened_image(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """The image file at ``path``, its header read and found sound; errors as of :func:`read_image`."""
    name = str(path)
    file = _existing_file(name)
    # Pillow warns about odd metadata and large headers: what matters of it is refused below, in our words.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.init()
            _find_reader(file, name)
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
        rgba = _upright(image)
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
    """(..., H, W, 3) uint8: the straight-alpha ``rgba`` (..., H, W, 4) uint8 laid over white."""
    if rgba[..., 3].min() == 255:
        return rgba[..., :3].copy()
    lines = rgba.reshape(-1, *rgba.shape[-2:])
    rgb = np.empty((*lines.shape[:2], 3), np.uint8)
    for rows in bands(*lines.shape[:2]):
        alpha = lines[rows, :, 3:].astype(np.uint16)
        rgb[rows] = (lines[rows, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return rgb.reshape(*rgba.shape[:-1], 3)


def bands(height: int, width: int, multiple: int = 1) -> Iterator[slice]:
    """Rows to work through one slice at a time where copies of a whole photo would take too much memory.

    Args:
        multiple: what every slice but the last is a multiple of.
    """
    rows = max(1, _BAND // (max(1, width) * multiple)) * multiple
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def photo_hash(path: str | Path) -> str:
    """SHA-256 (hex) of a photo's bytes; errors as of :func:`read_image` where there is no such file."""
    digest = hashlib.sha256()
    try:
        with _existing_file(str(path)).open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    return digest.hexdigest()


def refuse_addresses(text: str) -> None:
    """Raise ViewFusionError for the address of a picture on the web; nothing is fetched."""
    if _ADDRESS.match(text):
        raise ViewFusionError(f"{text[:200]}: addresses are not read; save the picture and give its file")


def _existing_file(name: str) -> Path:
    try:
        file = Path(name)
        if file.is_dir():
            raise ViewFusionError(f"{name}: is a folder; give one image file")
        if not file.exists():
            refuse_addresses(name)
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


def _find_reader(file: Path, name: str) -> None:
    """Start the plugin that a HEIC photo needs; raises ViewFusionError where what is needed is missing."""
    with file.open("rb") as opened:
        start = opened.read(64)
    if start[4:8] != b"ftyp":
        return
    end = min(int.from_bytes(start[:4], "big"), len(start))
    brands = {start[place : place + 4] for place in range(8, end - 3, 4)}
    if brands & _BRANDS["AVIF"]:
        if not features.check("avif"):
            raise ViewFusionError(f"{name}: {_MISSING_READERS['AVIF']}")
    elif brands & _BRANDS["HEIF"] and "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            raise ViewFusionError(f"{name}: {_MISSING_READERS['HEIF']}") from None
        register_heif_opener()


_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""Of a JPEG's segments; the other bytes after 0xff stand for pixels, or have no content of their own."""
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9


def _scans(image: Image.Image) -> int:
    """How often a JPEG goes over its pixels, up to its end: phones append films. 0 once decoded."""
    file = getattr(image, "fp", None)
    if file is None:
        return 0
    before = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(before)
    count, place = 0, 2
    while marker := _MARKER.search(content, place):
        kind, place = content[marker.start() + 1], marker.end()
        if kind == _END_OF_IMAGE:
            break
        count += kind == _START_OF_SCAN
        place += int.from_bytes(content[place : place + 2], "big")  # its header; of a scan pixels follow
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


def _upright(image: Image.Image) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of a loaded image of any mode, turned as its EXIF asks."""
    stored_as = _STORED.get(_orientation(image))
    width, height = image.size
    turned = stored_as is not None and stored_as(np.empty((1, 2))).shape == (2, 1)
    upright = np.empty((width, height, 4) if turned else (height, width, 4), np.uint8)
    stored = stored_as(upright) if stored_as else upright
    to_srgb = conversion(image)
    for rows in bands(height, width):
        part = image if rows.stop - rows.start == height else image.crop((0, rows.start, width, rows.stop))
        stored[rows] = np.asarray(_as_rgba(part, to_srgb))
    return upright


def _orientation(image: Image.Image) -> int:
    try:
        orientation: int = image.getexif().get(_ORIENTATION_TAG, 1)
        return orientation
    except Exception:  # damaged EXIF says nothing about the pixels
        return 1


def _as_rgba(image: Image.Image, to_srgb: ToSrgb | None) -> Image.Image:
    """RGBA of a loaded image of any mode."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit_grey(image)
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(level >> 8 for level in key)  # of 16 bits; the pixels are of 8
    if to_srgb is None:
        return image.convert("RGBA")
    if to_srgb.mode in ("CMYK", "LAB"):
        return to_srgb(image).convert("RGBA")
    rgba = image.convert("RGBA")
    coloured = to_srgb(rgba.convert(to_srgb.mode))
    coloured.putalpha(rgba.getchannel("A"))
    return coloured


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Mode L of a 16-bit integer (0 ... 65535) or floating-point (0 ... 1) image; LA where a level of it is
    transparent."""
    values = np.asarray(image)
    top = 1.0 if image.mode == "F" else 65535.0
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= top):
        raise ViewFusionError(f"grey values outside 0 ... {top:g}; save it as an 8-bit PNG")
    grey = Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return grey
