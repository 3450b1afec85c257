"""The package as people get it: built, installed into a bare environment, at work far from the checkout."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = ("build", "dist", "out", "*.egg-info", "__pycache__", "*.partial.*")
PIP = ("--no-deps", "--no-index", "--no-cache-dir", "--quiet", "--disable-pip-version-check")
NAMED = ("viewfusion", "configs", "zero123_ckpts", "tests", "tools", "docs", "data")


def python(*arguments: object, cwd: Path, **environment: str) -> None:
    command = [sys.executable, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": "", **environment}
    ended = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def listed(*folders: Path, below: Path) -> set[str]:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(below)) for path in files}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the sources, so that building leaves nothing in them."""
    copy = tmp_path_factory.mktemp("sources") / "viewfusion"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", *BUILT))
    # What a user may have put there must not travel.
    (copy / "zero123_ckpts/105000.ckpt").write_text("gigabytes")
    (copy / "zero123_ckpts/zero123-xl").mkdir()
    (copy / "zero123_ckpts/zero123-xl/model.safetensors").write_text("gigabytes")
    return copy


@pytest.fixture(scope="module")
def sdist(checkout, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    python("-c", code, folder, cwd=checkout)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory) -> Path:
    """Built from the sdist, as an installer does that finds no wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    python("-m", "pip", "wheel", "--no-build-isolation", *PIP, "-w", folder, sdist, cwd=folder)
    (made,) = folder.iterdir()
    return made


def bare_environment(home: Path) -> Path:
    """An environment that sees what is installed here, but nothing of viewfusion."""
    python("-m", "venv", "--without-pip", home / "env", cwd=home)
    (home / "others").mkdir()
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            # No .pth files either: they are read in site-packages only.
            if "viewfusion" not in path.name and not (home / "others" / path.name).exists():
                (home / "others" / path.name).symlink_to(path)
    (packages,) = (home / "env/lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(f"{home / 'others'}\n")
    return home / "env"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Iterator[Path]:
    """A bare environment with the wheel in it, which nobody may write to any more."""
    bare = bare_environment(tmp_path_factory.mktemp("bare"))
    python("-m", "pip", "--python", bare / "bin/python", "install", *PIP, wheel, cwd=bare)
    subprocess.run(["chmod", "-R", "a-w", bare], check=True)
    yield bare
    subprocess.run(["chmod", "-R", "u+w", bare], check=True)


def test_the_sdist_is_the_checkout(checkout, sdist):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    wanted = listed(*(checkout / name for name in NAMED), below=checkout)
    wanted |= {path.name for path in checkout.iterdir() if path.is_file()}
    wanted -= {"zero123_ckpts/105000.ckpt", "zero123_ckpts/zero123-xl/model.safetensors"}
    written = {name for name in names if name.startswith("viewfusion.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - written == {name for name in wanted if ".egg-info" not in name}


def test_the_wheel_holds_the_package_its_data_and_nothing_else(checkout, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        meta = {name.rpartition(".dist-info/")[2] for name in archive.namelist() if ".dist-info/" in name}
        assert archive.read("viewfusion/_data/configs/fast.yaml") == (ROOT / "configs/fast.yaml").read_bytes()
    kinds = (".py", ".j2", ".css", ".js")  # sources, and the page of a report
    package = {name for name in listed(checkout / "viewfusion", below=checkout) if name.endswith(kinds)}
    assert "viewfusion/evaluation/report/page.html.j2" in package
    data = listed(checkout / "configs", checkout / "zero123_ckpts/zero123-nano", below=checkout)
    data |= {"zero123_ckpts/README.md"} | listed(checkout / "data/benchmark", below=checkout / "data")
    assert {
        "configs/balanced.yaml",
        "zero123_ckpts/zero123-nano/config.json",
        "benchmark/mug/angles.json",
    } <= data
    assert names == package | {f"viewfusion/_data/{name}" for name in data}
    assert meta >= {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_checkout_builds_the_same_wheel(checkout, wheel, tmp_path):
    python("-m", "pip", "wheel", "--no-build-isolation", *PIP, "-w", tmp_path, checkout, cwd=tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(tmp_path / wheel.name) as other:
        assert {f.filename: f.CRC for f in one.infolist()} == {f.filename: f.CRC for f in other.infolist()}


WATCH = """
import os, sys

notes = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
NETWORK = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}

def note(kind, what):
    os.write(notes, f"{kind} {what}\\n".encode())

def watch(event, arguments):
    if event in NETWORK:
        note("network", event)
        raise PermissionError("there is no network here")
    if event == "os.mkdir" and not os.path.exists(arguments[0]):
        note("write", os.path.abspath(arguments[0]))
    elif event == "os.rename":
        note("write", os.path.abspath(arguments[1]))
    elif event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        note("write", os.path.abspath(arguments[0]))

