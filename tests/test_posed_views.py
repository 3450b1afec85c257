"""Posed views from every kind of path: what went in comes out, and what is missing is told in one line."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_masks import coverage, disc
from test_scene import ball

from viewfusion.cli import main
from viewfusion.cli.posed_views import PosedViews, read_posed_views
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FOV, Pose, ring
from viewfusion.outputs import RunFolder, export
from viewfusion.views import ViewSet


def finished_run(folder: Path, views: ViewSet, photo: np.ndarray | None = None) -> Path:
    """A folder as ``generate-360`` leaves it."""
    with RunFolder.open(folder, {"test": 1}) as run:
        run.write_input(np.full((8, 8, 4), 255, np.uint8) if photo is None else photo)
        for view in views:
            run.add(view)
        run.finish(views, config={}, checkpoint={"name": "none"}, source={"file": "x.png"})
    return folder


def same(found: PosedViews, views: ViewSet, within: int = 0) -> None:
    assert len(found.views) == len(views)
    for one, other in zip(found.views, views, strict=True):
        assert np.abs(one.rgb.astype(int) - other.rgb).max() <= within
        turn = math.remainder(one.pose.azimuth - other.pose.azimuth, 2 * math.pi)
        assert abs(turn) < 1e-6
        assert one.pose.elevation == pytest.approx(other.pose.elevation, abs=1e-6)
        assert one.pose.radius == pytest.approx(other.pose.radius, rel=1e-6)
    assert found.views.fov == pytest.approx(views.fov, rel=1e-4)


def numbered(folder: Path, count: int = 12, first: int = 0) -> Path:
    folder.mkdir()
    for view in list(ball(ring(count).views))[first:]:
        Image.fromarray(view.rgb).save(folder / f"{view.index:03d}.png")
    return folder


def test_a_run(tmp_path):
    views = ball(ring(8).views)
    found = read_posed_views(finished_run(tmp_path / "chair", views))
    same(found, views)
    assert found.inputs == (0,)
    assert found.alphas == (None,) * 8
    assert found.names[3] == "003.png"
    assert not found.notes
    scene = found.scene()
    assert scene.input_index == 0
    assert scene.weights[0] == 1
    assert scene.weights[1:].max() < 1
    assert scene.held_out == (4,)


def test_a_runs_photo_lends_its_alpha(tmp_path):
    views = ball(ring(8).views)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[14:50, 14:50] = 255
    photo = np.dstack([views[0].rgb, np.where(views[0].rgb[..., 0] < 255, 255, alpha)])
    found = read_posed_views(finished_run(tmp_path / "a", views, photo))
    assert found.alphas[0] is not None
    assert (found.alphas[0] == photo[..., 3] / np.float32(255)).all()
    assert found.alphas[1:] == (None,) * 7
    other = np.dstack([255 - views[0].rgb, alpha])
    assert read_posed_views(finished_run(tmp_path / "b", views, other)).alphas[0] is None


def test_a_manifest_names_the_inputs_and_may_be_missing_or_broken(tmp_path):
    run = finished_run(tmp_path / "chair", ball(ring(8).views))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["views"][2]["source"] = "input"
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert read_posed_views(run).inputs == (0, 2)
    far = json.dumps({"views": [{}] * 8 + [{"source": "input"}]})
    for text in ('{"views": 3}', '{"views": [1, 2]}', "[", '{"views": [{"source": "generated"}]}', far):
        (run / "manifest.json").write_text(text)
        assert read_posed_views(run).inputs == (0,)
    (run / "manifest.json").unlink()
    assert read_posed_views(run).inputs == (0,)


def test_an_unfinished_run_is_refused(tmp_path):
    with RunFolder.open(tmp_path / "chair", {"test": 1}) as run:
        run.write_input(np.full((8, 8, 4), 255, np.uint8))
        for view in list(ball(ring(8).views))[:5]:
            run.add(view)
    with pytest.raises(ViewFusionError, match="not finished; run the same generate-360 command again"):
        read_posed_views(tmp_path / "chair")


def test_numbered_pictures_stand_evenly_around(tmp_path):
    found = read_posed_views(numbered(tmp_path / "a"), elevation_deg=10, distance=2.0, fov_deg=40)
    wanted = [Pose.from_degrees(30 * i, 10, 2.0) for i in range(12)]
    same(found, ViewSet(ball(wanted).views, math.radians(40)))
    assert found.inputs == ()
    assert len(found.notes) == 1
    assert "taken for 12 evenly around, counter-clockwise, at elevation 10 degrees" in found.notes[0]
    plain = read_posed_views(numbered(tmp_path / "b", first=1))  # predictions come without the input
    assert plain.views[0].pose == Pose.from_degrees(30, 30, 1.5)
    assert plain.views.fov == FOV
    assert [each.partition(" ")[0] for each in plain.notes] == ["no", "the"]
    assert (plain.scene().weights == 1).all()


def test_transforms_json_with_alpha(tmp_path):
    views = ball(ring(8, radius=4.0).views)
    cover = coverage(disc(18)).astype(np.float32)
    export(views, "nerfstudio", tmp_path / "ns", alphas=[cover] * 8)
    for path in (tmp_path / "ns", tmp_path / "ns/transforms.json"):
        found = read_posed_views(path)
        same(found, ViewSet(found.views.views, views.fov))
        assert found.views[3].pose.azimuth == pytest.approx(views[3].pose.azimuth)
        assert found.alphas[0] == pytest.approx(cover, abs=1 / 255)
    assert found.scene().scale == pytest.approx(4 / 1.5)


def test_alphas_for_a_format(tmp_path):
    found = read_posed_views(numbered(tmp_path / "a"))
    assert found.alphas_for("nerfstudio") is None
    complete = found.alphas_for("instant-ngp")
    assert complete is not None
    assert all(isinstance(alpha, np.ndarray) for alpha in complete)
    some = PosedViews(found.views, (complete[0], *[None] * 11), (), found.names)
    assert some.alphas_for("nerfstudio") is None
    every = PosedViews(found.views, tuple(complete), (), found.names)
    assert every.alphas_for("nerfstudio") is every.alphas


def test_a_strip(tmp_path):
    views = ball(ring(16).views)
    export(views, "syncdreamer", tmp_path / "strip.png")
    found = read_posed_views(tmp_path / "strip.png", side=64)
    same(found, ViewSet(tuple(found.views), views.fov))
    assert [view.pose.azimuth_deg for view in found.views] == pytest.approx([22.5 * i for i in range(16)])
    assert found.names[2] == "view 2 of strip.png"
    assert found.views[0].rgb.shape == (64, 64, 3)
    assert np.abs(found.views[5].rgb.astype(int) - views[5].rgb).mean() < 2
    assert found.scene().size == (64, 64)


def test_large_pictures_are_reduced(tmp_path):
    found = read_posed_views(numbered(tmp_path / "a"), side=32)
    assert found.views[0].rgb.shape == (32, 32, 3)
    full = read_posed_views(tmp_path / "a", side=100)
    blocks = full.views[0].rgb.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(found.views[0].rgb - blocks).max() <= 1  # rows and columns are rounded one after the other


def test_too_many_pixels_are_refused_with_a_size_that_fits(tmp_path, monkeypatch):
    """3072 pixels are 256 for each of twelve views: 16 x 16."""
    monkeypatch.setattr("viewfusion.cli.posed_views.MAX_PIXELS", 3 * 1024)
    folder = numbered(tmp_path / "a")
    with pytest.raises(ViewFusionError, match=r"of 64 x 64 pixels are too many.*or --size \d+$") as error:
        read_posed_views(folder)
    fits = int(str(error.value).rsplit(" ", 1)[1])
    assert fits == 16
    assert read_posed_views(folder, side=fits).views[0].rgb.shape == (fits, fits, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"elevation_deg": 95}, "elevation must be within"),
        ({"distance": -1}, "radius must be positive"),
        ({"fov_deg": 180}, "--fov must lie between"),
        ({"side": 8}, "16 pixels a side or more, got 8"),
        ({"layout": "nerfstudi"}, "did you mean 'nerfstudio'"),
        ({"layout": "nerfstudio"}, "no object of layout nerfstudio"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, words):
    with pytest.raises(ViewFusionError, match=words):
        read_posed_views(numbered(tmp_path / "a"), **options)


def test_paths_that_hold_no_views(tmp_path):
    with pytest.raises(ViewFusionError, match="no such folder"):
        read_posed_views(tmp_path / "nowhere")
    (tmp_path / "note.png").write_text("")
    with pytest.raises(ViewFusionError, match=r"note\.png: wanted a folder of views, transforms\.json, or a"):
        read_posed_views(tmp_path / "note.png")
    run = finished_run(tmp_path / "runs/a", ball(ring(8).views))
    with pytest.raises(ViewFusionError, match="its cameras are in its files; leave out --elevation-deg"):
        read_posed_views(run, elevation_deg=30)
    finished_run(tmp_path / "runs/b", ball(ring(8).views))
    with pytest.raises(ViewFusionError, match=r"runs: 2 objects \(a, b\); give the folder of one of them"):
        read_posed_views(tmp_path / "runs")
    mesh = tmp_path / "mesh/meshes"
    mesh.mkdir(parents=True)
    (mesh / "model.obj").write_text("v 0 0 0\n")
    Image.new("RGB", (4, 4)).save(mesh / "texture.png")
    with pytest.raises(ViewFusionError, match=r"a mesh without pictures; `viewfusion render-object`"):
        read_posed_views(tmp_path / "mesh")


def test_views_of_different_sizes_and_missing_ones(tmp_path):
    folder = numbered(tmp_path / "a")
    Image.new("RGB", (64, 48), "white").save(folder / "007.png")
    with pytest.raises(ViewFusionError, match=r"^007\.png: wanted 64 x 64 pixels, as the first view has"):
        read_posed_views(folder)
    run = finished_run(tmp_path / "run", ball(ring(8).views))
    (run / "views/003.png").unlink()
    with pytest.raises(ViewFusionError, match=r"003\.png.* is missing"):
        read_posed_views(run)


def test_the_export_command_finds_alphas_itself(tmp_path, monkeypatch, capsys):
    views = ball(ring(8).views)
    run = finished_run(tmp_path / "chair", views)
    monkeypatch.setattr(sys, "argv", ["viewfusion", "export", str(run), "--to", "instant-ngp"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code, capsys.readouterr().err
    rgba = np.asarray(Image.open(run / "exports/instant-ngp/images/005.png"))
    area = float((1 - (views[5].image[0].double() + 1) / 2).sum()) / 0.6
    assert rgba[..., 3].sum() / 255 == pytest.approx(area, rel=0.01)
