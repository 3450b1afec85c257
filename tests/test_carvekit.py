"""CarveKit as a segmenter: does its real code cut out with real weights, and leave everything else alone?

CarveKit and its torchvision lie in a folder of their own (see the Makefile), as a torchvision beside a CPU
torch breaks what looks for it. So they are imported in processes of their own, where two operators
that such a torchvision lacks are declared first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing.segmenters import Hints, carvekit

ROOT = Path(__file__).parents[1]
EXTRA = Path(sys.prefix) / "carvekit"
"""Where ``make`` installs CarveKit."""

OPERATORS = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
CUT_OUT = """
import hashlib, json, random, runpy, sys, warnings
from pathlib import Path
import numpy as np
from viewfusion.errors import ViewFusionError
from viewfusion.preprocessing import over_white, read_image
from viewfusion.preprocessing.segmenters import Hints, carvekit, onnx
from viewfusion.preprocessing.segmenters.weights import cached_weights

def state():
    numbers = hashlib.sha256(repr(random.getstate()).encode() + torch.get_rng_state().numpy().tobytes())
    flags = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    return numbers.hexdigest(), repr(warnings.filters), flags

def refusal(*arguments):
    try:
        carvekit.segment(*arguments)
    except ViewFusionError as error:
        return str(error)

own, photo = map(Path, sys.argv[1:])
rgb, told = over_white(read_image(photo)), {}
told["available before"] = carvekit.available()
told["nothing"] = refusal(rgb, Hints())

random.seed(1), torch.manual_seed(1)
before = state()
with carvekit._undisturbed():  # as in the segmenter, whose import is the first one otherwise
    sys.argv = ["graft_carvekit.py", "--out", str(own)]
    runpy.run_path("tools/graft_carvekit.py", run_name="__main__")
weights = own / "u2net.pth"
published = hashlib.sha256(weights.read_bytes()).hexdigest()
found = carvekit.segmenter(own)(rgb, Hints())
told["state kept"] = state() == before
told["file kept"] = hashlib.sha256(weights.read_bytes()).hexdigest() == published

theirs = onnx.segmenter("u2net")(rgb, Hints())
told["method"], told["confidences"] = found.method, [found.confidence, theirs.confidence]
told["mean difference"] = float(np.abs(found.alpha.astype(float) - theirs.alpha).mean())
told["most"] = int(np.abs(found.alpha.astype(int) - theirs.alpha).max())
told["covered"] = float((found.alpha >= 128).mean())

place = cached_weights("carvekit-u2net")
place.parent.mkdir(parents=True, exist_ok=True)
place.symlink_to(weights)
told["available after"] = carvekit.available()
told["another hash"], told["still there"] = refusal(rgb, Hints()), weights.exists() and place.exists()

told["small"] = refusal(rgb[:40, :32], Hints(), own)
wrong = own / "wrong"
wrong.mkdir()
torch.save({"stage1.rebnconvin.conv_s1.weight": torch.zeros(2)}, wrong / "u2net.pth")
told["wrong shape"] = refusal(rgb, Hints(), wrong)
torch.save({"something": torch.zeros(2)}, wrong / "u2net.pth")
told["wrong names"] = refusal(rgb, Hints(), wrong)
(wrong / "u2net.pth").write_bytes(b"no weights")
told["no weights"] = refusal(rgb, Hints(), wrong)

class Hostile:
    def __reduce__(self):
        return Path.touch, (own / "ran",)

