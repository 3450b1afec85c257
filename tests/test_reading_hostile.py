"""Datasets from anybody: is what is malicious, endless or elsewhere refused in one line, harming nothing?"""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_reading import extrinsics, numbered, numpy_syncdreamer, rendered, strip

from viewfusion.datasets import Picture, open_dataset, read_rgba
from viewfusion.datasets.reading.checking import look
from viewfusion.errors import ViewFusionError


class Runs:
    """Pickled, it asks to run something."""

    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def only_problem(folder: Path) -> str:
    dataset = open_dataset(folder)
    assert dataset.objects == ()
    (problem,) = dataset.problems
    assert "\n" not in problem.what
    assert len(problem.what) < 500
    return problem.what


def with_meta(folder: Path, content: bytes) -> str:
    numpy_syncdreamer(folder / "a", side=8)
    (folder / "a/meta.pkl").write_bytes(content)
    return only_problem(folder)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch CANARY",), "posix.system"),
        (eval, ("open('CANARY', 'w')",), "eval"),
        (np.load, ("CANARY",), "numpy.load"),
        (getattr, (np, "load"), "getattr"),
    ],
)
def test_a_pickle_that_runs_something_is_refused(tmp_path, monkeypatch, protocol, function, arguments, named):
    monkeypatch.chdir(tmp_path)
    safe = pickle.loads(_meta(tmp_path))
    evil = (
        *safe[:4],
        Runs(function, *arguments) if function is not getattr else Runs(os.system, "touch CANARY"),
    )
    found = with_meta(tmp_path / "data", pickle.dumps(evil, protocol=protocol))
    assert "meta.pkl: refused: asks to run `" in found
    assert function is getattr or named in found
    assert not (tmp_path / "CANARY").exists()


def _meta(folder: Path) -> bytes:
    numpy_syncdreamer(folder / "good/a", side=8)
    return (folder / "good/a/meta.pkl").read_bytes()


def repeated(levels: int, width: int) -> bytes:
    """A list of the same list of ...: a few bytes that are width ** levels values."""
    out = b"\x80\x02]q\x00K\x01a"
    for level in range(1, levels):
        out += b"]q" + bytes([level]) + b"(" + (b"h" + bytes([level - 1])) * width + b"e"
    return out


