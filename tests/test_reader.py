"""Reading a run back: the same views bit for bit; one clear line for any folder that is something else."""

from __future__ import annotations

import json
import math
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose
from viewfusion.outputs import RunFolder, read_run, reader
from viewfusion.outputs.cameras import cameras_json
from viewfusion.outputs.files import write_json, write_pngs
from viewfusion.views import View, ViewSet

POSES = (Pose.from_degrees(0, 30, 1.5), Pose.from_degrees(123.456789, -71.5, 2.345), Pose(6.2, 1.57, 1.8))


def some_views(height: int = 16, width: int = 24) -> ViewSet:
    noise = np.random.default_rng(0).integers(0, 256, (len(POSES), 3, height, width))
    images = torch.tensor(noise, dtype=torch.float32) / 127.5 - 1
    return ViewSet(tuple(View(i, pose, images[i]) for i, pose in enumerate(POSES)), fov=math.radians(37.5))


@pytest.fixture
def run(tmp_path) -> Path:
    """What the reader needs of a run: ``cameras.json`` and the pictures."""
    views = some_views()
    write_pngs(tmp_path / "run" / "views", (view.rgb for view in views))
    write_json(tmp_path / "run" / "cameras.json", cameras_json(views))
    return tmp_path / "run"


def test_a_run_comes_back(tmp_path):
    views = some_views()
    with RunFolder.open(tmp_path / "chair", {"a": 1}) as folder:
        for view in views:
            folder.add(view)
        folder.finish(views, config={}, checkpoint={"name": "x"}, source={"file": "x"})
    back = read_run(tmp_path / "chair")
    assert back.fov == pytest.approx(views.fov, abs=1e-10)
    for view, other in zip(views, back, strict=True):
        assert (view.index, other.latents, other.record) == (other.index, None, None)
        assert (view.rgb == other.rgb).all()
        assert torch.equal(view.image, other.image), "the levels of 8 bits are exact in both"
        for name in ("azimuth", "elevation", "radius"):
            assert getattr(view.pose, name) == pytest.approx(getattr(other.pose, name), abs=1e-9)
    assert [view.rgb.tobytes() for view in read_run(str(tmp_path / "chair"))] == [
        view.rgb.tobytes() for view in back
    ]


def refused(folder: Path, *words: object) -> None:
    with pytest.raises(ViewFusionError) as error:
        read_run(folder)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500
    for word in words:
        assert str(word) in text


def test_folders_that_are_no_finished_run(tmp_path, run):
    refused(tmp_path / "nowhere", tmp_path / "nowhere", "no such folder")
    refused(run / "cameras.json", "no such folder")
    refused(tmp_path / "a\0b", "no such folder")
    refused(Path("a" * 300), "cannot be read (File name too long)")
    refused(tmp_path, "no cameras.json", f"such as {run}")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no cameras.json", "generate-360")
    (run / ".resume").mkdir()
    refused(run, run, "not finished", "run the same generate-360 command again")
    (run / "manifest.json").write_text("{}")
    assert len(read_run(run)) == 3, "left over beside a manifest"
    (run / "cameras.json").unlink()
    os.mkfifo(run / "cameras.json")
    refused(run, "no cameras.json")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"width": ' + b"9" * 5000 + b"}",
        b"{}",
    ],
)
def test_files_that_are_no_cameras(run, content):
    (run / "cameras.json").write_bytes(content)
    refused(run, run / "cameras.json")


def test_a_file_too_large_is_not_read(run):
    with (run / "cameras.json").open("wb") as file:
        file.truncate(2**40)  # sparse
    refused(run, "larger than 16 MB")


