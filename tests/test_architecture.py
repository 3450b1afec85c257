"""Which part may know which: the arrows of the design, read off the sources.

Everything lies in one table. To let a part know another one, change its row and say why in the commit.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import viewfusion

ROOT = Path(viewfusion.__file__).resolve().parent


@dataclass(frozen=True)
class Row:
    """What a part of the package may import.

    Args:
        parts: other parts of viewfusion, wherever the import stands.
        packages: other people's packages when the module is imported.
        later: those that only a function (or a type checker) imports.
    """

    parts: str = ""
    packages: str = ""
    later: str = ""


TABLE = {
    # The ground: words everybody uses.
    "errors": Row(),
    "resources": Row(),
    "machine": Row(),
    "running": Row("errors"),
    "yaml_files": Row("errors", "yaml"),
    # Weights of other people's, read as data by whoever has a network.
    "untrusted": Row(),
    "pickles": Row(),
    "torch_files": Row("errors pickles untrusted", "torch"),
    "clip_names": Row("", "torch"),
    # Weights, only ever on request; files appear by the rules of outputs.
    "downloads": Row("errors outputs"),
    "trajectory_files": Row("errors geometry", "numpy"),
    # The mathematics: no model, no files.
    "geometry": Row("", "numpy"),
    "fusion": Row("geometry", "torch numpy"),
    "views": Row("geometry", "torch numpy", "PIL"),
    "solvers": Row("", "torch numpy", "diffusers"),
    # The edges: each knows its own libraries, and none of them sampling or fusion.
    "preprocessing": Row(
        "downloads errors geometry machine resources",
        "numpy PIL",
        "carvekit cv2 onnxruntime pillow_heif torch",
    ),
    "zero123": Row(
        "clip_names errors geometry machine pickles resources torch_files untrusted yaml_files",
        "torch",
        "diffusers transformers safetensors huggingface_hub taming",
    ),
    "outputs": Row("errors geometry views", "numpy PIL", "torch imageio_ffmpeg"),
    # Views of any system, so no pipeline and no model; its networks are its own. Jinja2 writes the report.
    "evaluation": Row(
        "clip_names downloads errors geometry machine outputs pickles resources torch_files untrusted views "
        "yaml_files",
        "numpy torch PIL pytorch_lightning",
        "cv2 embreex jinja2 markupsafe safetensors scipy torchvision transformers",
    ),
    "datasets": Row("errors geometry outputs preprocessing", "numpy PIL", "trimesh embreex"),
    # Views of any system to a mesh, so no pipeline and no model.
    "reconstruction": Row(
        "errors geometry outputs resources views yaml_files",
        "numpy torch PIL",
        "fast_simplification safetensors scipy skimage trimesh xatlas",
    ),
    # The wiring.
    "config": Row("errors fusion geometry resources solvers yaml_files", "", "omegaconf"),
    "conditioning": Row("fusion geometry zero123", "torch"),
    "costs": Row("config fusion solvers"),
    "pipeline": Row(
        "conditioning config costs errors fusion geometry preprocessing running solvers views zero123",
        "torch",
        "numpy",
    ),
    # A protocol and data, and a pipeline or predictions.
    "benchmark": Row(
        "__init__ conditioning config datasets errors evaluation geometry outputs pipeline preprocessing",
        "numpy torch PIL",
    ),
    "cli": Row(
        "__init__ benchmark conditioning config costs datasets downloads errors evaluation fusion geometry "
        "machine outputs pipeline preprocessing reconstruction resources running trajectory_files views "
        "zero123",
        "typer rich numpy PIL",
        "packaging torch imageio_ffmpeg",
    ),
    "__init__": Row("config errors geometry pipeline reconstruction views zero123"),
    "__main__": Row("cli"),
}


@dataclass(frozen=True)
class Import:
    """One import: ``name`` is dotted and absolute, ``at_once`` if importing the module runs it."""

    name: str
    at_once: bool
    where: str


def imports(source: str, module: tuple[str, ...], where: str = "") -> Iterator[Import]:
    """Every import in ``source``, the code of ``module`` (its ``__init__`` among the parts)."""

    def walk(node: ast.AST, at_once: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            now = at_once and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, now, f"{where}:{child.lineno}") for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = [*module[: len(module) - child.level]] if child.level else []
                base += (child.module or "").split(".") if child.module else []
                for alias in child.names:
                    yield Import(".".join([*base, alias.name]), now, f"{where}:{child.lineno}")
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for part in child.body:
                    yield from walk(ast.Module([part], []), False)
                for part in child.orelse:
                    yield from walk(ast.Module([part], []), now)
            else:
                yield from walk(child, now)

    return walk(ast.parse(source), True)


def part_of(name: str) -> str:
    """The part of viewfusion that a dotted name belongs to; ``viewfusion`` itself and its names: __init__."""
    part = name.split(".")[1] if "." in name else ""
    return part if part in TABLE else "__init__"


def violations(part: str, found: Iterator[Import]) -> list[str]:
    """The imports that the row of ``part`` does not allow."""
    row = TABLE[part]
    wrong = []
    for each in found:
        top = each.name.partition(".")[0]
        if top == "viewfusion":
            target = part_of(each.name)
            good = target == part or target in row.parts.split()
        else:
            allowed = row.packages.split() + ([] if each.at_once else row.later.split())
            good = top in sys.stdlib_module_names or top in allowed
        if not good:
            wrong.append(f"{each.where}: {part} imports {each.name}{'' if each.at_once else ' (later)'}")
    return wrong


def sources(part: str) -> list[tuple[Path, tuple[str, ...]]]:
    """Files of a part, with their module names."""
    folder = ROOT / part
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{part}.py"]
    return [(file, ("viewfusion", *file.relative_to(ROOT).with_suffix("").parts)) for file in files]


def test_every_part_has_a_row():
    there = {path.stem for path in ROOT.glob("*.py")}
    there |= {path.name for path in ROOT.iterdir() if any(path.glob("*.py"))}
    assert there == set(TABLE)


@pytest.mark.parametrize("part", TABLE)
def test_a_part_imports_what_its_row_allows(part):
    wrong = []
    for file, module in sources(part):
        found = imports(file.read_text(encoding="utf-8"), module, str(file.relative_to(ROOT.parent)))
        wrong += violations(part, found)
    assert wrong == []


def test_no_row_allows_what_nobody_imports():
    """So that the table says how things are."""
    for part, row in TABLE.items():
        found = [
            each
            for file, module in sources(part)
            for each in imports(file.read_text(encoding="utf-8"), module)
        ]
        names = {each.name.partition(".")[0] for each in found}
        parts = {part_of(each.name) for each in found if each.name.startswith("viewfusion")}
        unused = (set(row.parts.split()) - parts) | (set((row.packages + " " + row.later).split()) - names)
        assert not unused, f"{part} does not import {', '.join(sorted(unused))}"


def test_only_the_lazy_package_imports_by_name():
    for part in set(TABLE) - {"__init__"}:
        for file, _ in sources(part):
            text = file.read_text(encoding="utf-8")
            assert "import_module" not in text, file
            assert "__import__" not in text, file


@pytest.mark.parametrize(
    ("part", "source", "wrong"),
    [
        ("geometry", "import torch", ["geometry imports torch"]),
        ("geometry", "def f():\n    import torch", ["geometry imports torch (later)"]),
        ("geometry", "import numpy.linalg, math", []),
        ("fusion", "from viewfusion.zero123 import Zero123", ["fusion imports viewfusion.zero123.Zero123"]),
        ("fusion", "from ..zero123.model import Zero123", ["viewfusion.zero123.model.Zero123"]),
        ("fusion", "from .. import pipeline", ["viewfusion.pipeline"]),
        ("fusion", "from . import weights\nfrom .noise import ViewNoise", []),
        ("fusion", "def f():\n    from diffusers import DDIMScheduler", ["diffusers"]),
        ("outputs", "from typing import *\nif TYPE_CHECKING:\n    import viewfusion.pipeline", ["pipeline"]),
        (
            "outputs",
            "if TYPE_CHECKING:\n    import torch\nelse:\n    import torch",
            ["outputs imports torch"],
        ),
        ("preprocessing", "class A:\n    import torch", ["preprocessing imports torch"]),
        ("preprocessing", "try:\n    import torch\nexcept ImportError:\n    pass", ["imports torch"]),
        ("preprocessing", "class A:\n    def f(self):\n        import torch", []),
        ("zero123", "from viewfusion.cli import main", ["cli"]),
        ("errors", "from viewfusion import Pose", ["errors imports viewfusion.Pose"]),
    ],
)
def test_the_reading_itself(part, source, wrong):
    found = violations(part, imports(source, ("viewfusion", part, "module")))
    assert len(found) == len(wrong)
    assert all(words in text for words, text in zip(wrong, found, strict=True))


HEAVY = ("torch", "numpy", "diffusers", "transformers", "omegaconf", "PIL", "yaml")


def imported_by(code: str) -> set[str]:
    """The heavy packages in memory after ``code`` ran in a fresh interpreter."""
    report = f"import sys; print('heavy:', *(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.rpartition("heavy:")[2].split())


def command(*arguments: str) -> str:
    """Code that runs ``python -m viewfusion`` with ``arguments`` and goes on afterwards."""
    return (
        f"import runpy, sys\nsys.argv = ['viewfusion', *{arguments!r}]\n"
        "try:\n    runpy.run_module('viewfusion', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )


def test_importing_viewfusion_imports_nothing_heavy():
    assert imported_by("import viewfusion") == set()
    assert "numpy" in imported_by("import viewfusion; viewfusion.Pose")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("generate-360", "--help"),
        ("export", "--help"),
        ("preprocess", "--help"),
        ("render-object", "--help"),
        ("reconstruct", "--help"),
        ("dataset", "check", "--help"),
        ("compare", "--help"),
        ("benchmark-speed", "--help"),
        ("dataset", "prepare", "gso", "--help"),
    ],
)
def test_help_imports_nothing_heavy(arguments):
    assert imported_by(command(*arguments)) == set()


def test_contributing_names_every_part_and_every_test_once():
    text = Path(__file__).parents[1].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
    layout, tests = (
        text.partition(f"## {title}\n")[2].partition("\n## ")[0] for title in ("Layout", "Tests")
    )
    folders = re.findall(r"^      (\w+)/", layout, re.MULTILINE)
    assert sorted(folders) == sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    modules = re.findall(r"\w+\.py\b", layout)
    assert sorted(modules) == sorted(path.name for path in ROOT.glob("*.py") if path.stem[0] != "_")
    asked = re.findall(r"`(test_\w+\.py)`", "".join(re.findall(r"^\| .*? \|", tests, re.MULTILINE)))
    assert sorted(asked) == sorted(path.name for path in Path(__file__).parent.glob("test_*.py"))
