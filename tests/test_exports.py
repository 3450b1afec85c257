"""Exports: known points, projected by each format's documented convention, are where the pictures show them.

The projections here are written from the formats' documentation and use nothing of viewfusion.geometry.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.cli import main
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import (
    Pose,
    camera_to_world,
    colmap_to_opengl,
    intrinsics,
    nerfstudio_to_opengl,
    pose_from_camera_to_world,
    project,
    ring,
)
from viewfusion.outputs import FORMATS, Playback, RunFolder, export, read_run
from viewfusion.outputs.colmap import quaternion
from viewfusion.outputs.files import atomic_folder, remove_partial
from viewfusion.views import View, ViewSet

POINTS = np.array([[0.3, 0.1, 0.2], [-0.2, 0.3, -0.1], [0.1, -0.3, 0.05]])
"""A marker in each colour channel; no symmetry takes one to another."""

POSES = tuple(
    Pose.from_degrees(*numbers)
    for numbers in [(0, 30, 1.5), (75, -20, 1.8), (180, 0, 1.5), (222.5, 60, 2.2), (359, 89, 1.5)]
)
FOLDERS = ("nerfstudio", "colmap", "viewfusion")


def scene(poses=POSES, height=48, width=64, spread=1.5) -> ViewSet:
    """White pictures with a soft dot where geometry.project sees each point, one a colour channel."""
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    views = []
    for index, pose in enumerate(poses):
        dots = project(POINTS, camera_to_world(pose), intrinsics((height, width)))
        channels = [np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * spread**2)) for x, y in dots]
        views.append(View(index, pose, torch.tensor(1 - 2 * np.stack(channels), dtype=torch.float32)))
    return ViewSet(tuple(views))


def dots(picture: Path | np.ndarray) -> np.ndarray:
    """(3, 2) where the dots are, x and y in pixels, the first pixel covering 0 to 1."""
    pixels = np.asarray(Image.open(picture)) if isinstance(picture, Path) else picture
    dark = 255.0 - pixels
    height, width = dark.shape[:2]
    total = dark.sum((0, 1))
    x = (dark * (np.arange(width) + 0.5)[None, :, None]).sum((0, 1)) / total
    y = (dark * (np.arange(height) + 0.5)[:, None, None]).sum((0, 1)) / total
    return np.stack([x, y], 1)


def expected(pose: Pose, height: int, width: int) -> np.ndarray:
    return project(POINTS, camera_to_world(pose), intrinsics((height, width)))


def by_look_at(position: np.ndarray, focal: float, width: int, height: int) -> np.ndarray:
    """POINTS through a camera at ``position`` that looks at the origin, z up: textbook vectors."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    seen = POINTS - position
    depth = seen @ forward
    return np.stack(
        [focal * (seen @ right) / depth + width / 2, focal * (seen @ down) / depth + height / 2], 1
    )


def test_nerfstudio_by_its_documentation(tmp_path):
    """+X right, +Y up, looking along -Z; columns of the matrix are the axes and the origin."""
    views = scene()
    export(views, "nerfstudio", tmp_path / "ns")
    meta = json.loads((tmp_path / "ns/transforms.json").read_text())
    assert meta["camera_model"] == "OPENCV"
    assert (meta["w"], meta["h"], meta["cx"], meta["cy"]) == (64, 48, 32, 24)
    assert [meta[key] for key in ("k1", "k2", "p1", "p2")] == [0, 0, 0, 0]
    assert meta["orientation_override"] == "none"
    assert "applied_transform" not in meta
    assert len(meta["frames"]) == len(views)
    for view, frame in zip(views, meta["frames"], strict=True):
        matrix = np.array(frame["transform_matrix"])
        assert matrix[3].tolist() == [0, 0, 0, 1]
        x, y, z = ((POINTS - matrix[:3, 3]) @ matrix[:3, :3]).T
        pixels = np.stack([meta["cx"] + meta["fl_x"] * x / -z, meta["cy"] - meta["fl_y"] * y / -z], 1)
        assert np.abs(pixels - expected(view.pose, 48, 64)).max() < 1e-8
        picture = tmp_path / "ns" / frame["file_path"]
        assert np.abs(dots(picture) - pixels).max() < 0.05
        assert (np.asarray(Image.open(picture)) == view.rgb).all()
        pose = pose_from_camera_to_world(nerfstudio_to_opengl(matrix))
        assert same_pose(pose, view.pose)


