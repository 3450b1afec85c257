"""``preprocess`` and ``--dry-run`` as a person meets them: what is written, kept, replaced and refused."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from test_cli import CHAIR, QUICK, ROOT, refused
from test_onnx_segmenter import MODEL, field, model

from viewfusion.errors import ViewFusionError
from viewfusion.outputs import is_preprocessed, write_preprocessed
from viewfusion.outputs.preprocessed import PICTURES
from viewfusion.preprocessing import over_white, read_image

PHOTOS = ROOT / "data/real_images"
BOTTLE = PHOTOS / "bottle_on_white.jpg"
FILES = {*PICTURES, "preprocess.json"}


def record(folder: Path) -> dict:
    return json.loads((folder / "preprocess.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_of_photos(run, tmp_path):
    code, _, err = run("preprocess", PHOTOS, "--out", tmp_path, "--size", 64)
    assert code == 0, err
    names = {path.stem for path in PHOTOS.iterdir() if path.suffix in (".png", ".jpg")}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        assert set(contents(tmp_path / name)) == FILES
    folder = tmp_path / "bottle_on_white"
    framed, cutout = read_image(folder / "rgba.png"), read_image(folder / "cutout.png")
    assert framed.shape == (64, 64, 4)
    assert np.array_equal(np.asarray(Image.open(folder / "rgb.png")), over_white(framed))
    assert cutout.shape == (320, 320, 4)
    assert not cutout[0, 0, 3]
    told = record(folder)
    assert told["made_of"]["photo"]["file"] == "bottle_on_white.jpg"
    assert told["made_of"]["options"] == {
        "segmenter": "auto",
        "mask": None,
        "point": None,
        "box": None,
        "frame_fraction": 0.72,
        "framing": "longest",
        "size": 64,
    }
    assert (told["width"], told["height"]) == (320, 320)
    left, top, right, bottom = told["object_box"]
    solid = cutout[..., 3] > 127
    assert (solid[:, [left, right - 1]].any(axis=0) & solid[[top, bottom - 1]].any(axis=1)).all()
    assert 0 < told["confidence"] <= 1
    assert record(tmp_path / "chair")["method"] == "alpha"
    for warning in told["warnings"]:
        assert f"warning: {BOTTLE}: {warning}" in err
    before = contents(tmp_path)
    code, _, err = run("preprocess", PHOTOS, "--out", tmp_path, "--size", 64)
    assert (code, err.count("complete already")) == (0, len(names))
    assert contents(tmp_path) == before


def test_what_is_there_stays_until_photo_or_options_change(run, tmp_path):
    photo, folder = tmp_path / "a.png", tmp_path / "out/a"
    shutil.copy(CHAIR, photo)
    command = ["preprocess", photo, "--out", tmp_path / "out", "--size", 32]
    assert run(*command)[0] == 0
    (folder / "notes.txt").write_text("mine")
    (folder / "rgba.png").write_bytes((folder / "cutout.png").read_bytes())  # touched up by hand
    assert "complete already" in run(*command)[2]
    assert read_image(folder / "rgba.png").shape != (32, 32, 4)
    for change in (["--force"], ["--frame-fraction", 0.5], ["--framing", "width"], ["--size", 48]):
        code, _, err = run(*command, *change)
        assert (code, "complete already" in err) == (0, False), err
    assert read_image(folder / "rgba.png").shape == (48, 48, 4)
    (folder / "rgb.png").write_bytes(b"")
    assert "complete already" not in run(*command, "--size", 48)[2], "a picture was damaged"
    shutil.copy(PHOTOS / "cup.png", photo)
    assert "complete already" not in run(*command, "--size", 48)[2], "another photo of that name"
    assert (folder / "notes.txt").read_text() == "mine"
    assert set(contents(folder)) == {*FILES, "notes.txt"}


def test_one_broken_file_among_many(run, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "c.png"):
        shutil.copy(CHAIR, tmp_path / "in" / name)
    (tmp_path / "in/b.png").write_bytes(CHAIR.read_bytes()[:3000])
    command = ["preprocess", tmp_path / "in", "--out", tmp_path / "out", "--size", 32]
    code, _, err = run(*command)
    assert code == 1
    lines = err.splitlines()
    assert sum("error:" in line for line in lines) == 2
    assert f"error: {tmp_path}/in/b.png: cannot be read" in err
    assert lines[-1] == f"error: 1 of 3 photos failed; the others are in {tmp_path}/out"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "c"}
    code, _, err = run(*command)
    assert (code, err.count("complete already")) == (1, 2)
    result = run("preprocess", tmp_path / "in/b.png", "--out", tmp_path / "out")
    refused(result, "b.png: cannot be read")


PEAK = """
import atexit, re
from pathlib import Path
from viewfusion.cli import main

