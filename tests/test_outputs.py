"""Videos, contact sheet, cameras and manifest: real files read back, against values worked out by hand."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, project, ring
from viewfusion.outputs import cameras_json, contact_sheet, write_gif, write_mp4
from viewfusion.outputs.contact_sheet import CELL, LABEL, MARGIN, TITLE, azimuth_label
from viewfusion.outputs.files import atomic_path, write_json
from viewfusion.outputs.manifest import manifest
from viewfusion.outputs.roles import turntable_frames
from viewfusion.views import View, ViewRecord, ViewSet

GREY = (90, 120, 200)


def moving_square(count: int, height: int = 64, width: int = 64) -> list[np.ndarray]:
    frames = [np.full((height, width, 3), 255, np.uint8) for _ in range(count)]
    for place, frame in enumerate(frames):
        frame[20:40, 4 * place : 4 * place + 20] = GREY
    return frames


def made_ring(count: int, size: int = 16) -> ViewSet:
    """A ring whose views are of one shade each; the first is the input."""
    views = [
        View(
            i,
            pose,
            torch.full((3, size, size), i / count),
            torch.zeros(4, 2, 2),
            ViewRecord((0,), (1.0,), 3, 6, 1),
        )
        for i, pose in enumerate(ring(count).views)
    ]
    return ViewSet((replace(views[0], latents=None, record=None), *views[1:]))


@pytest.mark.parametrize(
    ("height", "width", "seen"), [(64, 64, (256, 256)), (100, 150, (300, 450)), (300, 256, (300, 256))]
)
def test_gif_loops_and_shows_every_frame_enlarged_by_a_whole_factor(tmp_path, height, width, seen):
    path = tmp_path / "turn.gif"
    write_gif(path, moving_square(5, height, width), fps=8)
    with Image.open(path) as image:
        assert image.n_frames == 5
        assert image.info["loop"] == 0
        assert image.info["duration"] == 120  # 12.5 hundredths of a second, to the nearest even
    frames = iio.imread(path)[..., :3]
    assert frames.shape == (5, *seen, 3)
    factor = seen[0] // height
    for place, frame in enumerate(frames):
        assert (frame[-1] == 255).all()
        inside = frame[30 * factor, (4 * place + 10) * factor]
        assert np.abs(inside.astype(int) - GREY).max() <= 4


def test_gif_of_more_colours_than_a_palette_holds_stays_close_and_keeps_white_white(tmp_path):
    ramp = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)
    frames = []
    for blue in range(0, 250, 50):
        frame = np.concatenate([ramp, np.full((256, 256, 1), blue)], -1).astype(np.uint8)
        frame[:100] = 255
        frames.append(frame)
    write_gif(tmp_path / "turn.gif", frames, fps=5)
    error = iio.imread(tmp_path / "turn.gif")[..., :3].astype(int) - np.stack(frames)
    assert not error[:, :100].any()
    assert np.sqrt((error**2).mean()) < 16


@pytest.mark.parametrize(("height", "width", "seen"), [(64, 64, (256, 256)), (257, 301, (258, 302))])
def test_mp4_is_h264_yuv420p_and_reads_back(tmp_path, height, width, seen):
    path = tmp_path / "turn.mp4"
    write_mp4(path, moving_square(5, height, width), fps=8)
    facts = iio.immeta(path, plugin="FFMPEG")
    assert facts["codec"] == "h264"
    assert facts["pix_fmt"].startswith("yuv420p")
    assert facts["fps"] == 8
    frames = iio.imread(path, plugin="FFMPEG")
    assert frames.shape == (5, *seen, 3)
    factor = max(1, seen[0] // height)
    for place, frame in enumerate(frames):
        assert frame[-1].min() >= 253
        inside = frame[30 * factor, (4 * place + 10) * factor]
        assert np.abs(inside.astype(int) - GREY).max() <= 6
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "plays before it is loaded whole"


@pytest.mark.parametrize("write", [write_gif, write_mp4])
def test_videos_are_deterministic_and_checked(tmp_path, write):
    first, second = tmp_path / "a.gif", tmp_path / "b.gif"
    if write is write_mp4:
        first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    noise = list(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    write(first, noise, 6)
    write(second, noise, 6)
    assert first.read_bytes() == second.read_bytes()
    write(second, noise[:1], 6)
    assert len(iio.imread(second, index=...)) >= 1
    for frames, fps in (
        ([], 6),
        ([noise[0], noise[1][:32]], 6),
        ([noise[0] / 255], 6),
        (noise, 0),
        (noise, math.nan),
    ):
        with pytest.raises(ValueError, match=r"expected|fps"):
            write(tmp_path / "c.gif", frames, fps)
    with pytest.raises(ViewFusionError, match=r"nowhere.*cannot be written"):
        write(tmp_path / "nowhere" / first.name, noise, 6)
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_an_ffmpeg_that_cannot_run_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "no-such-ffmpeg"))
    with pytest.raises(ViewFusionError, match=r"no-such-ffmpeg.*cannot be run"):
        write_mp4(tmp_path / "a.mp4", moving_square(2), 5)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "false")
    with pytest.raises(ViewFusionError, match="ffmpeg says 'exit status 1'"):
        write_mp4(tmp_path / "a.mp4", moving_square(2), 5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("degrees", "label"),
    [
        (0, "0°"),
        (360, "0°"),
        (22.5, "+22.5°"),
        (11.25, "+11.25°"),
        (315, "-45°"),
        (180, "+180°"),
        (-180, "+180°"),
        (190, "-170°"),
    ],
)
def test_azimuth_labels(degrees, label):
    assert azimuth_label(Pose.from_degrees(degrees, 0, 1)) == label


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (10, 5, 2), (12, 4, 3), (16, 4, 4), (36, 6, 6)]
)
def test_contact_sheet_lays_out_every_view_with_a_label(count, columns, rows):
    views = made_ring(count, size=16) if count > 1 else ViewSet(made_ring(2).views[:1])
    sheet = contact_sheet(views, "a chair")
    side = CELL[0]
    assert sheet.size == (columns * (side + MARGIN) + MARGIN, rows * (side + LABEL) + TITLE + MARGIN)
    pixels = np.asarray(sheet)
    assert (pixels[:TITLE] < 128).any(), "a title"
    for place, view in enumerate(views):
        x, y = MARGIN + place % columns * (side + MARGIN), MARGIN + TITLE + place // columns * (side + LABEL)
        assert (pixels[y : y + side, x : x + side] == view.rgb[0, 0]).all()
        label = pixels[y + side : y + side + LABEL, x : x + side]
        assert (label < 128).any(), "a label"
        assert (label[:, [0, -1]] == 255).all(), "within its cell"


def test_contact_sheet_shrinks_large_views_cuts_long_titles_and_shows_differing_elevations():
    large = contact_sheet(made_ring(4, size=400), "word " * 100)
    assert large.size == (2 * (CELL[1] + MARGIN) + MARGIN, 2 * (CELL[1] + LABEL) + TITLE + MARGIN)
    assert (np.asarray(large)[:, [0, -1]] == 255).all()
    views = made_ring(2)
    tilted = ViewSet((views[0], replace(views[1], pose=Pose.from_degrees(180, 10, 1.5))))
    assert (np.asarray(contact_sheet(tilted))[: TITLE // 2 + MARGIN] == 255).all(), "no one elevation to tell"
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet(ViewSet(()))


def test_turntable_leaves_out_inputs_beside_the_first():
    views = made_ring(5)
    several = ViewSet((views[0], replace(views[1], latents=None), *views[2:]))
    assert [frame[0, 0, 0] for frame in turntable_frames(several)] == [
        views[i].rgb[0, 0, 0] for i in (0, 2, 3, 4)
    ]
    foreign = ViewSet(tuple(replace(view, latents=None) for view in views))
    assert len(turntable_frames(foreign)) == 5


def test_cameras_json_projects_as_geometry_does():
    content = cameras_json(made_ring(4, size=64))
    assert (content["width"], content["height"], content["fov_deg"]) == (64, 64, 49.134)
    assert [view["azimuth_deg"] for view in content["views"]] == [0, 90, 180, 270]
    side = content["views"][1]
    assert side["file"] == "views/001.png"
    assert (side["elevation_deg"], side["radius"]) == (30, 1.5)
    # Azimuth 90°, elevation 30°, radius 1.5: on +y, raised by 1.5 sin 30°.
    position = np.array(side["camera_to_world_opengl"])[:3, 3]
    assert position == pytest.approx([0, 1.5 * math.cos(math.pi / 6), 0.75], abs=1e-8)
    # The origin is in the middle; +z is above it; from +y, +x is to the left.
    points = np.array([[0, 0, 0], [0, 0, 0.3], [0.3, 0, 0]])
    pixels = project(points, np.array(side["camera_to_world_opengl"]), np.array(content["intrinsics"]))
    focal = 32 / math.tan(math.radians(49.134) / 2)
    assert pixels[0] == pytest.approx([32, 32], abs=1e-6)
    # 0.3 up: 0.3 cos 30° up in the camera and 0.3 sin 30° nearer to it.
    assert pixels[1] == pytest.approx([32, 32 - focal * 0.3 * math.cos(math.pi / 6) / (1.5 - 0.15)], abs=1e-5)
    assert pixels[2] == pytest.approx([32 - focal * 0.3 / 1.5, 32], abs=1e-5)


def test_manifest_tells_how_each_view_was_made():
    views = made_ring(3)
    content = manifest(
        views,
        {view.index: view.record for view in views if view.record},
        fingerprint={"a": 1},
        config={"seed": 7},
        checkpoint={"name": "some/where/x.ckpt", "sha256": "ab"},
        source={"file": "/some/where/chair.png", "sha256": "cd", "warnings": [], "method": "alpha"},
        files=["b", "a"],
    )
    assert content["checkpoint"]["name"] == "x.ckpt"
    assert content["input"]["file"] == "chair.png"
    assert (content["seed"], content["files"]) == (7, ["a", "b"])
    assert set(content["versions"]) == {"python", "viewfusion", "torch", "diffusers"}
    pose = {"azimuth_deg": 0, "elevation_deg": 30, "radius": 1.5}
    assert content["views"][0] == {"index": 0, "file": "views/000.png", "source": "input", "pose": pose}
    assert content["views"][1]["source"] == "generated"
    assert content["views"][1]["references"] == [0]
    totals = {"views": 3, "generated": 2, "solver_steps": 6, "network_evaluations": 12, "seconds": 2}
    assert content["totals"] == totals


def test_json_is_sorted_and_keeps_any_file_name(tmp_path):
    value = {"b": "St\u00fchle \udcff.png", "a": [1.5]}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_bytes()
    assert text.startswith(b'{\n  "a"')
    assert text.endswith(b"}\n")
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "y.json", math.nan)


def test_atomic_path_keeps_the_old_file_and_leaves_nothing_when_writing_fails(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def write_and(error: BaseException) -> None:
        with atomic_path(path) as temporary:
            assert (temporary.parent, temporary.suffix, temporary.name[0]) == (tmp_path, ".txt", ".")
            temporary.write_text("half")
            raise error

    with pytest.raises(KeyboardInterrupt):
        write_and(KeyboardInterrupt())
    with pytest.raises(ViewFusionError, match=r"x\.txt cannot be written: No space left on device"):
        write_and(OSError(28, "No space left on device"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_importing_outputs_is_light():
    heavy = "{'torch', 'imageio', 'imageio_ffmpeg', 'diffusers'}"
    check = f"import sys, viewfusion.outputs; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