def same_pose(one: Pose, other: Pose) -> bool:
    turn = math.remainder(one.azimuth - other.azimuth, 2 * math.pi)
    return max(abs(turn), abs(one.elevation - other.elevation), abs(one.radius - other.radius)) < 1e-9


def colmap_model(folder: Path) -> tuple[list[str], list[tuple[str, np.ndarray, np.ndarray]]]:
    """The camera's fields; name, rotation and translation of each image, by COLMAP's documentation."""
    (camera,) = [line for line in (folder / "cameras.txt").read_text().splitlines() if line[0] != "#"]
    lines = [
        line for line in (folder / "images.txt").read_text().split("\n")[:-1] if not line.startswith("#")
    ]
    images = []
    for place, (first, second) in enumerate(zip(lines[::2], lines[1::2], strict=True), start=1):
        number, *numbers, camera_id, name = first.split()
        assert (int(number), camera_id, second) == (place, "1", "")
        w, x, y, z, *translation = map(float, numbers)
        assert w >= 0
        assert w * w + x * x + y * y + z * z == pytest.approx(1, abs=1e-11)
        rotation = [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
        images.append((name, np.array(rotation), np.array(translation)))
    return camera.split(), images


def test_colmap_by_its_documentation(tmp_path):
    """World-to-camera, X right, Y down, Z to the front."""
    views = scene()
    export(views, "colmap", tmp_path / "model")
    camera, images = colmap_model(tmp_path / "model/sparse/0")
    assert camera[:4] == ["1", "PINHOLE", "64", "48"]
    fx, fy, cx, cy = map(float, camera[4:])
    assert (fx, cx, cy) == (fy, 32, 24)
    assert len(images) == len(views)
    for view, (name, rotation, translation) in zip(views, images, strict=True):
        x, y, z = (POINTS @ rotation.T + translation).T
        pixels = np.stack([fx * x / z + cx, fy * y / z + cy], 1)
        assert np.abs(pixels - expected(view.pose, 48, 64)).max() < 1e-8
        picture = tmp_path / "model/images" / name
        assert np.abs(dots(picture) - pixels).max() < 0.05
        assert (np.asarray(Image.open(picture)) == view.rgb).all()
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, translation
        pose = pose_from_camera_to_world(colmap_to_opengl(matrix))
        assert same_pose(pose, view.pose)


def test_colmap_itself_opens_the_model_and_sees_the_same(tmp_path):
    import pycolmap

    views = scene()
    export(views, "colmap", tmp_path / "model")
    model = pycolmap.Reconstruction(tmp_path / "model/sparse/0")
    assert (model.num_images(), model.num_cameras(), model.num_points3D()) == (len(views), 1, 0)
    for number, view in enumerate(views, start=1):
        image = model.images[number]
        pixels = np.array([image.project_point(point) for point in POINTS])
        assert np.abs(pixels - expected(view.pose, 48, 64)).max() < 1e-8
        assert np.abs(dots(tmp_path / "model/images" / image.name) - pixels).max() < 0.05
        assert image.projection_center() == pytest.approx(camera_to_world(view.pose)[:3, 3], abs=1e-10)


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 3]])
@pytest.mark.parametrize("degrees", [0, 1e-7, 90, 179.9999999, 180, 270])
def test_quaternions_turn_about_their_axis(axis, degrees):
    """(cos a/2, sin a/2 * axis), up to the sign that makes w positive."""
    unit, angle = np.array(axis) / np.linalg.norm(axis), math.radians(degrees)
    x, y, z = unit
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross
    wanted = np.array([math.cos(angle / 2), *(math.sin(angle / 2) * unit)])
    found = quaternion(rotation)
    assert found[0] >= 0
    assert min(np.abs(found - wanted).max(), np.abs(found + wanted).max()) < 1e-9


def test_numbered_files_by_their_documentation(tmp_path):
    """Radians, the polar angle from straight above, a lens of 35 mm before 32 mm."""
    views = scene(POSES[:4])
    export(views, "viewfusion", tmp_path / "numbered")
    angles = json.loads((tmp_path / "numbered/angles.json").read_text())
    assert sorted(p.name for p in (tmp_path / "numbered").iterdir()) == [
        *(f"{i:03d}.png" for i in range(4)),
        "angles.json",
    ]
    assert angles[0] == {"azimuth": 0, "polar": pytest.approx(math.pi / 3, abs=1e-12), "radius": 1.5}
    for place, (view, entry) in enumerate(zip(views, angles, strict=True)):
        azimuth, polar, radius = entry["azimuth"], entry["polar"], entry["radius"]
        position = radius * np.array(
            [math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar)]
        )
        pixels = by_look_at(position, 35 / 32 * 64, 64, 48)
        assert np.abs(pixels - expected(view.pose, 48, 64)).max() < 1e-3  # 49.134° is a rounded 35 : 32
        picture = tmp_path / "numbered" / f"{place:03d}.png"
        assert np.abs(dots(picture) - pixels).max() < 0.05
        assert (np.asarray(Image.open(picture)) == view.rgb).all()
        assert same_pose(Pose(azimuth, math.pi / 2 - polar, radius), view.pose)


