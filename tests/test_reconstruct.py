"""Views to a mesh, whole: what leaves is what went in; interrupted anywhere, it goes on to the same bytes."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from meshes_of_views import RADIUS, ball_views, mesh_bytes, tiny_preset
from PIL import Image

import viewfusion
from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.reconstruction import fitting
from viewfusion.reconstruction.reconstruct import Reconstruction, reconstruct
from viewfusion.reconstruction.records import noted
from viewfusion.reconstruction.scene import scene_from_views
from viewfusion.reconstruction.settings import load_settings
from viewfusion.reconstruction.training import Progress
from viewfusion.reconstruction.watching import Watcher


class Steps(Watcher):
    """Remembers what it is told; stops the work in the report of step ``stop``, or at the stage ``stop``."""

    def __init__(self, stop: int | str | None = None) -> None:
        self.stop, self.steps, self.stages, self.decibels = stop, [], [], []

    def on_stage(self, name: str) -> None:
        self.stages.append(name)
        if name == self.stop:
            raise KeyboardInterrupt

    def on_step(self, progress: Progress) -> None:
        self.steps.append(progress.done)
        if progress.done == self.stop:
            raise KeyboardInterrupt

    def on_preview(self, decibels: float) -> None:
        self.decibels.append(decibels)


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> Path:
    return tiny_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def scene():
    return scene_from_views(ball_views(), inputs=[0])


@pytest.fixture(scope="module")
def watcher() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def whole(scene, preset, watcher, tmp_path_factory) -> Reconstruction:
    """A mesh that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "a/mesh"
    return reconstruct(scene, load_settings(preset), folder, watcher, title="ball", source={"name": "ball"})


def test_a_mesh_with_all_that_belongs_to_it(whole, watcher):
    assert {path.name for path in whole.folder.iterdir()} == {
        *("mesh.glb", "mesh.obj", "mesh.mtl", "mesh.png", "mesh.ply"),
        *("turntable.mp4", "comparison.png", "preview.png", "reconstruction.json"),
    }
    assert whole.made
    assert watcher.steps == list(range(1, 9))
    assert (
        watcher.stages.index("training") < watcher.stages.index("surface") < watcher.stages.index("texture")
    )
    assert len(watcher.decibels) == 1, "a preview at the end at least"
    with Image.open(whole.folder / "preview.png") as preview:
        assert preview.width > preview.height


def test_the_mesh_is_the_ball_upright_and_coloured(whole):
    """What it begins as has the ball's size; the colours come from the views: red towards azimuth 0."""
    mesh = trimesh.load(whole.folder / "mesh.ply")
    assert mesh.is_watertight
    distance = np.linalg.norm(mesh.vertices, axis=1)
    assert abs(np.median(distance) - RADIUS) < 0.1
    front = mesh.visual.vertex_colors[mesh.vertices[:, 0].argmax()]
    back = mesh.visual.vertex_colors[mesh.vertices[:, 0].argmin()]
    top = mesh.visual.vertex_colors[mesh.vertices[:, 2].argmax()]
    assert front[0] > 180 > 80 > back[0]
    assert top[2] > 180
    glb = trimesh.load(io.BytesIO(whole.mesh.read_bytes()), file_type="glb", force="mesh")
    assert glb.extents == pytest.approx(mesh.extents[[1, 2, 0]], abs=1e-5), "y up, the front towards +z"
    assert len(glb.faces) == len(mesh.faces)


def test_the_record_says_how_it_was_made_and_how_good_it_is(whole):
    record = json.loads((whole.folder / "reconstruction.json").read_text())
    assert whole.record == record
    assert record["settings"]["recipe"] == "paper"
    assert record["settings"]["finishing"]["faces"] == 400
    assert record["training"]["steps"] == 8
    assert [each["step"] for each in record["training"]["losses"]] == list(range(1, 9))
    assert all(each["total"] > 0 for each in record["training"]["losses"])
    assert record["mesh"]["watertight"]
    assert (record["mesh"]["genus"], record["mesh"]["components"]) == (0, 1)
    assert record["mesh"]["faces"] <= 400
    mesh = trimesh.load(whole.folder / "mesh.ply")
    assert record["mesh"]["volume"] == pytest.approx(mesh.volume, rel=1e-3)
    weights = record["input"].pop("weights")
    assert record["input"] == {
        "name": "ball", "views": 9, "width": 32, "height": 32, "input": 0, "held_out": [4],
        "world_units_per_scene_unit": 1.0,
    }  # fmt: skip
    assert weights[0] == 1 > weights[4]
    assert set(record["psnr"]["mesh"]["views"]) == {str(index) for index in range(9)}
    assert 10 < record["psnr"]["mesh"]["held_out"]["psnr"] < 60
    assert record["psnr"]["mesh"]["held_out"] == record["psnr"]["mesh"]["views"]["4"]
    assert record["psnr"]["mesh"]["held_out"]["mask_iou"] > 0.6
    assert record["versions"]["trimesh"] == trimesh.__version__
    assert record["warnings"] == []


