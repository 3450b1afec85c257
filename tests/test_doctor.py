"""``doctor``: does it see what is here, and does it survive what is broken?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from viewfusion.cli import doctor

ROOT = Path(__file__).parents[1]


def broken(folder: Path, module: str) -> Path:
    """A folder that shadows ``module`` by one that cannot be imported."""
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms is gone')")
    return folder


def test_a_broken_optional_package_is_named_and_the_main_job_is_ready(run, tmp_path, monkeypatch):
    path = [str(broken(tmp_path, "pytorch_lightning")), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["ready"] is True
    found = {f["name"]: f for section in report["sections"].values() for f in section}
    assert found["train"]["good"] is False
    assert "is broken (RuntimeError: operator torchvision::nms is gone)" in found["train"]["text"]
    assert found["train"]["remedy"].startswith("pip install 'pytorch-lightning")
    assert found["zero123-nano"]["good"] is True
    assert "one prediction" in found["model"]["text"]
    assert {found[name]["good"] for name in ("torch", "diffusers", "ffmpeg", "cpu", "disk")} == {True}


def test_a_broken_torch_ends_in_a_report_too(tmp_path):
    path = [str(broken(tmp_path, "torch")), str(broken(tmp_path, "pytorch_lightning")), str(ROOT)]
    ended = subprocess.run(
        [sys.executable, "-m", "viewfusion", "doctor"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert any(
        line.startswith("  FAIL  self-test: RuntimeError: operator torchvision::nms") for line in lines
    )
    assert lines[-1] == "not ready: mend what says FAIL"


def test_versions_are_held_against_the_requirements():
    here = doctor._version(Requirement("numpy>=1"))
    assert here.good
    assert here.text.endswith("(>=1)")
    old = doctor._version(Requirement("numpy>=999"))
    assert (old.good, old.needed, old.remedy) == (False, True, "pip install 'numpy>=999'")
    absent = doctor._version(Requirement("no-such-package>=1"))
    assert (absent.good, absent.needed, absent.text) == (False, True, "not installed")


def test_a_checkout_that_is_not_installed_is_no_error(monkeypatch):
    def unknown(name):
        raise doctor.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "requires", unknown)
    monkeypatch.setattr(doctor.metadata, "metadata", unknown)
    assert doctor._requirements() == []
    (extras,) = doctor._extras()
    assert (extras.good, extras.needed, extras.remedy) == (False, False, "pip install -e .")


def test_the_light_way_to_remove_backgrounds_is_proposed_first(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("U2NET_HOME", raising=False)
    (found,) = doctor._background_removal()
    assert (found.good, found.needed) == (False, False)
    assert found.text == "GrabCut, and a rule for plain light grounds; no network is here"
    assert found.remedy == "pip install 'viewfusion[segmentation]' && viewfusion segmenters fetch u2netp"
    monkeypatch.setattr("viewfusion.preprocessing.segmenters.onnx.available", lambda name: name == "u2netp")
    (found,) = doctor._background_removal()
    assert (found.good, found.text.partition(";")[0], found.remedy) == (True, "u2netp", "")
    names = list(doctor.EXTRAS)
    assert names.index("segmentation") < names.index("carvekit")


def test_carvekits_remedy_is_all_it_needs():
    remedy = doctor._remedy("carvekit", [Requirement("carvekit>=4.1.2")])
    for package in ("--no-deps", "carvekit", "opencv-python-headless", "torchvision", "requests", "tqdm"):
        assert package in remedy
    assert doctor._remedy("ldm", [Requirement("einops>=0.6")]) == "pip install --no-deps 'einops>=0.6'"


def test_every_extra_says_what_it_gives():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) <= set(doctor.EXTRAS)