def edited(run: Path, change) -> None:
    content = json.loads((run / "cameras.json").read_text())
    change(content)
    (run / "cameras.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (["width"], 0, ["width must be a whole number", "got 0"]),
        (["width"], True, ["width", "got True"]),
        (["width"], 24.5, ["width", "24.5"]),
        (["width"], 10**12, ["width"]),
        (["height"], None, ["height", "None"]),
        (["fov_deg"], math.nan, ["fov_deg", "nan"]),
        (["fov_deg"], 180, ["fov_deg must lie between 0 and 180"]),
        (["fov_deg"], 40, ["intrinsics is not what fov_deg"]),
        (["intrinsics"], [[1, 2], [3]], ["intrinsics"]),
        (["intrinsics", 0, 0], math.inf, ["intrinsics"]),
        (["intrinsics", 0, 0], 10**400, ["intrinsics"]),
        (["views"], [], ["views must be a list"]),
        (["views"], {"0": 1}, ["views must be a list"]),
        (["views"], [{}] * 10_001, ["1 to 10000"]),
        (["views", 1], "x", ["view 1", "no JSON object"]),
        (["views", 1, "azimuth_deg"], 124, ["view 1: camera_to_world_opengl is not what"]),
        (["views", 1, "azimuth_deg"], math.inf, ["view 1", "azimuth_deg"]),
        (["views", 1, "elevation_deg"], 91, ["view 1", "[-90, 90]"]),
        (["views", 2, "radius"], 0, ["view 2", "radius must be positive"]),
        (["views", 2, "radius"], "1.5", ["view 2", "radius must be a number, got '1.5'"]),
        (["views", 1, "camera_to_world_opengl", 0, 3], 9, ["view 1: camera_to_world_opengl"]),
        (["views", 1, "camera_to_world_opengl"], [["a" * 9999] * 4] * 4, ["view 1: camera_to_world_opengl"]),
        (["views", 0, "file"], 7, ["view 0", "path inside the folder, got 7"]),
        (["views", 0, "file"], "views/009.png", ["'views/009.png' is missing"]),
        (["views", 0, "file"], "views", ["'views' is missing"]),
        (["views", 0, "file"], "a\0b", ["is missing"]),
        (["views", 0, "file"], "x" * 5000, ["is missing"]),
        (["views", 0, "file"], "cameras.json", ["cameras.json", "cannot identify image"]),
    ],
)
def test_numbers_and_names_that_cannot_be(run, keys, value, words):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    edited(run, change)
    refused(run, *words)


@pytest.mark.parametrize("way", ["up", "absolute", "link", "linked folder"])
def test_no_path_leaves_the_folder(run, tmp_path, way):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (24, 16)).save(secret)
    name = {"up": "../secret.png", "absolute": str(secret)}.get(way, "views/link/secret.png")
    if way == "link":
        name = "views/link.png"
        (run / name).symlink_to(secret)
    elif way == "linked folder":
        (run / "views/link").symlink_to(tmp_path)
    edited(run, lambda content: content["views"][0].update(file=name))
    refused(run, "lies outside the folder")


def test_a_linked_run_and_links_within_it_are_fine(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    (run / "views/link.png").symlink_to("000.png")
    edited(run, lambda content: content["views"][1].update(file="views/../views/link.png"))
    views = read_run(tmp_path / "link")
    assert (views[0].rgb == views[1].rgb).all()


def test_a_circle_of_links_and_a_pipe_are_missing_files(run):
    for name in ("000.png", "001.png"):
        (run / "views" / name).unlink()
    (run / "views/000.png").symlink_to("000.png")
    refused(run, "is missing")
    (run / "views/000.png").unlink()
    os.mkfifo(run / "views/000.png")
    refused(run, "is missing")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to nothing in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["bomb", "size", "grey", "alpha", "jpeg", "truncated", "text", "short"])
def test_pictures_that_are_none_of_the_runs(run, kind):
    path = run / "views/001.png"
    if kind == "bomb":
        path.write_bytes(png_header(60_000, 60_000))
    elif kind == "size":
        Image.new("RGB", (16, 24)).save(path)
    elif kind == "grey":
        Image.new("L", (24, 16)).save(path)
    elif kind == "alpha":
        Image.new("RGBA", (24, 16)).save(path)
    elif kind == "jpeg":
        Image.new("RGB", (24, 16)).save(path, format="JPEG")
    elif kind == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif kind == "text":
        path.write_text("<html>")
    else:
        path.write_bytes(png_header(24, 16))
    words = {"bomb": "60000", "size": "wanted a PNG of 24 x 16 RGB, got 16 x 24", "grey": "24 x 16 L"}
    refused(run, path, words.get(kind, "restore the file"))


def test_more_pixels_than_memory_are_refused_before_any_is_read(run, monkeypatch):
    monkeypatch.setattr(reader, "MAX_PIXELS", 24 * 16 * 3)
    assert len(read_run(run)) == 3
    monkeypatch.setattr(reader, "MAX_PIXELS", 24 * 16 * 3 - 1)
    monkeypatch.setattr(reader, "_pixels", None)
    refused(run, "3 views of 24 x 16 pixels are too many")


def test_thousands_of_damaged_files_give_views_or_one_line(run):
    """Bytes of cameras.json and of a picture changed, cut or doubled at random places."""
    chance = random.Random(0)
    for name in ("cameras.json", "views/001.png"):
        path = run / name
        whole = path.read_bytes()
        messages = []
        for _ in range(1000):
            content = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                start = chance.randrange(len(content))
                end = start + chance.randint(0, 40)
                content[start:end] = chance.choice(
                    [b"", bytes([chance.randrange(256)]), content[start:end] * 2, b"null", b"-1e999", b"[]"]
                )
            path.write_bytes(content)
            try:
                views = read_run(run)
            except ViewFusionError as error:
                messages.append(str(error))
            else:
                assert {view.rgb.shape for view in views} == {(16, 24, 3)}
        assert len(messages) > 500
        assert not any("\n" in message for message in messages)
        path.write_bytes(whole)
