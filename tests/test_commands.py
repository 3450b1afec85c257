"""Single views, trajectories, sweeps and many photos: what is written is what the pipeline makes of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import CHAIR, ROOT, files_of, refused

from viewfusion import Pose, ViewFusionPipeline, around, load_config, path_to
from viewfusion.cli.photos import output_folders, split_settings
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import camera_to_world

FILES_OF_A_VIEW = ("view.png", "preview.png", "manifest.json")
QUICK = "sampling.num_inference_steps=2"
CUP = ROOT / "data/real_images/cup.png"


def deg(azimuth: float, elevation: float, radius: float) -> Pose:
    return Pose.from_degrees(azimuth, elevation, radius)


@pytest.fixture(scope="module")
def nano() -> ViewFusionPipeline:
    return ViewFusionPipeline.from_checkpoint("zero123-nano", device="cpu")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def names(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_a_single_view_is_the_pipelines(run, nano, tmp_path):
    out, target = tmp_path / "out", ["--azimuth-deg", -25, "--elevation-deg", 40, "--radius", 1.6]
    options = ["--input-elevation-deg", 20, "--input-radius", 1.7, "--seed", 3, "--out", out, QUICK]
    command = ["generate-view", CHAIR, *target, *options]
    code, _, err = run(*command, "--keep-path")
    assert code == 0, err
    trajectory = path_to(deg(0, 20, 1.7), deg(-25, 40, 1.6))
    config = load_config(overrides=[QUICK, "seed=3"])
    expected = nano(CHAIR, trajectory, config)
    assert len(expected) == 4
    pictures = ["path/000.png", "path/001.png", "path/002.png", "view.png"]
    folder = out / "chair"
    for name, view in zip(pictures, expected, strict=True):
        assert np.array_equal(pixels(folder / name), view.rgb)
    assert names(folder) == {*pictures, "preview.png", "manifest.json"}
    entries = manifest(folder)["views"]
    assert [entry["file"] for entry in entries] == pictures
    assert entries[3]["pose"] == {"azimuth_deg": -25, "elevation_deg": 40, "radius": 1.6}
    assert entries[3]["weights"] == list(expected[3].record.weights)
    assert manifest(folder)["trajectory"] == {"kind": "path", "file": None, "order": [1, 2, 3]}
    refused(run(*command), folder, "makes=view and path, now view")


def test_many_poses_are_independent_single_views(run, nano, tmp_path):
    poses = tmp_path / "poses.json"
    poses.write_text('[{"azimuth_deg": 15}, {"azimuth_deg": 0, "elevation_deg": 42, "radius": 2}]')
    command = ["generate-view", CHAIR, "--poses", poses, "--out", tmp_path / "out", QUICK]
    code, _, err = run(*command)
    assert code == 0, err
    folder = tmp_path / "out/chair"
    assert names(folder) == {f"00{i}/{name}" for i in (0, 1) for name in FILES_OF_A_VIEW}
    for number, target in enumerate([deg(15, 30, 1.5), deg(0, 42, 2)]):
        expected = nano(CHAIR, path_to(deg(0, 30, 1.5), target), load_config(overrides=[QUICK]))
        assert len(expected) == 3
        assert np.array_equal(pixels(folder / f"{number:03d}/view.png"), expected[2].rgb)
    entries = manifest(folder / "001")["views"]
    assert [entry["file"] for entry in entries] == [None, None, "view.png"]
    assert manifest(folder / "001")["trajectory"]["file"] == "poses.json"
    before = files_of(folder / "000")
    code, _, err = run(*command)
    assert (code, err.count("complete already")) == (0, 2)
    assert files_of(folder / "000") == before


def test_killed_between_poses_and_run_again_ends_with_the_same_bytes(run, tmp_path):
    poses = tmp_path / "poses.csv"
    poses.write_text("azimuth_deg,elevation_deg\n10,30\n-25,60\n")

    def command(out):
        return [
            "generate-view",
            str(CHAIR),
            "--poses",
            str(poses),
            "--keep-path",
            "--out",
            str(tmp_path / out),
        ]

    steps = "sampling.num_inference_steps=6"
    assert run(*command("whole"), steps)[0] == 0
    process = subprocess.Popen([sys.executable, "-m", "viewfusion", *command("killed"), steps])
    wanted, deadline = tmp_path / "killed/chair/001/path/001.png", time.monotonic() + 300
    while not wanted.exists() and time.monotonic() < deadline:
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed/chair/001/manifest.json").exists()
    assert run(*command("killed"), steps)[0] == 0
    for number in ("000", "001"):
        assert files_of(tmp_path / "killed/chair" / number) == files_of(tmp_path / "whole/chair" / number)


@pytest.fixture
def transforms(tmp_path) -> Path:
    """A nerfstudio file: the input at azimuth 40, elevation 10, radius 2; three views around it."""
    poses = [deg(40, 10, 2), deg(210, 10, 2), deg(50, 10, 2), deg(0, 20, 2.2)]
    path = tmp_path / "transforms.json"
    frames = [{"file_path": "a.png", "transform_matrix": camera_to_world(p).tolist()} for p in poses]
    path.write_text(json.dumps({"camera_model": "OPENCV", "frames": frames}))
    return path


def test_a_trajectory_file_makes_a_sequence(run, nano, tmp_path, transforms):
    command = ["generate-360", CHAIR, "--out", tmp_path / "out", QUICK]
    code, _, err = run(*command, "--trajectory", transforms)
    assert code == 0, err
    targets = [deg(170, 10, 2), deg(10, 10, 2), deg(-40, 20, 2.2)]
    expected = nano(CHAIR, around(deg(0, 10, 2), targets), load_config(overrides=[QUICK]))
    folder = tmp_path / "out/chair"
    for view in expected:
        assert np.array_equal(pixels(folder / f"views/{view.index:03d}.png"), view.rgb)
    cameras = json.loads((folder / "cameras.json").read_text())["views"]
    assert [(v["azimuth_deg"], v["elevation_deg"], v["radius"]) for v in cameras] == [
        pytest.approx((p.azimuth_deg, p.elevation_deg, p.radius)) for p in [deg(0, 10, 2), *targets]
    ]
    made = manifest(folder)
    # 10 degrees away, then 40 + 10, then 170.
    assert made["trajectory"] == {"kind": "path", "file": "transforms.json", "order": [2, 3, 1]}
    assert {key: made["config"][key] for key in ("views", "elevation_deg", "radius")} == {
        "views": 4,
        "elevation_deg": pytest.approx(10),
        "radius": 2,
    }
    # The same cameras in our own format are the same run; in another order they are another.
    again = run(*command, "--trajectory", folder / "cameras.json")
    assert again[0] == 0
    assert "complete already" in again[2]
    content = json.loads((folder / "cameras.json").read_text())
    content["views"][1:3] = content["views"][2:0:-1]
    (tmp_path / "other.json").write_text(json.dumps(content))
    refused(run(*command, "--trajectory", tmp_path / "other.json"), folder, "trajectory=")


def test_the_plan_of_a_trajectory(run, tmp_path, transforms):
    poses = tmp_path / "poses.csv"
    poses.write_text("azimuth_deg,elevation_deg\n90,30\n10,40\n")
    code, out, _ = run("plan", "--trajectory", poses, "--json")
    plan = json.loads(out)
    assert code == 0
    assert plan["trajectory"] == {"kind": "path", "file": "poses.csv", "order": [2, 1]}
    assert plan["config"]["views"] == 3
    first, second = plan["targets"]
    assert (first["view"], first["azimuth_deg"], first["elevation_deg"]) == (2, 10, 40)
    assert (first["references"], first["weights"]) == ([0], [1.0])
    # 90 degrees from the input, 80 + 10 from the one made; exp(-(pi/2) / pi / 0.5) = 1/e.
    assert second["references"] == [0, 2]
    assert second["weights"] == pytest.approx([np.exp(-1), 1 - np.exp(-1)])
    code, out, _ = run("plan", "--trajectory", transforms)
    assert code == 0
    assert out.splitlines()[1].split()[:6] == ["1", "2", "+10.0", "+10.0", "2.00", "+0.0"]


def test_seeds_of_a_sweep_over_elevations(run, tmp_path):
    command = ["generate-360", CHAIR, "--out", tmp_path, "--seed", 5, "--views", 4, QUICK]
    command += ["--elevation-sweep-deg", -10, 60, "--num-samples", 2]
    code, _, err = run(*command)
    assert code == 0, err
    folder = tmp_path / "chair"
    assert {path.name for path in folder.iterdir()} == {"seed-0005", "seed-0006", "samples.png"}
    poses = [view["pose"]["elevation_deg"] for view in manifest(folder / "seed-0006")["views"]]
    assert poses == pytest.approx([30, -10, 10, 60])
    assert manifest(folder / "seed-0006")["config"]["seed"] == 6
    views = [[pixels(folder / f"seed-000{s}/views/00{i}.png") for i in range(4)] for s in (5, 6)]
    assert np.array_equal(views[0][0], views[1][0])
    assert not np.array_equal(views[0][3], views[1][3])
    sheet = Image.open(folder / "samples.png").convert("RGB")
    # Margins 8, words before rows 72, title 32, cells of 128 with 24 for a label.
    assert sheet.size == (80 + 4 * 136, 2 * 152 + 32 + 8)
    for row, column in ((0, 3), (1, 0), (1, 3)):
        x, y = 80 + column * 136, 40 + row * 152
        enlarged = Image.fromarray(views[row][column]).resize((128, 128), Image.Resampling.LANCZOS)
        assert np.array_equal(np.asarray(sheet.crop((x, y, x + 128, y + 128))), np.asarray(enlarged))
    # The GIF rises: its frames are the views by elevation, the input third.
    with Image.open(folder / "seed-0005/turntable.gif") as gif:
        frames = []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB").resize((64, 64), Image.Resampling.BOX), dtype=float))
    for frame, index in zip(frames, (1, 2, 0, 3), strict=True):
        differences = [np.abs(frame - view).mean() for view in views[0]]
        assert int(np.argmin(differences)) == index


def test_somebody_elses_samples_picture_is_kept(run, tmp_path):
    sheet = tmp_path / "chair/samples.png"
    sheet.parent.mkdir()
    sheet.write_text("mine")
    refused(run("generate-360", CHAIR, "--num-samples", 1, "--out", tmp_path, QUICK), sheet, "remove it")
    assert sheet.read_text() == "mine"


def test_another_model_yaml_is_another_run(run, tmp_path, tiny_checkpoint):
    checkpoint, yaml = tiny_checkpoint
    other = tmp_path / "other.yaml"
    text = yaml.read_text()
    assert "scale_factor: 0.18215" in text
    other.write_text(text.replace("scale_factor: 0.18215", "scale_factor: 0.2"))
    command = ["generate-view", CHAIR, "--azimuth-deg", 5, "--checkpoint", checkpoint, "--out", tmp_path]
    command.append("sampling.num_inference_steps=1")
    assert run(*command, "--config", yaml)[0] == 0
    refused(run(*command, "--config", other), tmp_path / "chair", "model=")


CSV = "poses.csv"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["generate-360", "--trajectory", CSV, "--views", 8], "leave views=8 out"),
        (["generate-360", "--trajectory", CSV, "views=8"], "leave views=8 out"),
        (["generate-360", "--trajectory", CSV, "--elevation-sweep-deg", 0, 9], "give one of them"),
        (["generate-360", "--trajectory", "transforms.json", "--elevation-deg", 9], "elevation_deg=9.0 out"),
        (["generate-360", "--trajectory", "transforms.json", "radius=2"], "leave radius=2 out"),
        (["generate-360", "--trajectory", "absent.csv"], "absent.csv: cannot be read"),
        (["generate-360", "--elevation-sweep-deg", 60, 10], "lower first, got 60 10"),
        (["generate-360", "--elevation-sweep-deg", "nan", 10], "lower first, got nan 10"),
        (["generate-360", "--elevation-sweep-deg", -91, 10], "in -90 to 90"),
        (["generate-360", "--elevation-sweep-deg", 0, 10, "--views", 2], "at least 3 views"),
        (["generate-360", "--num-samples", 0], "--num-samples must be 1 to 1000, got 0"),
        (["generate-360", "--num-samples", 2, "--seed", 2**63 - 1], "seed must be"),
        (["generate-360", "--seed", 10**20], "--seed is too large a number, got 100000000000000000000"),
        (["generate-360", "--mesh-preset", "cpu"], "--mesh-preset is for the mesh of a turn; add --mesh"),
        (["generate-360", ""], "an empty name was given"),
        (["generate-view", "--azimuth-deg", 9, ""], "an empty name was given"),
        (["generate-view"], "no target given"),
        (["generate-view", "--azimuth-deg", 360], "where the input stands"),
        (["generate-view", "--azimuth-deg", "nan"], "the target: azimuth_deg must be a finite number"),
        (["generate-view", "--elevation-deg", 91], "the target: elevation_deg must be -90 to 90"),
        (["generate-view", "--azimuth-deg", 9, "--radius", -1], "the target: radius must be 0.001 to 1000"),
        (["generate-view", "--azimuth-deg", 9, "--input-radius", 0], "radius must be 0.001 to 1000"),
        (["generate-view", "--azimuth-deg", 9, "views=3"], "leave views=3 out"),
        (["generate-view", "--poses", CSV, "--azimuth-deg", 9], "leave --azimuth-deg out"),
        (
            ["generate-view", "--poses", "transforms.json", "--input-elevation-deg", 9],
            "elevation_deg=9.0 out",
        ),
        (["plan", "--trajectory", CSV, "--views", 8], "leave views=8 out"),
    ],
)
def test_contradictory_and_impossible_options(arguments, words, run, tmp_path, transforms, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(CSV).write_text("azimuth_deg\n10\n")
    photo = [] if arguments[0] == "plan" else [CHAIR, "--out", tmp_path / "out"]
    refused(run(*arguments, *photo), words)
    assert not (tmp_path / "out").exists()


def test_paths_that_nobody_foresaw_are_one_line(run, tmp_path):
    """Too long, or links that lead to each other."""
    long, circle = "x" * 300, tmp_path / "circle"
    circle.symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(circle)
    for arguments in (
        ("dataset", "check", long),
        ("checkpoints", "convert", "zero123-nano", tmp_path / long),
        ("render-object", tmp_path / "none.obj", "--out", tmp_path / long),
    ):
        refused(run(*arguments), "x" * 20)
    (tmp_path / "read").mkdir()
    for option in ("--out", "--pred"):
        read = tmp_path / "read"
        folders = {"--pred": read, "--ref": read, "--out": tmp_path / "out", option: circle}
        refused(run("evaluate", *(word for pair in folders.items() for word in pair)), "circle")


def test_an_empty_out_is_no_folder(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (("generate-360", CHAIR, "--dry-run"), ("preprocess", CHAIR), ("benchmark",)):
        code, _, err = run(*command, "--out", "")
        assert code == 2
        assert "'--out': an empty name; name a folder, . for this one" in err
    assert list(tmp_path.iterdir()) == []


def test_a_link_that_leads_nowhere_is_somebodys(run, tmp_path):
    (tmp_path / "chair").mkdir()
    link = tmp_path / "chair/turntable.gif"
    link.symlink_to("/nowhere/precious.gif")
    command = ("generate-360", CHAIR, "--out", tmp_path, "--views", 2, QUICK)
    refused(run(*command), link, "is there already and no run's")
    assert link.is_symlink()


def test_names_are_told_as_they_are(run, tmp_path):
    photo = tmp_path / "12:100:30 :car:.png"
    photo.write_bytes(CUP.read_bytes())
    code, _, err = run("preprocess", photo, "--out", tmp_path / "out")
    assert code == 0
    assert "12:100:30 :car:" in err


def test_files_whose_names_are_no_utf8(run, tmp_path):
    folder = tmp_path / "nano"
    shutil.copytree(ROOT / "zero123_ckpts/zero123-nano", folder)
    (folder / os.fsdecode(b"b\xff.safetensors")).write_bytes(b"")
    command = ["generate-360", CUP, "--out", tmp_path / "out", "--checkpoint", folder, "--views", 2, QUICK]
    code, _, err = run(*command)
    assert code == 0, err
    strange = tmp_path / os.fsdecode(b"ck\xff")
    shutil.copytree(ROOT / "zero123_ckpts/zero123-nano", strange)
    refused(run("checkpoints", "inspect", strange), "opens no name that is not UTF-8; rename it")


@pytest.fixture
def shots(tmp_path) -> Path:
    folder = tmp_path / "my shots ä"
    (folder / "more").mkdir(parents=True)
    for name in ("b.PNG", "a.jpg", "notes.txt", ".hidden.png", "more/c.png"):
        (folder / name).write_bytes(CUP.read_bytes())
    return folder


def test_folders_and_patterns_of_photos(shots):
    a, b, c = shots / "a.jpg", shots / "b.PNG", shots / "more/c.png"
    assert split_settings([str(shots)]) == ([a, b], [])
    assert split_settings([f"{shots}/*"]) == ([a, b], [])
    assert split_settings([f"{shots}/**/*.png", str(a), str(shots)]) == ([c, a, b], [])
    assert split_settings([str(b), "seed=3", str(a), "absent.png"]) == (
        [b, a, Path("absent.png")],
        ["seed=3"],
    )
    (shots / "x=[1].png").touch()
    assert split_settings([f"{shots}/x=[1].png", "views=[3]"]) == ([shots / "x=[1].png"], ["views=[3]"])
    assert split_settings([f"{shots}/x=*.png"]) == ([shots / "x=[1].png"], [])


def test_folders_and_patterns_without_photos(tmp_path, shots):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ViewFusionError, match="empty: no image in this folder; give one"):
        split_settings([str(shots), str(tmp_path / "empty")])
    with pytest.raises(ViewFusionError, match=r"\*\.webp: no image fits this pattern; give one"):
        split_settings([f"{shots}/*.webp"])
    with pytest.raises(ViewFusionError, match="no photo given"):
        split_settings(["seed=3"])


def test_photos_whose_folders_would_meet_or_leave_the_output(shots):
    assert output_folders([shots / "a.jpg"], Path("out")) == {shots / "a.jpg": Path("out/a")}
    with pytest.raises(ViewFusionError, match="would both be written to out/a"):
        output_folders([shots / "a.jpg", Path("a.png")], Path("out"))
    with pytest.raises(ViewFusionError, match="rename it"):
        output_folders([Path("...png")], Path("out"))


def test_a_folder_of_photos_is_made_with_one_model(run, tmp_path, shots):
    (shots / "b.PNG").write_bytes(CUP.read_bytes()[:3000])
    code, _, err = run("generate-360", shots, "--views", 2, "--out", tmp_path / "out", QUICK)
    assert code == 1
    assert "b.PNG" in err
    assert "1 of 2 photos failed" in err
    assert manifest(tmp_path / "out/a")["input"]["file"] == "a.jpg"
