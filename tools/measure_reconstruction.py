"""Measure what meshes of views are worth, and write docs/reconstruction.md from what was found.

    python tools/measure_reconstruction.py measure views --state STATE --meshes LIBRARY...
    python tools/measure_reconstruction.py measure spins --state STATE --meshes LIBRARY...
    python tools/measure_reconstruction.py measure presets --presets cpu paper --minutes 10 --state STATE
    python tools/measure_reconstruction.py write --state STATE

Each object has true views and a true surface. ``viewfusion reconstruct`` makes meshes of the true views
(``views``, ``presets``), or of a spin that a model makes of one of them, fused and independently, with the
same noise (``spins``). LIBRARY are all the archives or folders of meshes that the model was trained on, as
for make_mesh_dataset.py: what is held out goes by them. ``measure`` works object by object and may be stopped
at any time; the same command goes on, and with more ``--solid`` it adds to what is there. ``write`` fills the
blocks ``<!-- figures: NAME -->`` of the page, draws its sheets and writes reconstruction.json.
"""

from __future__ import annotations

import argparse
import signal
import time
from typing import Any

import torch
from evidence.command import run_command, two_commands
from evidence.folder import same_study
from measure_front import processor
from mesh_catalogue import library_entries
from reconstruction.bench import Bench
from reconstruction.page import write_page
from reconstruction.places import VIEWS
from reconstruction.spins import Spinner
from reconstruction.subjects import KINDS, Subject, subjects
from reconstruction.systems import STUDIES, VARIANTS, Study, study

from viewfusion.outputs.files import write_json
from viewfusion.outputs.ownership import read_json
from viewfusion.zero123 import checkpoint_hash, find_checkpoint


def measure(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    found = library_entries(args.meshes, args.state / "unpacked") if args.meshes else []
    for name in args.studies:
        asked = study(name, args.presets, args.minutes, args.option)
        chosen = subjects(args.kinds or asked.kinds, found, args.solid)
        wanted = args.objects or asked.objects
        run_study(name, asked, [each for each in chosen if not wanted or each.name in wanted], args)


def run_study(name: str, asked: Study, chosen: list[Subject], args: argparse.Namespace) -> None:
    """Measure what is missing of one study."""
    folder, checkpoint = args.state / name, find_checkpoint(args.checkpoint)
    made = any(system.views in VARIANTS for system in asked.systems.values())
    spinner = Spinner(str(checkpoint)) if made else None
    about: dict[str, Any] = {
        "names": list(asked.systems),
        "systems": {
            key: {"views": each.views, "options": each.options} for key, each in asked.systems.items()
        },
        "views": VIEWS,
        "machine": f"{processor()}, {args.threads} thread(s), torch {torch.__version__}",
    }
    if spinner is not None:
        about["checkpoint"] = {"name": checkpoint.name, "sha256": checkpoint_hash(checkpoint)}
        about["pixels"] = spinner.size
    known = read_json(folder / "study.json").get("objects", [])
    same_study(folder, {**about, "objects": known})
    listed = [*known, *(each.name for each in chosen if each.name not in known)]
    write_json(folder / "study.json", {**about, "objects": listed})
    bench = Bench(args.state, name, asked.systems, spinner, args.threads)
    todo = [(each, system) for each in chosen for system in bench.missing(each)]
    print(f"{name}: {len(chosen)} objects, {len(todo)} meshes to make", flush=True)
    started = time.perf_counter()
    for done, (each, system) in enumerate(todo, 1):
        line = bench.measure(each, system)
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        print(f"{name} {done}/{len(todo)}, {left:.0f} min left: {each.name} {system}: {line}", flush=True)


def write(args: argparse.Namespace) -> None:
    names = write_page(args.state, args.page, args.images)
    print(f"{args.page}: filled {', '.join(names)}")


def parser() -> argparse.ArgumentParser:
    outer, measuring, _ = two_commands(__doc__, measure, write, "reconstruction.md")
    measuring.add_argument("studies", nargs="+", choices=STUDIES, metavar="STUDY", help=", ".join(STUDIES))
    measuring.add_argument("--presets", nargs="+", default=["cpu"], help="of `reconstruct`; default: cpu")
    measuring.add_argument("--minutes", type=float, default=10, help="that `paper` may train; default: 10")
    measuring.add_argument("--option", action="append", default=[], help="of `reconstruct`, for all")
    measuring.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    measuring.add_argument("--objects", nargs="+", metavar="KIND/NAME", help="only these")
    measuring.add_argument("--solid", type=int, default=6, help="how many closed meshes; default: 6")
    measuring.add_argument("--threads", type=int, default=1, help="that a reconstruction may use; default: 1")
    measuring.add_argument("--checkpoint", default="zero123-nano", help="what makes spins")
    return outer


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what it started is stopped too
    run_command(parser())


if __name__ == "__main__":
    main()