@pytest.mark.parametrize(("size", "count"), [(256, 16), (64, 16), (320, 16), (64, 48)])
def test_syncdreamers_strip_by_its_cameras(tmp_path, size, count):
    """K = 280, 128; azimuth 22.5° times the place, elevation 30°, distance 1.5."""
    views = scene(ring(count).views, size, size, spread=size / 48)
    export(views, "syncdreamer", tmp_path / "strip.png")
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert strip.shape == (256, 16 * 256, 3)
    for place in range(16):
        azimuth, elevation = math.radians(22.5 * place), math.radians(30)
        position = 1.5 * np.array(
            [
                math.cos(elevation) * math.cos(azimuth),
                math.cos(elevation) * math.sin(azimuth),
                math.sin(elevation),
            ]
        )
        pixels = by_look_at(position, 280, 256, 256)
        picture = strip[:, 256 * place : 256 * (place + 1)]
        assert np.abs(dots(picture) - pixels).max() < 0.1
        if size == 256:
            assert (picture == views[place].rgb).all()


@pytest.mark.parametrize(
    ("poses", "size", "words"),
    [
        (ring(36).views, (32, 32), ["azimuth 22.5", "--views 16 --elevation-deg 30"]),
        (ring(16, math.radians(20)).views, (32, 32), ["elevation 30", "azimuth 0"]),
        (ring(16, radius=1.8).views, (32, 32), ["radius 1.5", "radius=1.5"]),
        (ring(16).views, (32, 48), ["square", "48 x 32"]),
    ],
)
def test_syncdreamer_refuses_other_cameras(tmp_path, poses, size, words):
    with pytest.raises(ViewFusionError, match="syncdreamer wants") as error:
        export(scene(poses, *size), "syncdreamer", tmp_path / "strip.png")
    assert all(word in str(error.value) for word in words)
    narrow = ViewSet(scene(ring(16).views, 32, 32).views, fov=math.radians(40))
    with pytest.raises(ViewFusionError, match=r"focal length of 1\.094 widths"):
        export(narrow, "syncdreamer", tmp_path / "strip.png")
    assert not list(tmp_path.iterdir())


def finished_run(folder: Path, views: ViewSet) -> Path:
    """A folder as ``generate-360`` leaves it."""
    with RunFolder.open(folder, {"test": 1}) as run:
        run.write_input(np.full((8, 8, 4), 255, np.uint8))
        for view in views:
            run.add(view)
        run.finish(views, config={}, checkpoint={"name": "none"}, source={"file": "x.png"})
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    return finished_run(tmp_path / "out [1]" / "Stühle", scene(ring(16).views, 64, 64))


