"""The picture of an estimate: how badly each elevation fits goes in, a small chart comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from . import ElevationEstimate

WIDTH, HEIGHT = 480, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 52, 44
_INK, _FAINT, _CURVE, _USED = (50, 50, 50), (215, 215, 215), (31, 97, 160), (214, 90, 30)
_FINER = 2


def curve_picture(estimate: ElevationEstimate) -> Image.Image:
    """An RGB picture: the curve, a dashed line where it is least, and a whole one at the elevation used."""
    image = Image.new("RGB", (WIDTH * _FINER, HEIGHT * _FINER), "white")
    draw = ImageDraw.Draw(image)

    def text(x: float, y: float, words: str, size: int, anchor: str = "mm", colour=_INK) -> None:
        place = (x * _FINER, y * _FINER)
        draw.text(place, words, colour, ImageFont.load_default(size * _FINER), anchor)

    def at(degrees: float, misfit: float) -> tuple[float, float]:
        x = _LEFT + (degrees + 90) / 180 * (WIDTH - _LEFT - _RIGHT)
        return x * _FINER, (HEIGHT - _BOTTOM - misfit * (HEIGHT - _TOP - _BOTTOM)) * _FINER

    measured = (
        "nothing measured" if estimate.measured_deg is None else f"{estimate.measured_deg:g}° fits best"
    )
    text(
        WIDTH / 2,
        16,
        f"{measured}, confidence {estimate.confidence:.2f}: {estimate.elevation_deg:g}° used",
        15,
    )
    if estimate.doubt:
        text(WIDTH / 2, 36, estimate.doubt, 12, colour=_USED)
    for degrees in range(-90, 91, 30):
        draw.line([at(degrees, 0), at(degrees, 1)], _FAINT, _FINER)
        text(at(degrees, 0)[0] / _FINER, HEIGHT - _BOTTOM + 12, f"{degrees}°", 12)
    for misfit in (0, 0.5, 1):
        draw.line([at(-90, misfit), at(90, misfit)], _FAINT, _FINER)
        text(_LEFT - 8, at(0, misfit)[1] / _FINER, f"{misfit:g}", 12, "rm")
    text(WIDTH / 2, HEIGHT - 12, "elevation over the horizon; up: share of the points that do not fit", 12)
    draw.line([at(estimate.elevation_deg, 0), at(estimate.elevation_deg, 1)], _USED, 2 * _FINER)
    if estimate.measured_deg is not None:
        for part in range(0, 20, 2):
            ends = [at(estimate.measured_deg, (part + more) / 20) for more in (0, 1)]
            draw.line(ends, _CURVE, _FINER)
    if len(estimate.curve) > 1:
        draw.line([at(*point) for point in estimate.curve], _CURVE, 2 * _FINER, joint="curve")
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