HOSTILE = {
    "repeats itself": (repeated(12, 60) + b".", "repeats itself"),
    "array of that": (
        repeated(12, 60) + b"cnumpy\narray\nh\x0bX\x03\x00\x00\x00<f4\x86R.",
        "repeats itself",
    ),
    "holds itself": (b"\x80\x02]q\x00h\x00a.", "nests values"),
    "nests": (b"\x80\x02" + b"(" * 5000 + b".", "nests values more than 32 deep"),
    "many instructions": (b"\x80\x02" + b"K\x01" * 200_000 + b".", "more than 100000 instructions"),
    "many copies": (
        b"\x80\x02X"
        + struct.pack("<I", 900_000)
        + b"a" * 900_000
        + b"q\x00"
        + b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R" * 2000
        + b".",
        "repeats itself",
    ),
    "far memo": (b"\x80\x02]r\xff\xff\xff\x7f.", "wanted K, azimuths"),
    "claims gigabytes": (b"\x80\x04\x8e\x00\x00\x00\x00\x10\x00\x00\x00abc.", "no pickle of arrays"),
    "no pickle": (b"<html>not found</html>", "no pickle of arrays"),
    "empty": (b"", "no pickle of arrays"),
    "attributes": (b"\x80\x02]K\x01b.", "sets attributes of what is no array"),
    "persistent": (b"\x80\x02K\x01Q.", "uses the instruction BINPERSID"),
    "extension": (b"\x80\x02\x82\x01.", "uses the instruction EXT1"),
    "an object": (b"\x80\x02cnumpy\nndarray\n)\x81.", "uses the instruction NEWOBJ"),
    "of objects": (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R.", "which are no numbers"),
    "a name alone": (b"\x80\x02cnumpy\ndtype\n.", "a function or type where a value belongs"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_pickles_that_are_no_arrays_or_far_too_many(tmp_path, kind):
    content, words = HOSTILE[kind]
    assert words in with_meta(tmp_path, content)


def test_bytes_that_do_not_fill_their_array(tmp_path):
    content = pickle.dumps((np.zeros((3, 3), np.float32),) * 5, protocol=4)
    found = with_meta(tmp_path, content.replace(b"K\x03K\x03\x86", b"K\x7fK\x7f\x86"))
    assert "refused: has an array of another size than its bytes" in found


def test_a_pickle_too_large_is_not_read(tmp_path):
    numpy_syncdreamer(tmp_path / "a", side=8)
    with (tmp_path / "a/meta.pkl").open("wb") as file:
        file.truncate(2**40)  # sparse
    assert "larger than 4,194,304 bytes" in only_problem(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.png", "{root}/secret.png", "images/link.png", "images/out/secret.png"]
)
def test_no_path_leaves_the_folder(tmp_path, name):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    rendered("nerfstudio")(tmp_path / "data/a")
    (tmp_path / "data/a/images/link.png").symlink_to(secret)
    (tmp_path / "data/a/images/out").symlink_to(tmp_path)
    path = tmp_path / "data/a/transforms.json"
    content = json.loads(path.read_text())
    content["frames"][1]["file_path"] = name.format(root=tmp_path).replace("../", "../../")
    path.write_text(json.dumps(content))
    found = only_problem(tmp_path / "data")
    assert f"{path}: frame 1:" in found
    assert "leads out of the object's folder" in found


@pytest.mark.parametrize("name", ["images/009.png", "images", "", 7, None, "a\0b", "x" * 5000, "\ud800"])
def test_names_that_are_no_picture(tmp_path, name):
    rendered("nerfstudio")(tmp_path / "a")
    path = tmp_path / "a/transforms.json"
    content = json.loads(path.read_text())
    content["frames"][1]["file_path"] = name
    path.write_text(json.dumps(content))
    assert f"{path}: frame 1:" in only_problem(tmp_path)


def test_links_out_of_a_dataset_are_refused(tmp_path):
    numbered(tmp_path / "elsewhere/secret")
    numbered(tmp_path / "data/a")
    (tmp_path / "data/b").symlink_to(tmp_path / "elsewhere/secret")
    numbered(tmp_path / "data/c")
    (tmp_path / "data/c/001.png").unlink()
    (tmp_path / "data/c/001.png").symlink_to(tmp_path / "elsewhere/secret/001.png")
    numbered(tmp_path / "data/d")
    (tmp_path / "data/d/003.png").symlink_to("003.png")  # a circle
    dataset = open_dataset(tmp_path / "data")
    assert [each.name for each in dataset.objects] == ["a"]
    b, c, d = (problem.what for problem in dataset.problems)
    assert b == f"{tmp_path}/data/b: a link out of the dataset; copy the folder into it"
    assert c.startswith(f"{tmp_path}/data/c/001.png: leads out of the object's folder")
    assert d.startswith(f"{tmp_path}/data/d/003.png: ")


@pytest.mark.parametrize("layout", ["eschernet", "omniobject3d"])
def test_linked_folders_of_an_object_are_not_followed_out(tmp_path, layout):
    extrinsics(tmp_path / "elsewhere/model")
    rendered("nerfstudio")(tmp_path / "elsewhere2")
    (tmp_path / "data/a").mkdir(parents=True)
    if layout == "eschernet":
        (tmp_path / "data/a/render_mvs_25").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "data/a/render").symlink_to(tmp_path / "elsewhere2")
    with pytest.raises(ViewFusionError, match="no object of"):
        open_dataset(tmp_path / "data")


def test_a_pipe_is_not_waited_for(tmp_path):
    rendered("viewfusion")(tmp_path / "a")
    (tmp_path / "a/angles.json").unlink()
    os.mkfifo(tmp_path / "a/angles.json")
    assert "is missing or no regular file" in only_problem(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'[{"a":' * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "angles.json"),
        (b"[1e999]", "angles.json"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (json.dumps([[0, 1, 1]] * 10_001).encode(), "wanted a list of 1 to 10000 poses, got a list of 10001"),
        (json.dumps([[10**400, 1, 1]] * 3).encode(), "entry 2: wanted a finite number"),
    ],
)
def test_json_that_is_a_bomb_or_none(tmp_path, content, words):
    rendered("viewfusion")(tmp_path / "a")
    (tmp_path / "a/angles.json").write_bytes(content)
    dataset = open_dataset(tmp_path)
    assert dataset.objects == ()
    assert words in dataset.problems[-1].what


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


GOOD = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }"
ARRAYS = {
    "objects": (
        npy(GOOD.replace("<f8", "|O"), pickle.dumps(Runs(os.system, "touch CANARY"))),
        "wanted 3 x 4 floats",
    ),
    "integers": (npy(GOOD.replace("<f8", "<i8"), bytes(96)), "wanted 3 x 4 floats, got int64"),
    "shape": (npy(GOOD.replace("(3, 4)", "(4, 3)"), bytes(96)), "wanted 3 x 4 floats, got float64 [4, 3]"),
    "huge": (npy(GOOD.replace("(3, 4)", "(10**9, 10**9)"), bytes(96)), "no array of numpy's"),
    "large": (npy(GOOD.replace("(3, 4)", "(999999999, 9)"), bytes(96)), "wanted 3 x 4 floats"),
    "short": (npy(GOOD, bytes(95)), "cut short"),
    "long": (npy(GOOD, bytes(97)), "too long"),
    "header": (npy("os.system('touch CANARY')"), "no array of numpy's"),
    "nested": (npy("(" * 100), "no array of numpy's"),
    "version": (npy(GOOD, bytes(96), b"\x03\x00"), "version (3, 0)"),
    "text": (b"<html>", "no array of numpy's"),
    "empty": (b"", "no array of numpy's"),
    "zeros": (npy(GOOD, bytes(96)), "no rotation"),
    "zip": (b"PK\x03\x04" + bytes(100), "no array of numpy's"),
    "bytes": (bytes(5000), "larger than 4,096 bytes"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_no_camera(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    extrinsics(tmp_path / "data/a")
    content, words = ARRAYS[kind]
    (tmp_path / "data/a/001.npy").write_bytes(content)
    assert words in only_problem(tmp_path / "data")
    assert not (tmp_path / "CANARY").exists()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to nothing in it."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0")), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    numbered(tmp_path / "a")
    (tmp_path / "a/001.png").write_bytes(png_bomb(60_000, 60_000))
    for decode in (True, False):
        (seen,) = look(open_dataset(tmp_path), decode)
        assert seen.problems[0].what.startswith(f"{tmp_path}/a/001.png")
    assert "too large" in next(look(open_dataset(tmp_path))).problems[0].what
    strip(tmp_path / "strip/b")
    (tmp_path / "strip/b/0.png").write_bytes(png_bomb(16 * 5000, 5000))
    dataset = open_dataset(tmp_path / "strip")
    for picture in dataset.objects[0].pictures:
        with pytest.raises(ViewFusionError, match="too large"):
            read_rgba(picture)


def test_a_box_outside_its_picture_is_refused(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    assert read_rgba(Picture(tmp_path / "a.png", None, (10, 0, 20, 10))).shape == (10, 10, 4)
    with pytest.raises(ViewFusionError, match="wanted at least 30 x 10 pixels, got 20 x 10"):
        read_rgba(Picture(tmp_path / "a.png", None, (20, 0, 30, 10)))


def test_names_from_the_far_side_of_a_folder_stay_one_line(tmp_path):
    numbered(tmp_path / "good")
    for name in ("a\nb", "\x1b[31m", os.fsdecode(b"\xff")):
        (tmp_path / name).mkdir()
    for problem in open_dataset(tmp_path).problems:
        assert problem.what.isprintable()


CHILD = """
import resource, sys
from pathlib import Path
from viewfusion.datasets import open_dataset
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for folder in sorted(Path(sys.argv[1]).iterdir()):
    assert len(open_dataset(folder).problems) == 1, folder
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_bombs_take_little_memory(tmp_path):
    for place, (content, _) in enumerate(HOSTILE.values()):
        numpy_syncdreamer(tmp_path / f"{place:02d}/a", side=8)
        (tmp_path / f"{place:02d}/a/meta.pkl").write_bytes(content)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert int(child.stdout) < 100_000, "kilobytes"
