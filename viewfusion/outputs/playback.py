"""How a turn is played: views, speed, loops, back and forth and size go in, a GIF or MP4 comes out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from viewfusion.errors import ViewFusionError

from .roles import turntable_frames
from .video import MAX_GIF_FPS, enlargement, turn_fps, write_gif, write_mp4

if TYPE_CHECKING:
    import numpy as np

    from viewfusion.views import ViewSet

MIN_FPS, MAX_FPS = 0.1, 100.0
MIN_SIZE, MAX_SIZE = 16, 4096
MAX_PLAYS = 1000

MAX_PIXELS = 2**28
"""Of all frames together; they are in memory at once, some four bytes a pixel."""


@dataclass(frozen=True)
class Playback:
    """What may be chosen about a turn; None leaves it to the format.

    Args:
        fps: frames a second.
        seconds: how long one play takes, the way back included; instead of ``fps``.
        plays: how often it plays, 0 for ever. A GIF says so in its header and plays for ever by default; an
            MP4 has no such header, holds the turn that many times and by default once.
        bounce: to the last view and back again, for views that do not close a ring.
        size: pixels on the shorter side.

    Raises:
        ViewFusionError: a number out of range, or both ``fps`` and ``seconds``.
    """

    fps: float | None = None
    seconds: float | None = None
    plays: int | None = None
    bounce: bool = False
    size: int | None = None

    def __post_init__(self) -> None:
        if self.fps is not None and self.seconds is not None:
            raise ViewFusionError("--fps and --seconds both set the speed; give one of them")
        _check("--seconds", self.seconds, 0.01, 3600)
        _check("--loop", self.plays, 0, MAX_PLAYS)
        _check("--size", self.size, MIN_SIZE, MAX_SIZE)

    def order(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """The frames of one play. Back and forth, neither end is shown twice."""
        return frames + frames[-2:0:-1] if self.bounce else frames

    def speed(self, turn: int, play: int, most: float = MAX_FPS) -> float:
        """Frames a second, at most ``most``, of a turn of so many frames with so many in one play."""
        if self.seconds is None:
            _check("--fps", self.fps, MIN_FPS, most)
            return turn_fps(turn) if self.fps is None else self.fps
        fps = play / self.seconds
        if not MIN_FPS <= fps <= most:
            raise ViewFusionError(
                f"{play} frames in {self.seconds:g} seconds would be {fps:.4g} a second; "
                f"give --seconds {play / most:g} to {play / MIN_FPS:g}"
            )
        return fps


def play_gif(path: str | Path, views: ViewSet, playback: Playback) -> None:
    """The turn as a GIF; together its frames last what was asked for, to a hundredth of a second.

    Raises:
        ViewFusionError: an impossible speed, too many pixels, or the file cannot be written.
    """
    frames, fps = _frames(views, playback, MAX_GIF_FPS)
    plays = playback.plays or 0
    write_gif(path, frames, fps, plays=plays, size=playback.size, steady=False)


def play_mp4(path: str | Path, views: ViewSet, playback: Playback) -> None:
    """The turn as an MP4, ``playback.plays`` times one after another.

    Raises:
        ViewFusionError: as :func:`play_gif`, and where it should play for ever.
    """
    plays = 1 if playback.plays is None else playback.plays
    if plays == 0:
        raise ViewFusionError("an MP4 cannot loop for ever, players decide that; give --loop 1 or more")
    frames, fps = _frames(views, playback, MAX_FPS, plays)
    write_mp4(path, frames, fps, size=playback.size)


def _frames(
    views: ViewSet, playback: Playback, most: float, repeats: int = 1
) -> tuple[list[np.ndarray], float]:
    """All frames and how many a second."""
    turn = turntable_frames(views)
    play = playback.order(turn)
    height, width = turn[0].shape[:2]
    scale = enlargement(min(height, width), playback.size)
    count = len(play) * repeats
    if count * height * width * scale**2 > MAX_PIXELS:
        raise ViewFusionError(
            f"{count} frames of {width * scale:.0f} x {height * scale:.0f} pixels are too many; "
            "give a smaller --size or --loop"
        )
    return play * repeats, playback.speed(len(turn), len(play), most)


def _check(option: str, value: float | None, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:  # not a number is no number of that range either
        raise ViewFusionError(f"{option} must be {least:g} to {most:g}, got {value:g}")
