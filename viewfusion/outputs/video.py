"""Turntables: a sequence of frames goes in, a looping GIF or an MP4 that plays everywhere comes out.

Where no size is asked for, frames smaller than :data:`MIN_SIDE` are enlarged by a whole factor (Lanczos), so
that players and pages show the small pictures of a small model at a decent size. The same frames give the
same bytes.
"""

from __future__ import annotations

import errno
import math
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError

from .files import atomic_path

MIN_SIDE = 256
"""Least height and width of a video in pixels."""

TURN_SECONDS = 2.5
"""How long a turntable takes where nobody chooses, within 5 to 30 frames a second."""

MAX_GIF_FPS = 50
"""Browsers show a frame meant for less than 2/100 s for a tenth of a second."""

_PALETTE_SAMPLES = 20_000
"""Most pixels a palette is chosen from: the time it takes grows faster than their number."""


def turn_fps(frames: int) -> float:
    """Frames a second of a turn of that many frames, where nobody chooses."""
    return min(30.0, max(5.0, round(frames / TURN_SECONDS)))


def write_gif(
    path: str | Path,
    frames: Sequence[np.ndarray],
    fps: float,
    *,
    plays: int = 0,
    size: int | None = None,
    steady: bool = True,
) -> None:
    """A GIF, by default one that loops for ever.

    All frames share one palette, white and 255 colours chosen over all of them, without dithering: nothing
    that does not move flickers, and a white background stays white. Frames equal to the one before are stored
    as a longer showing of that one.

    Args:
        path: the file to make.
        frames: (H, W, 3) uint8 each, all of one size.
        fps: frames a second, in effect at most :data:`MAX_GIF_FPS`.
        plays: how often it plays; 0 for ever.
        size: pixels on the shorter side; None enlarges to :data:`MIN_SIDE` or more by a whole factor.
        steady: GIF counts in hundredths of a second: all frames last the nearest number of them; or else
            some last one more than others, and all together what ``fps`` says.

    Raises:
        ViewFusionError: the file cannot be written.
        ValueError: no frames, frames of another shape or type, or an impossible ``fps``.
    """
    images = _resized(frames, fps, size)
    palette = _common_palette(images)
    indexed = [_indexed(image, palette) for image in images]
    # The file holds how often to repeat after the first time; without a number it plays once.
    repeats = {} if plays == 1 else {"loop": max(0, plays - 1)}
    with atomic_path(path) as temporary:
        indexed[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=indexed[1:],
            duration=_milliseconds(len(indexed), fps, steady),
            optimize=False,
            **repeats,
        )


def write_mp4(path: str | Path, frames: Sequence[np.ndarray], fps: float, *, size: int | None = None) -> None:
    """An H.264 MP4 (yuv420p, BT.709), written by the ffmpeg of imageio-ffmpeg.

    Odd sizes are made even by repeating the last row or column.

    Args:
        path: the file to make.
        frames: (H, W, 3) uint8 each, all of one size.
        fps: frames a second.
        size: pixels on the shorter side; None enlarges to :data:`MIN_SIDE` or more by a whole factor.

    Raises:
        ViewFusionError: there is no ffmpeg, or it cannot write the file.
        ValueError: no frames, frames of another shape or type, or an impossible ``fps``.
    """
    images = _resized(frames, fps, size)
    width, height = images[0].size
    even = ((0, height % 2), (0, width % 2), (0, 0))
    even_size = (width + width % 2, height + height % 2)
    with atomic_path(path) as temporary:
        command = _ffmpeg_command(temporary.absolute(), even_size, fps)
        pixels = b"".join(np.pad(np.asarray(image), even, mode="edge").tobytes() for image in images)
        try:
            ended = subprocess.run(command, input=pixels, capture_output=True, check=False)
        except OSError as error:
            raise ViewFusionError(f"ffmpeg ({command[0]}) cannot be run: {error.strerror}") from error
        if ended.returncode:
            _raise_cause(ended.returncode)
            said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            reason = said or f"exit status {ended.returncode}"
            raise ViewFusionError(f"{path} cannot be written: ffmpeg says {reason!r}")


def _raise_cause(status: int) -> None:
    """Where the exit status is a negated error of the file system: the last words of ffmpeg seldom say so."""
    code = 256 - status
    if code in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        raise OSError(code, os.strerror(code))