def test_a_finished_mesh_is_left_alone(whole, scene, preset):
    before = {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()}
    watcher = Steps()
    again = reconstruct(scene, load_settings(preset), whole.folder, watcher)
    assert (again.made, again.record, watcher.steps) == (False, whole.record, [])
    assert {path: path.stat().st_mtime_ns for path in whole.folder.iterdir()} == before


def test_another_mesh_into_the_same_folder_is_refused(whole, preset):
    scene = scene_from_views(ball_views(8), inputs=[0])
    for views, settings, words in (
        (scene_from_views(ball_views(), inputs=[0]), load_settings(preset, ["seed=1"]), "seed=0, now 1"),
        (scene, load_settings(preset), "views="),
    ):
        with pytest.raises(ViewFusionError, match=words):
            reconstruct(views, settings, whole.folder)


@pytest.mark.parametrize("stop", [3, 8, "surface", "turntable"])
def test_stopped_anywhere_it_goes_on_to_the_same_bytes(stop, whole, scene, preset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        reconstruct(scene, load_settings(preset), tmp_path, Steps(stop), title="ball", keep_seconds=0)
    assert (tmp_path / ".resume/training").is_file()
    assert not (tmp_path / "reconstruction.json").exists()
    watcher = Steps()
    made = reconstruct(scene, load_settings(preset), tmp_path, watcher, title="ball")
    # Stopped in the step's report, its checkpoint is that of the step before.
    assert watcher.steps == (list(range(stop, 9)) if isinstance(stop, int) else [])
    assert mesh_bytes(tmp_path) == mesh_bytes(whole.folder)
    assert made.record["training"]["losses"] == whole.record["training"]["losses"]
    assert not (tmp_path / ".resume").exists()


KILLED = """
import os, signal, sys
from meshes_of_views import ball_views
from viewfusion.reconstruction.reconstruct import reconstruct
from viewfusion.reconstruction.scene import scene_from_views
from viewfusion.reconstruction.settings import load_settings
from viewfusion.reconstruction.watching import Watcher

class Killing(Watcher):
    def on_step(self, progress):
        if progress.done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

scene = scene_from_views(ball_views(), inputs=[0])
reconstruct(scene, load_settings(sys.argv[1]), sys.argv[2], Killing(), title="ball", keep_seconds=0)
"""


def test_killed_it_goes_on_to_the_same_bytes(whole, scene, preset, tmp_path):
    command = [sys.executable, "-c", KILLED, str(preset), str(tmp_path / "mesh")]
    ended = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (tmp_path / "mesh/.lock").exists(), "nobody has cleaned up"
    watcher = Steps()
    reconstruct(scene, load_settings(preset), tmp_path / "mesh", watcher, title="ball")
    assert watcher.steps == [5, 6, 7, 8]
    assert mesh_bytes(tmp_path / "mesh") == mesh_bytes(whole.folder)


def test_a_grid_that_grows_goes_on_to_the_same_bytes(scene, tmp_path):
    """The recipe of the preset cpu: stopped on its second lattice."""
    told = ["grid.steps=40", "grid.resolutions=[16, 20]", "grid.starts=[0.4, 0.7]", "grid.rays=128"]
    told += [
        "grid.probes=16",
        "grid.fog_samples=12",
        "resolution=32",
        "finishing.faces=400",
        "texture.size=64",
    ]
    settings = load_settings("cpu", told)
    for place, stops in (("whole", ()), ("stopped", (33,))):
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                reconstruct(scene, settings, tmp_path / place, Steps(stop), keep_seconds=0)
        made = reconstruct(scene, settings, tmp_path / place)
    assert mesh_bytes(tmp_path / "stopped") == mesh_bytes(tmp_path / "whole")
    assert made.record["mesh"]["watertight"]


def test_a_training_that_is_not_wanted_leaves_nothing(scene, preset, tmp_path):
    class Unwilling(Watcher):
        def on_estimate(self, seconds: float) -> None:
            assert 0 < seconds < 600
            raise ViewFusionError("too long")

    with pytest.raises(ViewFusionError, match="too long"):
        reconstruct(scene, load_settings(preset), tmp_path / "mesh", Unwilling())
    assert list(tmp_path.iterdir()) == []


def test_a_mesh_is_not_given_up_for_a_training_that_is_not_wanted(whole, preset, tmp_path):
    """--force with a preset that takes days: asked first, and if it is not wanted all is as before."""
    folder = shutil.copytree(whole.folder, tmp_path / "mesh")

    class Unwilling(Watcher):
        def on_estimate(self, seconds: float) -> None:
            raise ViewFusionError("too long")

    scene = scene_from_views(ball_views(), inputs=[0])
    with pytest.raises(ViewFusionError, match="too long"):
        reconstruct(scene, load_settings(preset, ["seed=5"]), folder, Unwilling(), force=True)
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.folder.iterdir()}
    assert not reconstruct(scene, load_settings(preset), folder).made


