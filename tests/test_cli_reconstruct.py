"""``reconstruct`` and ``generate-360 --mesh`` as a person meets them: folders, refusals, exit codes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from meshes_of_views import ball_views, mesh_bytes, tiny_preset, write_run
from PIL import Image
from rich.console import Console
from test_cli import CHAIR, QUICK, refused

from viewfusion.cli.mesh_progress import MeshProgress, duration
from viewfusion.cli.reconstruct import mesh_folders, split_inputs
from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import write_pngs
from viewfusion.reconstruction.training import Progress


@pytest.fixture(scope="module")
def preset(tmp_path_factory) -> Path:
    return tiny_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="module")
def views():
    return ball_views()


@pytest.fixture
def ball(views, tmp_path) -> Path:
    """The folder of a run."""
    return write_run(tmp_path / "ball", views)


def test_a_mesh_in_the_folder_of_a_run(run, ball, preset):
    code, _, err = run("reconstruct", ball, "--preset", preset, "--hold-out", 4)
    assert code == 0, err
    lines = err.splitlines()
    assert lines[0].startswith("ball: ")
    assert "faces, watertight, " in lines[-1]
    assert lines[-1].endswith(f"dB on held-out views in {ball / 'mesh'}")
    record = json.loads((ball / "mesh/reconstruction.json").read_text())
    assert record["input"]["name"] == "ball"
    assert record["input"]["held_out"] == [2, 6]
    assert record["settings"]["scene"]["hold_out"] == 4
    before = mesh_bytes(ball / "mesh")
    code, _, err = run("reconstruct", ball, "--preset", preset, "--hold-out", 4)
    assert (code, "complete already" in err) == (0, True)
    refused(
        run("reconstruct", ball, "--preset", preset, "--hold-out", 4, "--seed", 1),
        ball / "mesh",
        "seed=0, now 1",
    )
    assert mesh_bytes(ball / "mesh") == before
    code, _, err = run("reconstruct", ball, "--preset", preset, "--seed", 1, "--force")
    assert code == 0, err
    assert mesh_bytes(ball / "mesh") != before


def test_one_that_fails_does_not_cost_the_others(run, ball, preset, tmp_path):
    write_run(tmp_path / "few", ball_views(3))
    code, _, err = run("reconstruct", tmp_path / "few", ball, "--preset", preset, "--out", tmp_path / "out")
    assert code == 1, err
    assert f"error: {tmp_path / 'few'}: wanted 4 views or more, got 3" in err
    assert "1 of 2 inputs failed" in err
    assert (tmp_path / "out/ball/mesh.glb").is_file()
    assert not (tmp_path / "out/few").exists()


def test_numbered_pictures_with_what_is_said_of_their_cameras(run, views, preset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pngs(tmp_path / "shots", (view.rgb for view in views))
    code, _, err = run("reconstruct", "shots", "--elevation-deg", 20, "--radius", 3, "--preset", preset)
    assert code == 0, err
    assert "elevation 20 degrees and distance 3" in err
    record = json.loads((tmp_path / "out/shots-mesh/reconstruction.json").read_text())
    assert record["input"]["world_units_per_scene_unit"] == 2
    assert any("distance 3" in note for note in record["input"]["notes"])
    assert [path.name for path in (tmp_path / "shots").glob("*")] != []
    assert not (tmp_path / "shots/mesh").exists(), "what is not a run's is not ours to write to"
    assert abs(np.array(record["mesh"]["bounds"])).max() > 0.4, "twice as large as it looks from 1.5"


def test_a_killed_command_goes_on(run, ball, preset, monkeypatch):
    """Ctrl-C at the third step: one line, its exit code, and the same command goes on."""
    from viewfusion.reconstruction.reconstruct import reconstruct

    monkeypatch.setitem(reconstruct.__kwdefaults__, "keep_seconds", 0.0)
    reported = MeshProgress.on_step

    def stopping(self, progress: Progress) -> None:
        reported(self, progress)
        if progress.done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(MeshProgress, "on_step", stopping)
    code, _, err = run("reconstruct", ball, "--preset", preset)
    assert code == 130
    assert "the last checkpoint" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert (ball / "mesh/.resume").is_dir()
    monkeypatch.setattr(MeshProgress, "on_step", reported)
    code, _, err = run("reconstruct", ball, "--preset", preset)
    assert code == 0, err
    assert "training takes" not in err, "nothing is estimated anew"
    assert json.loads((ball / "mesh/reconstruction.json").read_text())["training"]["steps"] == 8


@pytest.mark.parametrize("to", ["nerfstudio", "colmap", "instant-ngp"])
def test_no_mesh_but_what_other_reconstructors_read(to, run, ball):
    code, _, err = run("reconstruct", ball, "--method", "none", "--export", to)
    assert code == 0, err
    folder = ball / "exports" / to
    assert err.strip() == f"9 views as {to} in {folder}"
    pictures = sorted((folder / "images").iterdir())
    assert len(pictures) == 9
    with Image.open(pictures[0]) as picture, Image.open(ball / "views/000.png") as view:
        assert picture.mode == ("RGB" if to == "colmap" else "RGBA")
        over = Image.new("RGBA", picture.size, "white")
        over.alpha_composite(picture.convert("RGBA"))
        assert np.abs(np.asarray(over.convert("RGB")).astype(int) - np.asarray(view)).max() <= 16
    refused(run("reconstruct", ball, "--method", "none", "--export", to), folder, "is there already")
    assert not (ball / "mesh").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "neuss"], ["--method must be one of neus, none, got 'neuss'", "did you mean 'neus'"]),
        (["--method", "none"], ["--export", "nerfstudio, colmap, instant-ngp"]),
        (["--method", "none", "--export", "nerfstud"], ["did you mean 'nerfstudio'"]),
        (["--export", "colmap"], ["--method none"]),
        (["--preset", "quick"], ["no preset 'quick'", "paper"]),
        (["--preset", "missing.yaml"], ["missing.yaml"]),
        (["paper.step=3"], ["unknown key 'paper.step'", "did you mean 'steps'"]),
        (["resolution=1e9"], ["resolution"]),
        (["finishing.faces=3"], ["faces must be 0 (all) or at least 100, got 3"]),
        (["--hold-out", "1"], ["hold_out must be 0 (none) or 3 and more, got 1"]),
        (["--device", "cuda:99"], ["cuda:99", "--device cpu"]),
        (["--seed", "-1"], ["seed", "-1"]),
        (["--fov", "180"], ["--fov must lie between 0 and 180"]),
        (["--elevation-deg", "10"], ["--elevation-deg"]),
        (["nowhere"], ["nowhere: no such folder"]),
    ],
)
def test_impossible_options(arguments, words, run, ball, preset):
    usual = [] if "--preset" in arguments else ["--preset", preset]
    refused(run("reconstruct", ball, *usual, *arguments), *words)
    assert not (ball / "mesh").exists()
    assert not (ball / "exports").exists()


def test_views_that_nothing_can_be_made_of(run, views, preset, tmp_path):
    for name, count in (("three", 3), ("white", 9), ("cut", 9)):
        folder = write_run(tmp_path / name, ball_views(count) if name == "three" else views)
        if name == "white":
            for file in (folder / "views").iterdir():
                Image.new("RGB", (32, 32), "white").save(file)
        if name == "cut":
            (folder / "views/003.png").write_bytes(b"PNG")
    command = ("reconstruct", "--preset", preset)
    refused(run(*command, tmp_path / "three"), "wanted 4 views or more, got 3")
    refused(run(*command, tmp_path / "white"), "no object to be seen")
    refused(run(*command, tmp_path / "cut"), "003.png")
    refused(run(*command, "seed=1"), "no views given")
    assert not list(tmp_path.glob("*/mesh"))


def test_training_that_takes_days_is_asked_about_first(run, ball, preset, tmp_path):
    """Nobody sits at a test's standard input."""
    long = ["--preset", preset, "paper.steps=1000000000"]
    refused(run("reconstruct", ball, *long), f"{ball}: training is expected to take about", "days", "--yes")
    assert not (ball / "mesh").exists()


