"""``doctor``: this machine goes in; what is here, what is missing and whether the main job can run come out.

Every look stands alone: one that fails, whatever it raises, is a line of the report and no end of it.
"""

from __future__ import annotations

import difflib
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import viewfusion
from viewfusion.machine import usable_cores, usable_memory

if TYPE_CHECKING:
    from packaging.requirements import Requirement

EXTRAS = {
    "evaluation": ("benchmark, evaluate and their reports", ""),
    "render": ("rendering meshes as views of a benchmark", ""),
    "reconstruction": ("meshes of views", ""),
    "heic": ("photos in HEIC", ""),
    "segmentation": ("cutting out by networks such as U-2-Net", ""),
    "carvekit": ("cutting out by CarveKit, heavier than segmentation", ""),
    "train": ("making zero123-nano anew with tools/", ""),
    # taming-transformers asks for torchvision, which would bring another torch.
    "ldm": ("checkpoints with a VQ first stage", "--no-deps "),
    "dev": ("running the checks and tests", ""),
}
"""What each extra of the package gives, and what pip is told besides the packages."""

_UNKNOWN = ("of another version of viewfusion", "")

ENOUGH_DISK = 500 * 2**20
"""Bytes; a turn of a real checkpoint and its unfinished state stay far below."""


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        name: of what was looked at.
        good: whether it is there and works.
        text: version, size, or what is wrong.
        remedy: one command or sentence, where it is not good.
        needed: whether the main job cannot run without it.
    """

    name: str
    good: bool
    text: str
    remedy: str = ""
    needed: bool = False


@dataclass(frozen=True)
class Report:
    """Findings by heading."""

    sections: dict[str, list[Finding]]

    @property
    def ready(self) -> bool:
        """Whether a photo can be turned here."""
        return all(each.good or not each.needed for findings in self.sections.values() for each in findings)


def examine() -> Report:
    """Look at everything; takes some seconds, most of them for the self-test."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "installed": _installed,
        "devices": _devices,
        "disk": _disk,
        "extras": _extras,
        "background removal": _background_removal,
        "checkpoints": _checkpoints,
        "self-test": _self_test,
    }
    return Report({heading: _guarded(heading, look) for heading, look in looks.items()})


def print_report(report: Report, as_json: bool) -> None:
    if as_json:
        sections = {name: [asdict(each) for each in found] for name, found in report.sections.items()}
        typer.echo(json.dumps({"ready": report.ready, "sections": sections}, indent=2))
        return
    for heading, findings in report.sections.items():
        typer.echo(heading)
        for each in findings:
            mark = "ok" if each.good else "FAIL" if each.needed else "-"
            remedy = f"; {each.remedy}" if each.remedy else ""
            typer.echo(f"  {mark:4}  {each.name}: {each.text}{remedy}")
    typer.echo("ready: photos can be turned here" if report.ready else "not ready: mend what says FAIL")


def _guarded(heading: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    findings: list[Finding] = []
    try:
        findings.extend(look())
    except Exception as error:  # broken packages fail in every way there is
        findings.append(Finding(heading, False, _brief(error), needed=heading in ("installed", "self-test")))
    return findings


def _brief(error: BaseException) -> str:
    reason = str(error).strip().partition("\n")[0][:200]
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _installed() -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("viewfusion", True, f"{viewfusion.__version__}, Python {python} on {platform.platform()}")
    for requirement in _requirements():
        yield _version(requirement)
    yield _ffmpeg()


def _requirements(extra: str = "") -> list[Requirement]:
    """Of the package, or of one extra alone; none where it runs from a checkout that is not installed."""
    from packaging.requirements import Requirement

    try:
        lines = metadata.requires("viewfusion") or []
    except metadata.PackageNotFoundError:
        return []
    found = []
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        core = marker is None or marker.evaluate({"extra": ""})
        if core if not extra else not core and marker is not None and marker.evaluate({"extra": extra}):
            found.append(requirement)
    return found


def _version(requirement: Requirement) -> Finding:
    """Whether a package of the core is there in a version that will do."""
    command = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, False, "not installed", command, needed=True)
    if not requirement.specifier.contains(version, prereleases=True):
        text = f"{version} is not {requirement.specifier}"
        return Finding(requirement.name, False, text, command, needed=True)
    return Finding(requirement.name, True, f"{version} ({requirement.specifier})", needed=True)


def _ffmpeg() -> Finding:
    try:
        import imageio_ffmpeg

        version = imageio_ffmpeg.get_ffmpeg_version()
    except Exception as error:
        remedy = "pip install imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg"
        return Finding("ffmpeg", False, _brief(error), remedy, needed=True)
    return Finding("ffmpeg", True, str(version), needed=True)


