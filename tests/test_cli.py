"""The command line as a person meets it: real files, real processes, exit codes and one-line errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
CHAIR = ROOT / "data/real_images/chair.png"
QUICK = ["sampling.num_inference_steps=2", "sampling.solver=ddim"]


def refused(result, *words):
    """One clear line that holds ``words``, exit code 2, no traceback."""
    code, _, err = result
    lines = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 2, err
    assert len(lines) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert str(word) in lines[0]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file's bytes; of the manifest all but the seconds."""
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    found.pop(".lock", None)
    manifest = json.loads(found["manifest.json"])

    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if "seconds" not in k}
        return [strip(v) for v in value] if isinstance(value, list) else value

    found["manifest.json"] = json.dumps(strip(manifest)).encode()
    return found


def test_plan_prints_the_papers_table(run):
    code, out, _ = run("plan", "--views", 36)
    lines = out.splitlines()
    assert code == 0
    assert lines[1].split()[:5] == ["1", "1", "+10.0", "+0.0", "1.000"]
    assert [line.split()[-5] for line in lines[2:4]] == ["0.895", "0.105"]
    assert [line.split()[-5] for line in lines[4:7]] == ["0.846", "0.101", "0.052"]


def test_plan_as_json(run):
    code, out, _ = run("plan", "--views", 8, "--json", "fusion.reference_temperature=0.5")
    plan = json.loads(out)
    assert code == 0
    assert [target["azimuth_deg"] for target in plan["targets"]] == [45, -45, 90, -90, 135, -135, 180]
    assert plan["targets"][0] == {
        "order": 1,
        "round": 1,
        "view": 1,
        "azimuth_deg": 45.0,
        "elevation_deg": 30.0,
        "radius": 1.5,
        "references": [0],
        "reference_azimuths_deg": [0.0],
        "weights": [1.0],
        "pose_embeddings": [pytest.approx([0, 0.5**0.5, 0.5**0.5, 0])],
    }
    assert plan["config"]["fusion"]["reference_temperature"] == 0.5


def test_a_spin_of_a_real_photo(run, tmp_path):
    code, _, err = run("generate-360", CHAIR, "--views", 4, "--out", tmp_path, *QUICK)
    folder = tmp_path / "chair"
    assert code == 0, err
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {".lock"}
    expected = {f"views/{i:03d}.png" for i in range(4)}
    expected |= {"input.png", "preview.png", "turntable.gif", "turntable.mp4", "contact_sheet.png"}
    assert names == expected | {"cameras.json", "manifest.json"}
    framed = Image.open(folder / "input.png")
    white = Image.new("RGBA", framed.size, "white")
    shown = np.asarray(Image.alpha_composite(white, framed).convert("RGB")).astype(int)
    assert np.abs(shown - np.asarray(Image.open(folder / "views/000.png"))).max() <= 1
    before = files_of(folder)
    code, _, err = run("generate-360", CHAIR, "--views", 4, "--out", tmp_path, *QUICK)
    assert code == 0
    assert "complete already" in err
    assert files_of(folder) == before


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path):
    def command(out):
        options = ["--views", "8", "--out", out, "sampling.num_inference_steps=6"]
        return [sys.executable, "-m", "viewfusion", "generate-360", CHAIR, *options]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    for wanted in (2, 5):
        process = subprocess.Popen(command(tmp_path / "killed"), stderr=subprocess.PIPE)
        views = tmp_path / "killed/chair/views"
        deadline = time.monotonic() + 300
        while len(list(views.glob("0*.png"))) < wanted and time.monotonic() < deadline:
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed/chair/manifest.json").exists()
    subprocess.run(command(tmp_path / "killed"), check=True, capture_output=True)
    assert files_of(tmp_path / "killed/chair") == files_of(tmp_path / "whole/chair")


