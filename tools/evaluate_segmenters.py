"""Measure segmenters on photos whose cut-out is known, and write docs/preprocessing.md from what was found.

    python tools/evaluate_segmenters.py measure --state STATE --photos FOLDER... --meshes LIBRARY...
    python tools/evaluate_segmenters.py write --state STATE

A case is a rendered object, procedural or of a library as for make_mesh_dataset.py, from a drawn camera, put
before a piece of a photograph, sharp or blurred, or on a plain light ground, with a shadow, noise and JPEG.
FOLDER is searched for the photographs in ``segmentation/photographs.py``, which packages ship:

    pip download --no-deps scikit-image scikit-learn && unzip -o 'scikit_*.whl' -d photos
    apt-get download lomiri-wallpapers-16.04 && dpkg -x lomiri-wallpapers-16.04_*.deb photos

``measure`` may be stopped at any time; the same command goes on, and with more ``--cases`` or
``--segmenters`` it adds to what is there. Run it alone and in one process: it takes times. ``write`` fills
the blocks ``<!-- figures: segmenters... -->`` of the page and leaves the words around them alone.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from evidence.command import run_command, two_commands
from evidence.subjects import Subject, procedural_objects, real_meshes
from mesh_catalogue import library_entries
from objects import random_object
from segmentation.bench import Bench
from segmentation.photographs import photographs
from segmentation.report import write_report
from segmentation.results import Results

from viewfusion import ViewFusionError
from viewfusion.preprocessing.segmenters.onnx import NETWORKS
from viewfusion.preprocessing.segmenters.weights import find_weights

LOOSE = ("composition",)
"""Families of solids that hang apart in the air: no photo shows such an object, and nobody could tell it."""

SEGMENTERS = ("grabcut", "plain", "u2netp", "u2net", "auto")
"""The first is what times are multiples of."""


def chosen_subjects(libraries: list[Path], unpacked: Path, split: str, cases: int) -> list[Subject]:
    """An object for each case: a mesh and a procedural one in turn, as far as there are meshes."""
    found = library_entries(libraries, unpacked)
    meshes = real_meshes(found, split, cases // 2)
    drawn = procedural_objects(split, 2 * cases + 20)
    objects = [each for each in drawn if random_object(each.number).family not in LOOSE][:cases]
    # Case by case, so that more cases leave those that are there as they are.
    return [
        meshes[number // 2] if number % 2 and number // 2 < len(meshes) else objects[number]
        for number in range(cases)
    ]


def measure(args: argparse.Namespace) -> None:
    for name in args.segmenters:
        if name in NETWORKS:
            find_weights(name)  # say what is missing before anything is made
    subjects = chosen_subjects(args.meshes, args.state / "unpacked", args.split, args.cases)
    bench = Bench(args.state, args.segmenters, subjects, photographs(args.photos))
    bench.begin()
    todo = [number for number in range(args.cases) if bench.missing(number)]
    print(f"{args.cases} cases, {args.cases - len(todo)} are done", flush=True)
    if todo:
        bench.warm_up()
    started = time.perf_counter()
    for done, case in enumerate(todo, 1):
        try:
            line = bench.measure(case)
        except ViewFusionError as error:
            line = f"case {case} is left out: {error}"
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        print(f"{done}/{len(todo)}, {left:.1f} min left: {line}", flush=True)


def write(args: argparse.Namespace) -> None:
    names = write_report(Results(args.state, tuple(args.segmenters)), args.page, args.images)
    print(f"{args.page}: filled {', '.join(names)}")


def parser() -> argparse.ArgumentParser:
    outer, measuring, writing = two_commands(__doc__, measure, write, "preprocessing.md")
    measuring.add_argument("--photos", type=Path, nargs="+", required=True, help="photographs or folders")
    measuring.add_argument("--cases", type=int, default=120)
    measuring.add_argument("--split", default="held-out", choices=("validation", "held-out"))
    for each in (measuring, writing):
        each.add_argument("--segmenters", nargs="+", default=list(SEGMENTERS), metavar="NAME")
    return outer


def main() -> None:
    run_command(parser())


if __name__ == "__main__":
    main()