def _devices() -> Iterator[Finding]:
    cores, memory = usable_cores(), usable_memory()
    yield Finding("cpu", True, f"{cores} cores" + (f", {memory / 2**30:.1f} GiB of memory" if memory else ""))
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    yield Finding("torch", True, f"{torch.__version__}, built with {built}")
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        text = f"{torch.cuda.get_device_name(index)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        yield Finding(f"cuda:{index}", True, text)
    if torch.backends.mps.is_available():
        yield Finding("mps", True, "Apple GPU")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    text = f"{free / 2**30:.1f} GiB free in this folder"
    yield Finding("disk", free >= ENOUGH_DISK, text, "" if free >= ENOUGH_DISK else "make room, or use --out")


def _extras() -> Iterator[Finding]:
    try:
        names = metadata.metadata("viewfusion").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        yield Finding("extras", False, "viewfusion runs from a checkout", "pip install -e .")
        return
    wanted = {name: _requirements(name) for name in names}
    # torchvision is no requirement, but a broken one breaks packages that look for it.
    packages = {"torchvision", *(each.name for requirements in wanted.values() for each in requirements)}
    with ThreadPoolExecutor(2) as pool:
        faults = dict(zip(packages, pool.map(_fault, packages), strict=True))
    for name, requirements in wanted.items():
        missing = [each for each in requirements if faults[each.name]]
        said = "; ".join(f"{each.name} {faults[each.name]}" for each in missing)
        gives, _ = EXTRAS.get(name, _UNKNOWN)
        text = f"{gives}: {said}" if missing else f"{gives}: here"
        yield Finding(name, not missing, text, _remedy(name, missing) if missing else "")
    if (fault := faults["torchvision"]) and fault != "not installed":
        remedy = "pip uninstall torchvision, or install the one made for this torch"
        yield Finding("torchvision", False, fault, remedy)


def _remedy(extra: str, missing: list[Requirement]) -> str:
    """The command that brings what an extra lacks."""
    if extra == "carvekit":  # alone it would not run; what it asks for holds a web server and a torchvision
        from viewfusion.preprocessing.segmenters import carvekit

        return carvekit.install_command()
    _, flags = EXTRAS.get(extra, _UNKNOWN)
    specs = " ".join(f"'{each.name}{each.specifier}'" for each in missing)
    return f"pip install {flags}{specs}"


def _background_removal() -> Iterator[Finding]:
    """Whether any network can cut out: the lightest is proposed where none can."""
    from viewfusion.preprocessing.segmenters import NETWORKS, ready

    here = [name for name in NETWORKS if ready(name)]
    others = "GrabCut, and a rule for plain light grounds"
    remedy = "pip install 'viewfusion[segmentation]' && viewfusion segmenters fetch u2netp"
    text = f"{', '.join(here)}; {others}" if here else f"{others}; no network is here"
    yield Finding("segmenters", bool(here), text, "" if here else remedy)


def _fault(package: str) -> str:
    """What is wrong with an installed package: "" if it can be imported.

    Another process imports it: what breaks in there, or crashes, breaks nothing here.
    """
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
    by_module = metadata.packages_distributions()
    modules = [module for module, names in by_module.items() if package in names and module.isidentifier()]
    # Of several modules the one named like the package; those for type checkers only have none.
    module = next(iter(difflib.get_close_matches(package.replace("-", "_"), modules, 1, 0.0)), None)
    if module is None:
        return ""
    try:
        ended = subprocess.run(
            [sys.executable, "-c", f"import {module}"], capture_output=True, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        return "does not end importing"
    if not ended.returncode:
        return ""
    said = ended.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
    return f"is broken ({said or f'exit status {ended.returncode}'})"


def _checkpoints() -> Iterator[Finding]:
    from viewfusion.zero123 import installed

    found = installed()
    for name, path in sorted(found.items()):
        yield Finding(name, True, f"{_size(path) / 1e6:.0f} MB in {path}")
    if not found:
        yield Finding("checkpoints", False, "none is here by name", "give --checkpoint a path")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _self_test() -> Iterator[Finding]:
    """Load the shipped model on the device that ``auto`` takes, and ask it once."""
    started = time.perf_counter()
    import torch

    from viewfusion.pipeline import ViewFusionPipeline

    model = ViewFusionPipeline.from_checkpoint("zero123-nano").model
    with torch.inference_mode():
        latents = torch.zeros(1, *model.latent_shape, device=model.device, dtype=model.dtype)
        width = model.cc_projection.out_features
        tokens = torch.zeros(1, 1, width, device=model.device, dtype=model.dtype)
        predicted = model.predict_noise(latents, 500, tokens, latents)
    seconds = time.perf_counter() - started
    good = predicted.shape == latents.shape and bool(predicted.isfinite().all())
    text = f"zero123-nano on {model.device}: " + ("one prediction" if good else "no finite prediction")
    yield Finding("model", good, f"{text}, {seconds:.1f} s with loading", needed=True)