status = Path("/proc/self/status")
atexit.register(lambda: print("peak", re.search(r"VmHWM:\\s*(\\d+) kB", status.read_text())[1]))
main()
"""


def test_a_photo_of_48_megapixels_in_little_memory(tmp_path):
    """As RGBA it takes 192 MB; of its cut-out and a frame of 2048 pixels, as floats, 2 GB at once."""
    photo = Image.new("RGB", (8000, 6000), (232, 230, 226))
    ImageDraw.Draw(photo).ellipse((100, 200, 7899, 5799), fill=(150, 60, 40))
    photo.save(tmp_path / "big.jpg", quality=85)
    command = [sys.executable, "-c", PEAK, "preprocess", "big.jpg", "--out", "out", "--size", "2048"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300
    )
    assert child.returncode == 0, child.stderr
    told = record(tmp_path / "out/big")
    assert told["object_box"] == pytest.approx([100, 200, 7900, 5800], abs=8)
    assert read_image(tmp_path / "out/big/rgba.png").shape == (2048, 2048, 4)
    peak = int(child.stdout.split()[-1]) * 1024
    assert 4 * 8000 * 6000 < peak < 0.9e9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "8"], "--size must be 16 to 2048 pixels, got 8"),
        (["--frame-fraction", "1.5"], "--frame-fraction must be more than 0 and at most 1, got 1.5"),
        (["--frame-fraction", "nan"], "got nan"),
        (["--framing", "widht"], "did you mean 'width'?"),
        (["--segmenter", "grubcut"], "did you mean 'grabcut'?"),
        (["--point", "3"], "--point must be X,Y in pixels of the photo, got '3'"),
        (["--point", "3,inf"], "--point must be X,Y"),
        (["--box", "1,2,3"], "--box must be LEFT,TOP,RIGHT,BOTTOM"),
        (["--box", "9,2,3,4"], "left and top first, got '9,2,3,4'"),
        (["--mask", "absent.png"], "absent.png: no such file"),
        (["--point", "3,3", str(BOTTLE)], "--mask, --point and --box are about one photo, got 2"),
        (["views=3"], "preprocess takes no settings, got 'views=3'"),
        (["https://example.org/a.png"], "addresses are not read"),
    ],
)
def test_options_that_make_no_sense(run, tmp_path, arguments, words):
    refused(run("preprocess", CHAIR, "--out", tmp_path / "out", *arguments), words)
    assert not (tmp_path / "out").exists()


def test_a_mask_is_followed_and_recorded_by_what_it_holds(run, tmp_path):
    mask = np.zeros((320, 320), np.uint8)
    mask[100:300, 120:200] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    command = ["preprocess", BOTTLE, "--out", tmp_path / "out", "--mask", tmp_path / "mask.png", "--size", 32]
    assert run(*command)[0] == 0
    told = record(tmp_path / "out/bottle_on_white")
    assert (told["method"], told["confidence"]) == ("mask", 1)
    assert told["object_box"] == [120, 100, 200, 300]
    digest = hashlib.sha256((tmp_path / "mask.png").read_bytes()).hexdigest()
    assert told["made_of"]["options"]["mask"] == {"file": "mask.png", "sha256": digest}
    assert "complete already" in run(*command)[2]
    mask[90:100, 120:200] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert "complete already" not in run(*command)[2]
    assert record(tmp_path / "out/bottle_on_white")["object_box"] == [120, 90, 200, 300]


def test_a_network_of_ones_own_is_recorded_by_what_it_holds(run, tmp_path):
    network = tmp_path / "u2netp-mine.onnx"
    network.write_bytes(MODEL)
    command = ["preprocess", BOTTLE, "--out", tmp_path / "out", "--segmenter", network, "--size", 32]
    code, _, err = run(*command)
    assert code == 0, err
    told = record(tmp_path / "out/bottle_on_white")["made_of"]["options"]["segmenter"]
    assert told == {"file": "u2netp-mine.onnx", "sha256": hashlib.sha256(MODEL).hexdigest()}
    assert "complete already" in run(*command)[2]
    network.write_bytes(model(field(2, "another producer")))
    assert "complete already" not in run(*command)[2]
    network.unlink()
    refused(run(*command), "u2netp-mine.onnx: no such file; check the path")


def test_points_and_boxes_are_those_of_the_upright_photo(run, tmp_path):
    """Two boxes on white in a photo that lies on its side; the right one, upright, is asked for."""
    upright = np.full((120, 200, 3), 255, np.uint8)
    upright[30:90, 20:80] = (200, 40, 40)
    upright[40:100, 120:180] = (40, 40, 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.png", exif=exif)
    for hint in (["--point", "150,70"], ["--box", "110,30,190.5,110"]):
        out = tmp_path / hint[0]
        code, _, err = run("preprocess", tmp_path / "a.png", "--out", out, *hint, "--segmenter", "plain")
        assert code == 0, err
        told = record(out / "a")
        assert told["object_box"] == [120, 40, 180, 100]
        assert told["made_of"]["options"][hint[0][2:]] == [float(part) for part in hint[1].split(",")]
    result = run("preprocess", tmp_path / "a.png", "--out", tmp_path / "out", "--point", "150,170")
    refused(result, "a.png: the point 150,170 is not in the photo; the upright photo has 200 x 120 pixels")


def test_a_dry_run_shows_the_models_input_and_a_run_goes_on_from_it(run, tmp_path):
    command = ["generate-360", BOTTLE, "--views", 2, "--out", tmp_path, "--frame-fraction", 0.6, *QUICK]
    code, _, err = run(*command, "--dry-run")
    assert code == 0, err
    folder = tmp_path / "bottle_on_white"
    assert set(contents(folder)) == FILES
    framed = read_image(folder / "rgba.png")
    assert framed.shape == (64, 64, 4), "zero123-nano's"
    shown, told = (folder / "preview.png").read_bytes(), record(folder)
    code, _, err = run(*command)
    assert code == 0, err
    assert np.array_equal(read_image(folder / "input.png"), framed)
    assert (folder / "preview.png").read_bytes() == shown
    manifest = json.loads((folder / "manifest.json").read_text())
    assert "preview.png" in manifest["files"]
    options = {key: value for key, value in told["made_of"]["options"].items() if key != "size"}
    assert manifest["input"]["options"] == options
    assert {key: manifest["input"][key] for key in ("method", "confidence", "warnings")} == {
        key: told[key] for key in ("method", "confidence", "warnings")
    }
    assert "complete already" in run(*command, "--dry-run")[2]
    before = contents(folder)
    refused(run("preprocess", BOTTLE, "--out", tmp_path, "--size", 32), folder, "holds a run")
    assert contents(folder) == before


def test_a_single_views_dry_run(run, tmp_path):
    command = ["generate-view", CHAIR, "--azimuth-deg", 10, "--out", tmp_path, *QUICK, "--dry-run"]
    assert run(*command)[0] == 0
    assert set(contents(tmp_path / "chair")) == FILES


PICTURE = np.full((16, 16, 4), 200, np.uint8)
ALL = dict.fromkeys(PICTURES, PICTURE)


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "rgb.png").write_text("mine")
    with pytest.raises(ViewFusionError, match=r"rgb\.png is there already and somebody else's"):
        write_preprocessed(tmp_path, {"photo": 1}, {}, ALL)
    assert (tmp_path / "rgb.png").read_text() == "mine"
    (tmp_path / "rgb.png").unlink()
    for theirs in ("[1]", '{"schema": 1}', '{"made_of": {"photo": 1}}'):
        (tmp_path / "preprocess.json").write_text(theirs)
        with pytest.raises(ViewFusionError, match=r"preprocess\.json is there already"):
            write_preprocessed(tmp_path, {"photo": 1}, {}, ALL)
        assert (tmp_path / "preprocess.json").read_text() == theirs
    (tmp_path / "preprocess.json").unlink()
    (tmp_path / "cutout.png").symlink_to("absent.png")
    with pytest.raises(ViewFusionError, match=r"cutout\.png is there already"):
        write_preprocessed(tmp_path, {"photo": 1}, {}, ALL)
    assert (tmp_path / "cutout.png").readlink() == Path("absent.png")
    (tmp_path / "cutout.png").unlink()
    for name in (".download.partial", ".film.partial.mp4"):
        (tmp_path / name).write_text("theirs")
    (tmp_path / ".rgba.0123abcd.partial.png").write_text("left by a call that was killed")
    write_preprocessed(tmp_path, {"photo": 1}, {}, ALL)
    assert set(contents(tmp_path)) == {*FILES, ".download.partial", ".film.partial.mp4"}
    (tmp_path / "file").touch()
    with pytest.raises(ViewFusionError, match="is a file, not a folder"):
        write_preprocessed(tmp_path / "file", {"photo": 1}, {}, ALL)


def test_killed_on_the_way_it_is_made_again(tmp_path):
    class Killed(BaseException):
        pass

    class Half(dict):
        def items(self):
            yield "rgba.png", PICTURE
            raise Killed

    folder = tmp_path / "a"
    with pytest.raises(Killed):
        write_preprocessed(folder, {"photo": 1}, {}, Half())
    assert not is_preprocessed(folder, {"photo": 1})
    write_preprocessed(folder, {"photo": 1}, {"method": "alpha"}, ALL)
    assert is_preprocessed(folder, {"photo": 1})
    assert not is_preprocessed(folder, {"photo": 2})
    assert set(contents(folder)) == FILES
    (folder / "rgba.png").unlink()
    assert not is_preprocessed(folder, {"photo": 1})