sys.addaudithook(watch)
"""
"""A ``sitecustomize``: forbids the network, and notes every attempt and every path that is written to."""


class Away:
    """A home, a folder for temporary files and one to work in, each empty; and what commands do there."""

    def __init__(self, environment: Path, base: Path) -> None:
        self.environment, self.base, self.notes = environment, base, base / "notes"
        for name in ("home", "tmp", "work", "watch"):
            (base / name).mkdir()
        (base / "watch/sitecustomize.py").write_text(WATCH)

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """A program of the environment, with nothing of our own surroundings."""
        self.notes.unlink(missing_ok=True)
        places = {"HOME": self.base / "home", "TMPDIR": self.base / "tmp", "PYTHONPATH": self.base / "watch"}
        environment = {name: str(path) for name, path in places.items()} | {
            "PATH": "/usr/bin:/bin",
            "WATCHED": str(self.notes),
            "PYTHONDONTWRITEBYTECODE": "1",  # Python's own writing, into the packages we depend on
            "OMP_NUM_THREADS": "1",  # as many as cores would wait for each other beside other tests
        }
        return subprocess.run(
            [self.environment / "bin" / command[0], *command[1:]],
            cwd=self.base / "work",
            env=environment,
            preexec_fn=without_privilege,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def noted(self, kind: str) -> set[str]:
        lines = self.notes.read_text().splitlines()
        return {line.partition(" ")[2] for line in lines if line.startswith(kind)}


def without_privilege() -> None:
    """Let file permissions bind what is started next, also if it is root's."""
    if sys.platform == "linux" and os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP


@pytest.fixture
def away(installed, tmp_path) -> Away:
    return Away(installed, tmp_path)


def test_the_watch_sees_what_it_is_for(away):
    ended = away.run("python", "-c", "import socket; socket.create_connection(('127.0.0.1', 9))")
    assert "there is no network here" in ended.stderr
    assert away.noted("network") == {"socket.getaddrinfo"}
    away.run("python", "-c", "import os; os.mkdir('made'); open('made/file', 'w')")
    work = away.base / "work"
    assert {str(work / "made"), str(work / "made/file")} <= away.noted("write")
    ended = away.run("python", "-c", "import viewfusion; open(viewfusion.__file__, 'a')")
    assert "PermissionError" in ended.stderr
    assert str(away.environment) in ended.stderr, "imported from the environment, where nobody may write"


def test_the_main_job_far_from_the_checkout(away):
    work = away.base / "work"
    shutil.copy(ROOT / "data/real_images/chair.png", work / "photo.png")
    ended = away.run(
        "viewfusion", "generate-360", "photo.png", "--views", "3", "sampling.num_inference_steps=2"
    )
    assert ended.returncode == 0, ended.stderr
    views = {f"out/photo/views/{i:03d}.png" for i in range(3)}
    views |= {f"out/photo/turntable.{kind}" for kind in ("gif", "mp4")}
    views |= {f"out/photo/{name}.png" for name in ("input", "preview", "contact_sheet")}
    assert listed(work, below=work) == {"photo.png"} | views | {
        f"out/photo/{name}.json" for name in ("cameras", "manifest")
    }
    cache = away.base / "home/.cache"
    assert {path.name for path in (away.base / "home").iterdir()} <= {cache.name}
    assert list((away.base / "tmp").iterdir()) == []
    allowed = (str(work / "out"), str(cache), os.devnull)
    assert {path for path in away.noted("write") if not path.startswith(allowed)} == set()
    assert any(path.startswith(str(work / "out")) for path in away.noted("write"))
    assert away.noted("network") == set()


def test_the_small_commands_far_from_the_checkout(away, wheel):
    version = wheel.name.split("-")[1]
    for command in (("python", "-m", "viewfusion"), ("viewfusion",)):
        assert away.run(*command, "--version").stdout == f"viewfusion {version}\n"
    ended = away.run("viewfusion", "plan", "--preset", "reference")
    assert ended.returncode == 0, ended.stderr
    assert "+180.0" in ended.stdout
    assert listed(away.base / "work", below=away.base) == set()
    assert away.noted("network") == set()


def test_an_editable_install_uses_the_checkout(checkout, tmp_path):
    bare = bare_environment(tmp_path)
    options = ("--no-build-isolation", *PIP)
    python("-m", "pip", "--python", bare / "bin/python", "install", *options, "-e", checkout, cwd=tmp_path)
    code = "from viewfusion import resources; print(resources.resource_folder('configs'))"
    ended = subprocess.run(
        [bare / "bin/python", "-c", code], cwd=tmp_path, env={}, capture_output=True, text=True, check=True
    )
    assert ended.stdout == f"{checkout / 'configs'}\n"
