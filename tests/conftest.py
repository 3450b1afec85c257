"""Shared by the test modules: the recorded tiny Zero123, unpacked and loaded once a session."""

from __future__ import annotations

import lzma
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from viewfusion.cli import main
from viewfusion.zero123 import Zero123, load_zero123

ASSETS = Path(__file__).parent / "assets"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow ones first: the last one alone would keep one core waiting.

    Then the wheel's: the last tests are dealt out by ones and twos, and each process would build a wheel.
    """
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, item.path.name != "test_wheel.py"))


@pytest.fixture(autouse=True)
def _nothing_fetched(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No weights of this machine's cache but for tests marked so: what `auto` takes depends on them."""
    if request.node.get_closest_marker("weights") is None:
        for name in ("XDG_CACHE_HOME", "U2NET_HOME"):
            monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / "nothing-fetched"))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(.ckpt, .yaml) of the tiny random Zero123 in the released files' layout."""
    path = tmp_path_factory.mktemp("tiny") / "tiny_zero123.ckpt"
    with lzma.open(ASSETS / "tiny_zero123.ckpt.xz") as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 2**20)
    return path, ASSETS / "tiny_zero123.yaml"


@pytest.fixture(scope="session")
def small_checkpoint(
    tiny_checkpoint: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The same weights with a YAML for pictures of 64 pixels instead of 256, made many times as fast."""
    content = yaml.safe_load(tiny_checkpoint[1].read_text())
    content["model"]["params"]["image_size"] = 8
    path = tmp_path_factory.mktemp("small") / "small_zero123.yaml"
    path.write_text(yaml.safe_dump(content))
    return tiny_checkpoint[0], path


@pytest.fixture(scope="session")
def tiny_zero123(tiny_checkpoint: tuple[Path, Path]) -> Zero123:
    """The tiny model with its EMA weights, float32, on the CPU. Frozen: do not change it in a test."""
    return load_zero123(*tiny_checkpoint, family="zero123")


@pytest.fixture(scope="session")
def assets() -> Path:
    """Recorded arrays and files small enough to live in the project."""
    return ASSETS


@pytest.fixture(scope="session")
def scheduler_config() -> dict:
    """Zero123's noise schedule, as :attr:`Zero123.scheduler_config` gives it."""
    return {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "prediction_type": "epsilon",
        "clip_sample": False,
    }


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """``run(arg, ...) -> (exit code, stdout, stderr)`` of the command in this process."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["viewfusion", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call