torch.save({"a": Hostile()}, wrong / "u2net.pth")
told["hostile"], told["ran"] = refusal(rgb, Hints(), wrong), (own / "ran").exists()
print("told:", json.dumps(told))
"""


def process(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    assert (EXTRA / "carvekit").is_dir(), f"no CarveKit in {EXTRA}; run make install"
    path = os.pathsep.join([str(EXTRA), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


@pytest.fixture(scope="module")
def cut(tmp_path_factory) -> dict:
    """What happened when CarveKit cut out a bottle, with U-2-Net's weights grafted in.

    Its cache is empty and nothing can be fetched: any look at the network would fail, at an address of this
    machine where nobody listens.
    """
    home = tmp_path_factory.mktemp("home")
    cache = home / "xdg/viewfusion/segmenters"
    cache.mkdir(parents=True)
    from viewfusion.preprocessing.segmenters.weights import find_weights

    (cache / "u2net.onnx").symlink_to(find_weights("u2net"))
    photo = ROOT / "data/real_images/bottle_on_white.jpg"
    nobody = "http://127.0.0.1:9"
    ended = process(
        OPERATORS + CUT_OUT,
        home / "own",
        photo,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "xdg"),
        http_proxy=nobody,
        https_proxy=nobody,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.rpartition("told: ")[2])
    left = sorted(file for file in (home / ".cache").rglob("*") if not file.is_dir())
    return {**told, "home": home, "left": left}


@pytest.mark.weights
def test_real_carvekit_with_real_weights_finds_what_u2net_finds(cut):
    """Two programs and two runtimes, the same weights: the ONNX file's and CarveKit's network agree."""
    assert cut["method"] == "carvekit"
    assert 0.1 < cut["covered"] < 0.3
    assert cut["mean difference"] < 0.1
    assert cut["most"] < 40  # CarveKit rounds to 8 bits and resizes with another filter
    assert cut["confidences"][0] == pytest.approx(cut["confidences"][1], abs=0.01)


@pytest.mark.weights
def test_nothing_is_fetched_removed_or_seeded(cut):
    assert cut["state kept"]
    assert cut["file kept"]
    assert cut["still there"]
    assert cut["left"] == []  # CarveKit's downloader would write here


@pytest.mark.weights
def test_published_weights_are_known_by_their_hash(cut):
    assert not cut["available before"]
    assert "run `viewfusion segmenters fetch carvekit-tracer carvekit-fba`" in cut["nothing"]
    assert cut["available after"]
    assert "is not the published carvekit-u2net (another hash), and was left as it is" in cut["another hash"]


@pytest.mark.weights
def test_files_that_are_no_such_weights_are_one_line(cut):
    path = cut["home"] / "own/wrong/u2net.pth"
    for kind in ("wrong shape", "wrong names", "no weights", "hostile"):
        assert cut[kind].startswith(f"{path}: these are not weights of carvekit-u2net ("), kind
        assert "\n" not in cut[kind]
    assert not cut["ran"]
    assert cut["small"] == "carvekit wants 33 pixels a side, got 32 x 40; give a larger photo"


@pytest.mark.weights
def test_a_torchvision_of_another_torch_is_one_line(tmp_path):
    """As it is here without the two declarations."""
    (tmp_path / "u2net.pth").write_bytes(b"not looked at")
    code = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from viewfusion.errors import ViewFusionError\n"
        "from viewfusion.preprocessing.segmenters import Hints, carvekit\n"
        "try:\n    carvekit.segment(np.zeros((64, 64, 3), np.uint8), Hints(), Path(sys.argv[1]))\n"
        "except ViewFusionError as error:\n    print(error)\n"
    )
    ended = process(code, tmp_path, HOME=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("carvekit: cannot be imported (operator torchvision::nms does not exist)")
    assert ended.stdout.count("\n") == 1


def test_what_is_missing_is_named_with_the_command(tmp_path):
    """Here, where CarveKit lies apart."""
    with pytest.raises(ViewFusionError) as refused:
        carvekit.segment(np.zeros((64, 64, 3), np.uint8), Hints(), tmp_path)
    assert str(refused.value) == (
        "carvekit: carvekit, torchvision are not installed; run `pip install --no-deps carvekit "
        "opencv-python-headless requests tqdm 'torchvision==0.28.*'`"
    )
    assert not carvekit.available()


@pytest.mark.parametrize(
    ("torch_version", "fitting"),
    [("2.13.0+cpu", "'torchvision==0.28.*'"), ("2.4.1", "'torchvision==0.19.*'"), ("3.0.0", "torchvision")],
)
def test_the_command_names_the_torchvision_that_fits(monkeypatch, torch_version, fitting):
    monkeypatch.setattr(carvekit.metadata, "version", lambda name: torch_version)
    assert carvekit.install_command().endswith(f"tqdm {fitting}")


@pytest.mark.parametrize(
    ("gpu", "remedy"),
    [
        (False, "use another segmenter"),
        (True, "use another segmenter, or set CUDA_VISIBLE_DEVICES to another GPU, or to -1 for the CPU"),
    ],
)
def test_a_gpu_without_room_is_one_line(tmp_path, monkeypatch, gpu, remedy):
    """As torch says it while the networks move to a GPU, and while they look."""

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 MiB.")

    (tmp_path / "u2net.pth").write_bytes(b"not looked at")
    monkeypatch.setattr(carvekit, "_missing", list)
    monkeypatch.setattr(carvekit, "_parts", lambda: {"carvekit-u2net": full})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    said = f"(CUDA out of memory. Tried to allocate 20.00 MiB.); {remedy}"
    with pytest.raises(ViewFusionError) as refused:
        carvekit.segment(np.zeros((64, 64, 3), np.uint8), Hints(), tmp_path)
    assert str(refused.value) == f"carvekit cannot be set up {said}"
    with pytest.raises(ViewFusionError) as refused:
        carvekit._look(full, np.zeros((64, 64, 3), np.uint8))
    assert str(refused.value) == f"carvekit fails on this photo {said}"


def test_gpus_that_nobody_has_used_yet_keep_their_numbers_too(monkeypatch):
    """By torch's own functions for a GPU's state, which two tensors stand in for here."""
    states = {0: torch.tensor([1]), 1: torch.tensor([2])}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device].clone())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: states.update({device: state}))
    assert not torch.cuda.is_initialized()
    with carvekit._undisturbed():
        states.update({0: torch.tensor([42]), 1: torch.tensor([42])})
    assert [int(state) for state in states.values()] == [1, 2]


def test_a_folder_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setattr(carvekit, "_missing", list)
    (tmp_path / "fba_matting.pth").write_bytes(b"matting alone is not enough")
    with pytest.raises(ViewFusionError, match=r"put tracer_b7\.pth or u2net\.pth into"):
        carvekit.segment(np.zeros((64, 64, 3), np.uint8), Hints(), tmp_path)


def test_which_files_are_taken(tmp_path):
    for name in ("u2net.pth", "fba_matting.pth"):
        (tmp_path / name).write_bytes(b"-")
    assert list(carvekit._files(tmp_path)) == ["carvekit-u2net", "carvekit-fba"]
    (tmp_path / "tracer_b7.pth").write_bytes(b"-")
    assert list(carvekit._files(tmp_path)) == ["carvekit-tracer", "carvekit-fba"]
