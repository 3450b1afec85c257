"""``viewfusion checkpoints`` as a person meets it: list, inspect, convert; and ``--family`` of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_checkpoints import SMALL

from viewfusion.zero123 import Zero123, checkpoint_hash, save_diffusers, save_zero123

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small() -> Zero123:
    return Zero123.from_config(SMALL)


def test_list(run, small, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save_zero123(small, tmp_path / "zero123_ckpts" / "mine")
    code, out, _ = run("checkpoints", "list")
    assert code == 0
    assert "zero123-xl" in out
    assert "15.5 GB" in out
    assert "Non-Commercial" in out
    listed = json.loads(run("checkpoints", "list", "--json")[1])
    paths = {row["name"]: row["path"] for row in listed["catalogue"]}
    assert Path(paths["zero123-nano"]) == ROOT / "zero123_ckpts/zero123-nano"
    assert paths["zero123-300000"] is None
    assert listed["others"] == [{"name": "mine", "path": "zero123_ckpts/mine"}]


def test_inspect(run, small, tmp_path):
    folder = save_zero123(small, tmp_path / "small")
    code, out, _ = run("checkpoints", "inspect", folder, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["format"] == "viewfusion folder"
    assert (report["family"], report["family_known_by"]) == ("stable-zero123", "its metadata")
    assert report["parameters"] == {
        part: sum(value.numel() for value in getattr(small, part).parameters())
        for part in ("unet", "vae", "image_encoder", "cc_projection")
    }
    assert report["dtypes"] == ["float16"]
    assert report["size"] == sum(path.stat().st_size for path in folder.iterdir())
    assert report["sha256"] == checkpoint_hash(folder)
    assert (report["image_size"], report["ema"], report["problem"]) == (16, None, None)


def test_inspect_says_how_a_checkpoint_is_sampled(run, small, tmp_path):
    """Where nobody chooses; most state nothing."""
    assert (
        "sampled by    not stated"
        in run("checkpoints", "inspect", save_zero123(small, tmp_path / "small"))[1]
    )
    out = run("checkpoints", "inspect", "zero123-nano")[1]
    assert "sampled by    solver dpm++, num_inference_steps 10, spacing karras, guidance_scale 1.25" in out


def test_inspect_an_original_file(run, tiny_checkpoint):
    checkpoint, config = tiny_checkpoint
    code, out, err = run("checkpoints", "inspect", checkpoint, "--config", config)
    assert code == 0
    assert "zero123 (known by: assumed)" in out
    assert "running averages (EMA)" in out
    assert "original .ckpt" in out
    (warning,) = [line for line in err.splitlines() if line.startswith("warning:")]
    assert "--family stable-zero123" in warning
    _, out, err = run("checkpoints", "inspect", checkpoint, "--config", config, "--family", "zero123")
    assert "known by: --family" in out
    assert "warning" not in err


def test_inspect_names_what_does_not_fit(run, small, tmp_path):
    folder = save_zero123(small, tmp_path / "small")
    config = json.loads((folder / "config.json").read_text())
    config["image_encoder"]["num_hidden_layers"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    code, out, _ = run("checkpoints", "inspect", folder)
    assert code == 0
    assert "missing (image_encoder." in out


def test_convert_there_and_back(run, small, tmp_path):
    first = save_zero123(small, tmp_path / "first")
    assert run("checkpoints", "convert", first, tmp_path / "second", "--to", "diffusers") == (
        0,
        f"{tmp_path / 'second'}\n",
        "",
    )
    assert (tmp_path / "second/model_index.json").is_file()
    assert run("checkpoints", "convert", tmp_path / "second", tmp_path / "third")[0] == 0
    from viewfusion.zero123 import load_zero123

    states = [load_zero123(tmp_path / name).state_dict() for name in ("first", "third")]
    assert all(value.equal(states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("convert", "SMALL", "SMALL"), "not an empty folder"),
        (("convert", "SMALL", "OUT", "--to", "onnx"), "--to must be one of"),
        (("convert", "SMALL", "OUT", "--dtype", "int4"), "--dtype must be one of"),
        (("convert", "SMALL", "OUT", "--family", "zero123"), "'stable-zero123' by its metadata"),
        (("inspect", "SMALL", "--family", "cats"), "family must be one of"),
        (("inspect", "nothing-here"), "no such file"),
        (("fetch", "zero123-xxl"), "not in the catalogue"),
        (("fetch", "zero123-230000"), "download https://"),
    ],
)
def test_refusals(run, small, tmp_path, arguments, words):
    folder = save_diffusers(small, tmp_path / "small")
    known = {"SMALL": folder, "OUT": tmp_path / "out"}
    code, out, err = run("checkpoints", *(known.get(argument, argument) for argument in arguments))
    (line,) = [line for line in err.splitlines() if line.startswith("error:")]
    assert (code, out) == (2, "")
    assert words in line
    assert not (tmp_path / "out").exists()


def test_a_run_is_told_the_family(run, small, tmp_path):
    folder = save_diffusers(small, tmp_path / "small")
    index = json.loads((folder / "model_index.json").read_text())
    del index["_viewfusion"]
    (folder / "model_index.json").write_text(json.dumps(index))
    photo, out = ROOT / "data/real_images/chair.png", tmp_path / "out"
    quick = ["--checkpoint", folder, "--views", 2, "sampling.num_inference_steps=1", "--device", "cpu"]
    code, _, err = run("generate-360", photo, *quick, "--out", out / "assumed")
    assert code == 0, err
    assert "warning: " in err
    assert "assuming 'zero123'" in " ".join(err.split())
    code, _, err = run("generate-360", photo, *quick, "--out", out / "told", "--family", "stable-zero123")
    assert code == 0, err
    assert "assuming" not in err
    code, _, err = run("generate-360", photo, *quick, "--out", out / "assumed", "--family", "stable-zero123")
    assert (code, "family" in err) == (2, True)  # views of both are not mixed in one folder
    pictures = [(out / kind / "chair/views/001.png").read_bytes() for kind in ("assumed", "told")]
    assert pictures[0] != pictures[1]  # the family changes what the network is told