def test_losses_that_were_tampered_with_are_left_out(whole, scene, preset, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        reconstruct(scene, load_settings(preset), tmp_path, Steps(6), keep_seconds=0)
    history = tmp_path / ".resume/history.json"
    losses = json.loads(history.read_text())["losses"]
    wrong = [3, {"step": 1, "total": float("nan")}, {"step": -1}, {"step": "1"}, {"step": 1, "total": [1]}]
    wrong += [{"step": 1, "total": 10**400}]
    history.write_text(json.dumps({"losses": [*wrong, *losses]}))
    made = reconstruct(scene, load_settings(preset), tmp_path)
    assert made.record["training"]["losses"] == whole.record["training"]["losses"]


def test_pictures_of_the_field_cost_a_tenth_of_the_training(preset, monkeypatch, tmp_path):
    """However fast the machine: by rays. A step here trains on 6400, a picture of 80 x 80."""
    monkeypatch.setattr("viewfusion.reconstruction.fitting.PREVIEW_SECONDS", 0.0)
    looks, look_at = [], fitting.look_at
    monkeypatch.setattr(
        "viewfusion.reconstruction.fitting.look_at",
        lambda scene, look, index, side: looks.append(side) or look_at(scene, look, index, side),
    )
    told = ["paper.rays=6400", "paper.foreground_rays=0", "paper.steps=5", "paper.width=32"]
    told += ["paper.coarse=4", "paper.fine=2"]
    scene = scene_from_views(ball_views(size=96), inputs=[0])
    record = reconstruct(scene, load_settings(preset, told), tmp_path).record
    # 50 x 50 are the first 4 x 640 that are enough for 48 x 48; too few are left for another but the last.
    assert looks == [50, 48]
    assert record["psnr"]["field"]["pixels"] == 56, "of one view that is held out, from 5 x 640 rays"
    assert record["psnr"]["mesh"]["pixels"] == 96


def test_where_there_is_no_surface_the_checkpoint_and_the_preview_stay(scene, preset, tmp_path):
    """A ball that falls between the points of the lattice."""
    settings = load_settings(preset, ["paper.radius=0.01", "paper.steps=1", "resolution=16"])
    with pytest.raises(ViewFusionError, match=r"never 0; look at the previews") as error:
        reconstruct(scene, settings, tmp_path)
    assert "\n" not in str(error.value)
    assert (tmp_path / ".resume/training").is_file()
    assert (tmp_path / "preview.png").is_file()


def test_views_of_anybody_and_the_name_of_a_preset(preset, tmp_path):
    with pytest.raises(ViewFusionError, match="wanted 4 views or more, got 3"):
        viewfusion.reconstruct(ball_views(3), preset, tmp_path / "mesh")
    with pytest.raises(ViewFusionError, match=r"no preset 'papers'.*did you mean 'paper'"):
        viewfusion.reconstruct(ball_views(), "papers", tmp_path / "mesh")
    assert not (tmp_path / "mesh").exists()


def test_warnings_are_noted_and_given_as_ever():
    import warnings

    with pytest.warns(ViewFusionWarning, match="dark"), noted() as found:
        warnings.warn(ViewFusionWarning("it is dark"), stacklevel=1)
    assert found == ["it is dark"]