def _ffmpeg_command(path: Path, size: tuple[int, int], fps: float) -> list[str]:
    """Reads rgb24 frames of ``size`` (width, height) from its standard input."""
    import imageio_ffmpeg

    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ViewFusionError(
            "no ffmpeg to write the MP4 with: pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to one"
        ) from error
    colours = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
    reads = f"-f rawvideo -pix_fmt rgb24 -s {size[0]}x{size[1]} -r {fps:g} -i pipe:0"
    tags = "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv"
    codec = "-c:v libx264 -preset medium -crf 16 -pix_fmt yuv420p -threads 1 -filter_threads 1"
    # No encoder name, no time: the same frames give the same file.
    stable = "-map_metadata -1 -fflags +bitexact -flags:v +bitexact -movflags +faststart"
    options = f"-hide_banner -nostdin -loglevel error -y {reads} -an -vf {colours} {codec} {tags} {stable}"
    return [ffmpeg, *options.split(), f"file:{path}"]


def _milliseconds(count: int, fps: float, steady: bool) -> int | list[int]:
    """Of every frame, or of each."""
    fps = min(fps, MAX_GIF_FPS)
    if steady:
        return round(100 / fps) * 10
    ends = np.rint(np.arange(count + 1) * (100 / fps)).astype(int)
    return (np.diff(ends) * 10).tolist()


def enlargement(shorter: int, size: int | None) -> float:
    """By what frames of so many pixels on the shorter side are enlarged: to ``size``, or to :data:`MIN_SIDE`
    or more by a whole factor."""
    return size / shorter if size else math.ceil(MIN_SIDE / shorter)


def _resized(frames: Sequence[np.ndarray], fps: float, size: int | None) -> list[Image.Image]:
    """The frames, checked, with ``size`` pixels on the shorter side, or :data:`MIN_SIDE` or more."""
    if not (math.isfinite(fps) and 0.1 <= fps <= 100):
        raise ValueError(f"fps must be 0.1 to 100, got {fps}")
    kinds = {(frame.shape, str(frame.dtype)) for frame in frames}
    if len(kinds) != 1:
        raise ValueError(f"expected one or more frames of one shape, got {sorted(kinds) or 'none'}")
    ((shape, dtype),) = kinds
    if len(shape) != 3 or shape[2] != 3 or dtype != "uint8" or 0 in shape:
        raise ValueError(f"expected (H, W, 3) uint8 frames, got {shape} {dtype}")
    height, width, _ = shape
    shorter = min(height, width)
    factor = enlargement(shorter, size)
    seen = (round(width * factor), round(height * factor))
    images = (Image.fromarray(frame) for frame in frames)
    return [image if factor == 1 else image.resize(seen, Image.Resampling.LANCZOS) for image in images]


def _common_palette(images: Sequence[Image.Image]) -> Image.Image:
    """255 colours for what is not white in all images; the last one, 255, is white."""
    colours = np.concatenate([_some_colours(image, _PALETTE_SAMPLES // len(images)) for image in images])
    values: list[int] = []
    if len(colours):
        tall = Image.fromarray(colours[:, None])
        chosen = tall.quantize(255, method=Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        values = (chosen.getpalette() or [])[: 255 * 3]
    palette = Image.new("P", (1, 1))
    palette.putpalette(values + [255] * (256 * 3 - len(values)))
    return palette


def _some_colours(image: Image.Image, most: int) -> np.ndarray:
    """(P, 3) uint8: evenly chosen pixels that are not white, at least one where there is one."""
    colours = np.asarray(image)[~_white(image)]
    return colours[np.linspace(0, len(colours) - 1, min(len(colours), max(1, most))).astype(int)]


def _indexed(image: Image.Image, palette: Image.Image) -> Image.Image:
    indexed = image.quantize(palette=palette, dither=Image.Dither.NONE)
    # Pillow looks colours up coarsely and may give white a neighbour.
    indexed.paste(255, mask=Image.fromarray(_white(image)))
    return indexed


def _white(image: Image.Image) -> np.ndarray:
    """(H, W) bool."""
    return (np.asarray(image) == 255).all(axis=-1)