def test_a_person_is_asked(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def agrees(answer: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        monkeypatch.setattr("sys.stderr", Terminal())
        with MeshProgress(Console(file=io.StringIO()), "ball", False, "choose --preset cpu") as progress:
            progress.on_estimate(3 * 3600)

    agrees("y\n")
    with pytest.raises(ViewFusionError, match=r"^not started; choose --preset cpu"):
        agrees("n\n")


def test_progress_without_a_terminal_is_a_line_now_and_then():
    out = io.StringIO()
    with MeshProgress(Console(file=out, width=200), "ball", False, "") as progress:
        progress.on_estimate(125)
        progress.on_stage("training")
        progress._told -= 60
        progress.on_preview(21.34)
        progress.on_step(Progress(3, 10, {"total": 0.5, "colour": 0.1}, 4.0, 7.2))
        progress.on_step(Progress(4, 10, {"total": 0.4, "colour": 0.1}, 5.0, 6.2))
    assert out.getvalue().splitlines() == [
        "ball: training takes about 2 minutes",
        "ball: training",
        "ball: step 3/10 loss 0.5000 PSNR 21.3 dB, 7 seconds left",
    ]


def test_times_in_words():
    seconds = (0.2, 1, 59, 100, 3600, 10 * 3600, 100 * 3600)
    assert [duration(each) for each in seconds] == [
        *("1 second", "1 second", "59 seconds", "2 minutes", "60 minutes", "10 hours", "4 days")
    ]


def test_folders_are_those_of_runs_or_out(tmp_path, views, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path("a"), ball_views(2))
    Path("b").mkdir()
    Path("c/b").mkdir(parents=True)
    a, b, c = Path("a"), Path("b"), Path("c/b")
    assert mesh_folders([a, b], None) == {a: Path("a/mesh"), b: Path("out/b-mesh")}
    assert mesh_folders([b], Path("x")) == {b: Path("x")}
    assert mesh_folders([a, b], Path("x")) == {a: Path("x/a"), b: Path("x/b")}
    assert mesh_folders([a], None, "colmap") == {a: Path("a/exports/colmap")}
    assert mesh_folders([Path("b/transforms.json")], None) == {Path("b/transforms.json"): Path("out/b-mesh")}
    with pytest.raises(ViewFusionError, match="would both be written to"):
        mesh_folders([b, c], Path("x"))
    Path("seed=1").mkdir()
    assert split_inputs(["a", "seed=1", "seed=2", "a", "[bc]"]) == (
        [a, Path("seed=1"), b, Path("c")],
        ["seed=2"],
    )


def test_what_a_run_links_to_is_not_written_to(run, ball, preset, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (ball / "mesh").symlink_to(tmp_path / "elsewhere")
    (ball / "exports").symlink_to(tmp_path / "elsewhere")
    refused(run("reconstruct", ball, "--preset", preset), ball / "mesh", "is a link; say with --out")
    refused(run("reconstruct", ball, "--method", "none", "--export", "colmap"), ball / "exports", "is a link")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("module", ["skimage", "scipy", "trimesh", "xatlas", "fast_simplification"])
def test_a_missing_package_is_one_line_that_says_how_to_get_it(module, run, ball, preset, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    name = {"skimage": "scikit-image"}.get(module, module.replace("_", "-"))
    wanted = (f"need {name};", "pip install 'viewfusion[reconstruction]'")
    refused(run("reconstruct", ball, "--preset", preset), *wanted)
    assert not (ball / "mesh").exists()


def test_masks_without_their_package_are_one_line(run, ball, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    refused(
        run("reconstruct", ball, "--method", "none", "--export", "colmap"),
        "scipy, which is missing",
        "pip install 'viewfusion[reconstruction]'",
    )


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_one_line_and_the_checkpoint_stays(error, run, ball, preset, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("viewfusion.reconstruction.reconstruct.extract_surface", full)
    refused(run("reconstruct", ball, "--preset", preset), ball, "not enough memory", "--size 256")
    assert (ball / "mesh/.resume/training").is_file()


def test_views_and_mesh_in_one_go(run, preset, tmp_path):
    command = ["generate-360", CHAIR, "--views", 6, "--out", tmp_path, "sampling.num_inference_steps=8"]
    command += ["--mesh", "--mesh-preset", preset]
    code, _, err = run(*command)
    assert code == 0, err
    assert err.index("6 views in") < err.index("faces, ")
    record = json.loads((tmp_path / "chair/mesh/reconstruction.json").read_text())
    assert (record["input"]["views"], record["input"]["input"]) == (6, 0)
    code, _, err = run(*command)
    assert (code, err.count("complete already")) == (0, 2)


def test_a_mesh_that_fails_never_costs_the_views(run, preset, tmp_path):
    command = ["generate-360", CHAIR, "--views", 2, "--out", tmp_path, *QUICK, "--mesh", "--mesh-preset"]
    refused(run(*command, "papers"), "no preset 'papers'")
    assert not (tmp_path / "chair").exists(), "what can be refused at once is"
    refused(
        run(*command, preset), f"no mesh, but all views in {tmp_path / 'chair'}", "wanted 4 views or more"
    )
    assert (tmp_path / "chair/manifest.json").is_file()
    assert len(list((tmp_path / "chair/views").iterdir())) == 2