def test_ctrl_c_stops_at_once_and_keeps_what_is_finished(tmp_path):
    command = [sys.executable, "-m", "viewfusion", "generate-360", CHAIR, "--out", tmp_path]
    process = subprocess.Popen(
        [*command, "sampling.num_inference_steps=40"],
        stderr=subprocess.PIPE,
        # Tests that a shell runs in the background inherit Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    views = tmp_path / "chair/views"
    deadline = time.monotonic() + 300
    while len(list(views.glob("0*.png"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert b"goes on from them" in err
    assert (views / "001.png").exists()


def test_another_run_into_the_same_folder_is_refused(run, tmp_path):
    assert run("generate-360", CHAIR, "--views", 2, "--out", tmp_path, *QUICK)[0] == 0
    result = run("generate-360", CHAIR, "--views", 3, "--out", tmp_path, *QUICK)
    refused(result, tmp_path / "chair", "views")


def test_one_bad_photo_does_not_cost_the_others(run, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(CHAIR.read_bytes()[:2000])
    code, _, err = run("generate-360", broken, CHAIR, "--views", 2, "--out", tmp_path / "out", *QUICK)
    assert code == 1
    assert "broken.png" in err
    assert "1 of 2 photos failed" in err
    assert (tmp_path / "out/chair/manifest.json").exists()


def bad_files(folder: Path) -> dict[str, Path]:
    files = {
        name: folder / f"{name}.png" for name in ("missing", "empty", "text", "truncated", "dot", "clear")
    }
    files["empty"].write_bytes(b"")
    files["text"].write_text("<html>not found</html>")
    files["truncated"].write_bytes(CHAIR.read_bytes()[:5000])
    Image.new("RGBA", (1, 1), (255, 0, 0, 255)).save(files["dot"])
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(files["clear"])
    return files


@pytest.mark.parametrize("name", ["missing", "empty", "text", "truncated", "dot", "clear"])
def test_bad_photos(name, run, tmp_path):
    path = bad_files(tmp_path)[name]
    refused(run("generate-360", path, "--out", tmp_path / "out", *QUICK), path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--views", "0"], "views"),
        (["--elevation-deg", "nan"], "elevation_deg"),
        (["radius=-1"], "radius"),
        (["sampling.num_inference_step=3"], "num_inference_steps"),
        (["--preset", "fastest"], "fast"),
        (["--checkpoint", "zero321"], "zero321"),
        (["--device", "cuda:99"], "cuda:99"),
        (["seed=one"], "one"),
    ],
)
def test_impossible_options(arguments, word, run, tmp_path):
    refused(run("generate-360", CHAIR, "--out", tmp_path / "out", *arguments), word)
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_output_folder_should_be(run, tmp_path):
    (tmp_path / "out").write_text("a file")
    refused(run("generate-360", CHAIR, "--out", tmp_path / "out", *QUICK), tmp_path / "out")


NAMES = [
    "Blå stolar \u6905\u5b50 \U0001f600 'x'.png".encode(),
    b"no UTF-8 \xff\xfe.png",
    b"x" * 251 + b".png",
    b"--out=\x1b[2J two\nlines [red]markup[bold].png",
]


def test_any_name_of_a_photo(run, tmp_path, monkeypatch):
    """Folders are named alike; of damaged ones, in a process with a terminal's bytes, each line names one."""
    names = [os.fsdecode(name) for name in NAMES]
    for name in names:
        (tmp_path / name).write_bytes(CHAIR.read_bytes())
    command = ["generate-360", "--views", "2", "--out", "out", *QUICK, "--", *names]
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*command)
    assert code == 0, err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {Path(name).stem for name in names}
    for name in names:
        manifest = json.loads((tmp_path / "out" / Path(name).stem / "manifest.json").read_text())
        assert manifest["input"]["file"] == name
        (tmp_path / name).write_bytes(CHAIR.read_bytes()[:3000])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-m", "viewfusion", *command], env=environment, capture_output=True
    )
    lines = process.stderr.splitlines()
    assert process.returncode == 1
    assert len(lines) == len(names) + 1
    assert all(line.startswith(b"error: ") for line in lines)
    assert b"4 of 4 photos failed" in lines[-1]
    assert b"two\\nlines [red]markup[bold].png: cannot be read" in process.stderr
    assert b"\x1b" not in process.stderr


def bad_inputs(folder: Path, tiny_checkpoint: tuple[Path, Path]) -> dict[str, list[str]]:
    """The options of a run for each kind of bad file, by the name of the file at fault."""
    import test_pickles

    folder.mkdir()
    (folder / "page.ckpt").write_text("<!DOCTYPE html><title>404</title>")
    (folder / "notes.ckpt").write_text("weights are on the other disk")
    (folder / "cut.ckpt").write_bytes(tiny_checkpoint[0].read_bytes()[:100_000])
    test_pickles.written(
        folder / "evil.ckpt", test_pickles.checkpoint(beside=test_pickles.GADGETS["os.system"])
    )
    (folder / "tags.yaml").write_text("views: !!python/object/apply:os.system ['touch CANARY']")
    (folder / "bool.yaml").write_text("views: !!bool many")
    (folder / "model.yaml").write_text("model: !!python/name:os.system")
    (folder / "empty").mkdir()
    (folder / "b\u00e4d \u6905.png").write_text("no picture")
    options = {
        name: ["--checkpoint", name] for name in ("page.ckpt", "notes.ckpt", "cut.ckpt", "evil.ckpt", "empty")
    }
    options |= {name: ["--preset", name] for name in ("tags.yaml", "bool.yaml")}
    options["model.yaml"] = ["--checkpoint", str(tiny_checkpoint[0]), "--config", "model.yaml"]
    return options | {"b\u00e4d \u6905.png": []}


def test_bad_files_of_every_kind(run, tmp_path, monkeypatch, tiny_checkpoint):
    options = bad_inputs(tmp_path / "in", tiny_checkpoint)
    monkeypatch.chdir(tmp_path / "in")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for name, arguments in options.items():
        photo = CHAIR if arguments else name
        result = run("generate-360", photo, "--out", tmp_path / "out", *arguments)
        refused(result, name)
        assert len(result[2].splitlines()) == 1, result[2]
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_two_photos_of_one_name(run, tmp_path):
    (tmp_path / "a").mkdir()
    other = tmp_path / "a/chair.png"
    other.write_bytes(CHAIR.read_bytes())
    refused(run("generate-360", CHAIR, other, "--out", tmp_path / "out"), "chair.png", "--out")


def test_a_checkpoint_that_tries_to_run_code(run, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    import torch

    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"weight": Attack()}}, path)
    refused(run("generate-360", CHAIR, "--checkpoint", path, "--out", tmp_path / "out"), "evil.ckpt")
    assert not (tmp_path / "owned").exists()


def test_an_original_checkpoint_makes_a_spin(run, tmp_path, tiny_checkpoint):
    checkpoint, config = tiny_checkpoint
    arguments = ["--checkpoint", checkpoint, "--config", config, "--views", 2, "--out", tmp_path, *QUICK]
    code, _, err = run("generate-360", CHAIR, *arguments)
    assert code == 0, err
    manifest = json.loads((tmp_path / "chair/manifest.json").read_text())
    assert manifest["checkpoint"]["name"] == "tiny_zero123.ckpt"


def test_version_and_help_are_quick_to_load():
    code = "import sys; from viewfusion.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    for option, word in (("--help", "generate-360"), ("--version", "viewfusion")):
        run = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=True)
        assert run.stdout.endswith("False\n")
        assert word in run.stdout