@pytest.fixture
def command(monkeypatch, capsys):
    """``command(arg, ...) -> (exit code, stderr)``."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["viewfusion", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, capsys.readouterr().err

    return call


def test_the_command_writes_every_format_where_it_says(command, run):
    for name, form in FORMATS.items():
        code, err = command("export", run, "--to", name)
        assert code == 0, err
        assert err.strip() == f"16 views as {name} in {run / 'exports' / form.file}"
    assert {p.name for p in (run / "exports").iterdir()} == {form.file for form in FORMATS.values()}
    for name in FOLDERS:
        pictures = sorted((run / "exports" / name).rglob("*.png"))
        assert len(pictures) == 16
        for picture, view in zip(pictures, sorted((run / "views").iterdir()), strict=True):
            assert (np.asarray(Image.open(picture)) == np.asarray(Image.open(view))).all()
    meta = json.loads((run / "exports/nerfstudio/transforms.json").read_text())
    for frame, pose in zip(meta["frames"], ring(16).views, strict=True):
        assert same_pose(pose_from_camera_to_world(np.array(frame["transform_matrix"])), pose)


def test_the_command_tells_every_format_in_its_help(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["viewfusion", "export", "--help"])
    with pytest.raises(SystemExit):
        main()
    text = capsys.readouterr().out
    assert all(name in text for name in FORMATS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "blender"], ["unknown format 'blender'", "nerfstudio, colmap"]),
        (["--to", "gif", "--out", "turn.mp4"], ["turn.mp4", "ends in .gif"]),
        (["--to", "colmap", "--fps", "3"], ["for gif and mp4, not for colmap"]),
        (["--to", "viewfusion", "--bounce"], ["for gif and mp4"]),
        (["--to", "gif", "--fps", "3", "--seconds", "3"], ["--fps", "--seconds", "one"]),
        (["--to", "gif", "--fps", "60"], ["--fps must be 0.1 to 50, got 60"]),
        (["--to", "mp4", "--fps", "nan"], ["--fps must be 0.1 to 100, got nan"]),
        (["--to", "gif", "--seconds", "0.1"], ["160 a second", "--seconds 0.32 to 160"]),
        (["--to", "gif", "--size", "8"], ["--size must be 16 to 4096, got 8"]),
        (["--to", "mp4", "--loop", "0"], ["--loop 1 or more"]),
        (["--to", "gif", "--loop", "-1"], ["--loop must be 0"]),
        (["--to", "mp4", "--loop", "1000", "--size", "512"], ["16000 frames of 512 x 512"]),
    ],
)
def test_options_that_make_no_sense(command, run, options, words):
    code, err = command("export", run, *options)
    lines = err.splitlines()
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in words), lines[0]
    assert not list((run / "exports").glob("*"))
    assert not list((run / "exports").glob(".*"))


def test_what_is_there_stays(command, run, tmp_path):
    for name in FORMATS:
        taken = tmp_path / f"taken{Path(FORMATS[name].file).suffix}"
        taken.write_text("mine")
        code, err = command("export", run, "--to", name, "--out", taken)
        assert code == 2
        assert f"{taken} is there already" in err
        assert taken.read_text() == "mine"
    folder = tmp_path / "folder"
    folder.mkdir()
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (folder, dangling):
        with pytest.raises(ViewFusionError, match="is there already"):
            export(scene(), "nerfstudio", path)


def test_an_export_into_a_file_or_a_full_disk_names_the_target(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewFusionError, match=r"/file cannot be made: File exists"):
        export(scene(), "nerfstudio", tmp_path / "file" / "ns")

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ViewFusionError, match=r"/ns/images/000\.png cannot be written: No space left"):
        export(scene(), "nerfstudio", tmp_path / "ns")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_export_leaves_nothing_of_that_name_and_the_next_one_cleans_up(tmp_path):
    target = tmp_path / "ns"
    child = os.fork()
    if not child:
        with atomic_folder(target) as folder:
            (folder / "images").mkdir()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".ns.")
    other = tmp_path / ".other.0123abcd.partial"
    other.mkdir()
    export(scene(), "nerfstudio", target)
    assert {path.name for path in tmp_path.iterdir()} == {"ns", other.name}
    remove_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ns"}


def test_a_folder_that_somebody_fills_is_no_leftover(tmp_path):
    """Two exports to one place at once: each is whole, and the one that ends first has the place."""
    target = tmp_path / "ns"
    (tmp_path / ".ns.0123abcd.partial").mkdir()

    def both() -> None:
        with atomic_folder(target) as first:
            assert list(tmp_path.iterdir()) == [first], "a leftover goes"
            (first / "images").mkdir()
            with atomic_folder(target) as second:
                (second / "images").mkdir()
                (second / "images/000.png").write_text("")
                assert (first / "images").is_dir()

    with pytest.raises(ViewFusionError, match="ns cannot be written: Directory not empty"):
        both()
    assert [path.relative_to(target).as_posix() for path in target.rglob("*.png")] == ["images/000.png"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path):
    target = tmp_path / "ns"

    def write_while_somebody_else_does() -> None:
        with atomic_folder(target) as folder:
            (folder / "new").write_text("")
            target.mkdir()
            (target / "theirs").write_text("")

    with pytest.raises(ViewFusionError, match="ns cannot be written: Directory not empty"):
        write_while_somebody_else_does()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [target]


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    def contents(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    for copy in ("a", "b"):
        for name, form in FORMATS.items():
            views, playback = read_run(run), Playback(fps=7) if form.plays else None
            alphas = [np.full((64, 64), 0.5)] * len(views) if form.needs_alphas else None
            export(views, name, tmp_path / copy / form.file, playback, alphas)
    first = contents(tmp_path / "a")
    assert len(first) == 4 * 16 + 6 + 3, "pictures of four folders, their other files, three single files"
    assert first == contents(tmp_path / "b")
