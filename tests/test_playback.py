"""Turns that are played: GIFs and MP4s decoded again, their frames, speed, loops and order counted."""

from __future__ import annotations

import itertools

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, elevation_sweep, ring
from viewfusion.outputs import Playback, export
from viewfusion.views import View, ViewSet

SHADES = 8
"""View i is grey (i + 1) * 24 all over: what a frame shows is read off any pixel of it."""


def shades(count: int = SHADES, height: int = 64, width: int = 64) -> ViewSet:
    values = [(24 * (place + 1)) / 127.5 - 1 for place in range(count)]
    images = [torch.full((3, height, width), value) for value in values]
    return ViewSet(
        tuple(
            View(i, pose, image)
            for i, (pose, image) in enumerate(zip(ring(count).views, images, strict=True))
        )
    )


def gif(path, playback=None, views=None) -> tuple[list[int], list[int], int | None, tuple[int, int]]:
    """Views shown, milliseconds of each, the repeat count of the header, size."""
    export(views or shades(), "gif", path, playback)
    shown, durations = [], []
    with Image.open(path) as image:
        for frame in range(image.n_frames):
            image.seek(frame)
            durations.append(image.info["duration"])
            shown.append(round(np.asarray(image.convert("L"))[5, 5] / 24) - 1)
        return shown, durations, image.info.get("loop"), image.size


def mp4(path, playback=None, views=None) -> tuple[list[int], float, tuple[int, ...]]:
    """Views shown, frames a second, (height, width)."""
    export(views or shades(), "mp4", path, playback)
    frames = iio.imread(path, plugin="FFMPEG")
    shown = [round(frame[frame.shape[0] // 2, frame.shape[1] // 2].mean() / 24) - 1 for frame in frames]
    return shown, iio.immeta(path, plugin="FFMPEG")["fps"], frames.shape[1:3]


ROUND = list(range(SHADES))
BOUNCED = [0, 1, 2, 3, 4, 5, 6, 7, 6, 5, 4, 3, 2, 1]


def test_by_default_a_gif_loops_for_ever_at_the_speed_of_the_turntable(tmp_path):
    shown, durations, loop, size = gif(tmp_path / "turn.gif")
    assert (shown, loop, size) == (ROUND, 0, (256, 256))
    # 8 frames in 2.5 seconds would be 3 a second; the least is 5.
    assert durations == [200] * 8


@pytest.mark.parametrize(("plays", "loop"), [(0, 0), (1, None), (2, 1), (1000, 999)])
def test_a_gif_plays_as_often_as_it_says(tmp_path, plays, loop):
    """The header counts the repetitions after the first time; without one a GIF plays once."""
    assert gif(tmp_path / "turn.gif", Playback(plays=plays))[2] == loop
    held = (tmp_path / "turn.gif").read_bytes()
    assert (b"NETSCAPE2.0" in held) == (plays != 1)


@pytest.mark.parametrize(("fps", "total"), [(50, 160), (30, 270), (12.5, 640), (0.5, 16_000)])
def test_a_gif_lasts_what_was_asked_for_to_a_hundredth_of_a_second(tmp_path, fps, total):
    shown, durations, _, _ = gif(tmp_path / "turn.gif", Playback(fps=fps))
    assert shown == ROUND
    assert sum(durations) == total
    assert max(durations) - min(durations) <= 10
    assert min(durations) >= 20


@pytest.mark.parametrize("bounce", [False, True])
def test_seconds_are_those_of_one_play(tmp_path, bounce):
    shown, durations, _, _ = gif(tmp_path / "turn.gif", Playback(seconds=3, bounce=bounce))
    assert shown == (BOUNCED if bounce else ROUND)
    assert sum(durations) == 3000
    shown, fps, _ = mp4(tmp_path / "turn.mp4", Playback(seconds=4, bounce=bounce))
    assert shown == (BOUNCED if bounce else ROUND)
    assert len(shown) / fps == pytest.approx(4, abs=0.02)


@pytest.mark.parametrize("count", [2, 3])
def test_back_and_forth_shows_neither_end_twice(tmp_path, count):
    wanted = {2: [0, 1], 3: [0, 1, 2, 1]}[count]
    assert gif(tmp_path / "turn.gif", Playback(bounce=True), shades(count))[0] == wanted
    shown, _, _ = mp4(tmp_path / "turn.mp4", Playback(bounce=True, plays=3), shades(count))
    assert shown == wanted * 3
    assert all(a != b for a, b in itertools.pairwise(shown))


def test_an_mp4_plays_once_and_loops_by_repeating(tmp_path):
    assert mp4(tmp_path / "once.mp4")[:2] == (ROUND, 5)
    assert mp4(tmp_path / "twice.mp4", Playback(plays=2, fps=24))[:2] == (ROUND * 2, 24)


@pytest.mark.parametrize(
    ("size", "seen", "even"),
    [
        (None, (320, 256), (256, 320)),
        (128, (160, 128), (128, 160)),
        (101, (126, 101), (102, 126)),
        (64, (80, 64), (64, 80)),
    ],
)
def test_size_is_that_of_the_shorter_side(tmp_path, size, seen, even):
    views = shades(3, 64, 80)
    assert gif(tmp_path / "turn.gif", Playback(size=size), views)[3] == seen
    assert mp4(tmp_path / "turn.mp4", Playback(size=size), views)[2] == even


def test_a_rise_plays_from_the_lowest_to_the_highest(tmp_path):
    """Its input comes first, wherever it stands between the others."""
    trajectory = elevation_sweep(Pose(0.0, 0.5), -0.2, 1.0, SHADES)
    views = ViewSet(
        tuple(
            View(i, pose, each.image)
            for i, (pose, each) in enumerate(zip(trajectory.views, shades(), strict=True))
        )
    )
    heights = [view.pose.elevation for view in views]
    assert heights != sorted(heights)
    rising = sorted(range(SHADES), key=heights.__getitem__)
    assert gif(tmp_path / "a.gif", views=views)[0] == rising
    assert gif(tmp_path / "b.gif", Playback(bounce=True), views)[0] == rising + rising[-2:0:-1]


def test_the_limit_knows_how_large_frames_become(tmp_path):
    """255 pixels are enlarged to 510, of which 1100 frames are more than 2^28 pixels, and 256 are not."""
    with pytest.raises(ViewFusionError, match="1100 frames of 510 x 510 pixels are too many"):
        export(shades(11, 255, 255), "mp4", tmp_path / "a.mp4", Playback(plays=100))


def test_of_several_inputs_only_the_first_is_in_the_turn(tmp_path):
    views = shades(5)
    made = tuple(
        View(view.index, view.pose, view.image, None if view.index < 2 else torch.zeros(4, 2, 2))
        for view in views
    )
    assert gif(tmp_path / "turn.gif", None, ViewSet(made))[0] == [0, 2, 3, 4]
