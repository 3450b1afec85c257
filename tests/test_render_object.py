"""``render-object``: every mesh in its folder, the broken one named, and nothing made twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_meshes import COLOURS, write_cube, write_quad_naming

from viewfusion.cli.render_object import find_meshes, object_folders
from viewfusion.errors import ViewFusionError


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def pixel(path, row: int, column: int) -> list[int]:
    with Image.open(path) as image:
        return np.asarray(image)[row, column].tolist()


def test_one_mesh_by_default_has_twelve_random_views(run, tmp_path):
    code, _, err = run("render-object", write_cube(tmp_path), "--out", tmp_path / "out", "--size", 32)
    assert code == 0, err
    folder = tmp_path / "out/cube"
    assert "12 views of 12 faces" in err
    assert len(json.loads((folder / "angles.json").read_text())) == 12
    record = json.loads((folder / "render.json").read_text())
    assert record["options"]["random_views"] is None
    assert record["faces"] == 12
    # To its own coordinates: y up, 1 wide, and 1.25 / sqrt(3) of that in the world.
    assert np.array(record["mesh_to_world"])[:3, :3] == pytest.approx(
        np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]) * 1.25 / 3**0.5
    )
    with Image.open(tmp_path / "out/contact_sheet.png") as sheet:
        assert sheet.width > 8 * 128
    before = files_of(folder)
    code, _, err = run("render-object", tmp_path / "cube.obj", "--out", tmp_path / "out", "--size", 32)
    assert (code, "complete already" in err) == (0, True)
    assert files_of(folder) == before
    code, _, err = run("render-object", tmp_path / "cube.obj", "--out", tmp_path / "out", "--size", 48)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "was rendered with options.size=32, now 48" in err


def test_a_ring_shows_the_sides_in_turn(run, tmp_path):
    command = ["render-object", write_cube(tmp_path), "--out", tmp_path / "out", "--layout", "nerfstudio"]
    options = ["--views", 4, "--elevation-deg", 0, "--up", "z", "--light", "none", "--size", 16]
    code, _, err = run(*command, *options)
    assert code == 0, err
    for place, side in enumerate(("+x", "+y", "-x", "-y")):
        picture = tmp_path / f"out/cube/images/{place:03d}.png"
        assert pixel(picture, 8, 8) == [*COLOURS[side], 255]
        assert pixel(picture, 0, 0) == [255, 255, 255, 0]


def test_syncdreamers_cameras_are_its_own(run, tmp_path):
    command = ["render-object", write_cube(tmp_path), "--out", tmp_path / "out", "--layout", "syncdreamer"]
    code, _, err = run(*command, "--views", 8)
    assert (code, "syncdreamer has cameras of its own" in err) == (2, True)
    assert not (tmp_path / "out").exists()
    code, _, err = run(*command)
    assert code == 0, err
    with Image.open(tmp_path / "out/cube/015.png") as image:
        assert image.size == (256, 256)
    assert (tmp_path / "out/cube/meta.pkl").is_file()


def test_of_many_the_broken_one_is_named_and_counted(run, tmp_path):
    for name in ("a", "c"):
        write_cube(tmp_path / "in", name)
    (tmp_path / "in/b.obj").write_text("f 1 2 3\n")
    write_quad_naming(tmp_path / "in/deep", "../../../etc/passwd")
    (tmp_path / "in/.hidden.obj").write_text("no mesh")
    (tmp_path / "in/notes.txt").write_text("no mesh")
    command = ["render-object", tmp_path / "in", "--out", tmp_path / "out", "--views", 2, "--size", 16]
    code, _, err = run(*command)
    assert code == 1
    assert "b.obj: " in err
    assert err.splitlines()[-1] == f"error: 1 of 4 meshes failed; the others are in {tmp_path}/out"
    assert "quad.obj: ../../../etc/passwd: lies outside the mesh's folder" in err
    assert "Traceback" not in err
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"a", "c", "quad", "contact_sheet.png"}
    code, _, err = run(*command)
    assert (code, err.count("complete already")) == (1, 3)


def test_a_single_broken_mesh_is_one_line(run, tmp_path):
    (tmp_path / "b.stl").write_bytes(b"")
    code, out, err = run("render-object", tmp_path / "b.stl", "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path}/b.stl: the file is empty (0 bytes); export or copy it again\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--layout", "blender"),
            "--layout must be one of viewfusion, syncdreamer, nerfstudio, got 'blender'",
        ),
        (("--up", "x"), "--up must be one of auto, y, z"),
        (("--scale", "big"), "--scale must be one of fit, longest"),
        (("--views", "0"), "--views must be 1 to 999, got 0"),
        (("--random-views", "1000"), "--random-views must be 1 to 999"),
        (("--views", "3", "--random-views", "3"), "exclude each other"),
        (("--size", "8"), "--size must be 16 to 2048 pixels, got 8"),
        (("--radius", "nan"), "--radius must be 0.7"),
        (("--radius", "0.5"), "--radius must be 0.7"),
        (("--views", "3", "--elevation-deg", "95"), "--elevation-deg must be within -90 and 90"),
        (("--light", "up"), "--light must be AZIMUTH,ELEVATION in degrees, headlight or none, got 'up'"),
        (("--light", "0,inf"), "--light must be"),
        (("--ambient", "2"), "ambient light must be within 0 and 1, got 2"),
        (("--seed", "-1"), "--seed must be 0 or more"),
        (("--name-by", "size"), "--name-by must be one of file, folder"),
    ],
)
def test_nonsense_is_refused_before_anything_is_made(run, tmp_path, arguments, words):
    code, _, err = run("render-object", write_cube(tmp_path), "--out", tmp_path / "out", *arguments)
    assert (code, len(err.splitlines())) == (2, 1)
    assert words in err
    assert not (tmp_path / "out").exists()


def test_an_object_cut_off_by_the_frame_is_said(run, tmp_path):
    command = ["render-object", write_cube(tmp_path), "--size", 16, "--views", 1, "--elevation-deg", 0]
    code, _, err = run(*command, "--out", tmp_path / "a", "--scale", "longest")
    assert (code, "cut off by the frame in 1 of 1 views" in err) == (0, True)
    code, _, err = run(*command, "--out", tmp_path / "b")
    assert (code, "cut off" in err) == (0, False)


def test_stopped_between_two_objects_and_run_again(run, tmp_path, monkeypatch):
    from viewfusion.datasets import Renderer

    for name in ("a", "b"):
        write_cube(tmp_path / "in", name)
    command = ["render-object", tmp_path / "in", "--out", tmp_path / "out", "--views", 3, "--size", 16]
    calls, render = [], Renderer.render

    def stopping(*arguments, **options):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return render(*arguments, **options)

    monkeypatch.setattr(Renderer, "render", stopping)
    code, _, err = run(*command)
    assert (code, "finished objects are kept, the same command goes on" in err) == (130, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]
    code, _, err = run(*command)
    assert (code, len(calls)) == (0, 5 + 3)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "b", "contact_sheet.png"}


def test_meshes_by_file_folder_and_pattern(tmp_path):
    a, b = write_cube(tmp_path / "one/meshes", "model"), write_cube(tmp_path / "two/meshes", "model")
    assert find_meshes([str(tmp_path)]) == [a, b]
    assert find_meshes([f"{tmp_path}/*/meshes/*", str(a)]) == [a, b]
    assert find_meshes([str(tmp_path / "absent.obj")]) == [tmp_path / "absent.obj"]
    with pytest.raises(ViewFusionError, match="no mesh here"):
        find_meshes([f"{tmp_path}/*.ply"])
    out = tmp_path / "out"
    assert object_folders([a, b], out, "folder") == {a: out / "one", b: out / "two"}
    with pytest.raises(ViewFusionError, match=r"would both be written to .*; try --name-by folder"):
        object_folders([a, b], out, "file")


def test_without_the_extra_the_command_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    code, _, err = run("render-object", write_cube(tmp_path), "--out", tmp_path / "out")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "pip install 'viewfusion[render]'" in err


@pytest.mark.parametrize("name", ["x" * 5000 + ".obj", "x" * 5000], ids=["mesh", "no ending"])
def test_a_name_too_long_for_a_file_is_refused(run, tmp_path, name):
    code, _, err = run("render-object", name, "--out", tmp_path / "out")
    assert code == 2
    assert "xxx" in err
    assert "Traceback" not in err
