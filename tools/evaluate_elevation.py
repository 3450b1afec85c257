"""Measure how well elevations are estimated, and write docs/elevation.md from what was found.

    python tools/evaluate_elevation.py measure --state STATE --meshes LIBRARY...
    python tools/evaluate_elevation.py write --state STATE

LIBRARY is as for make_mesh_dataset.py: all that the weights were trained on, for the split goes by them.
Objects are held-out ones, seen from elevations that their names decide. ``measure`` may be stopped at any
time; the same command goes on, and with more ``--objects`` it adds to what is there. ``write`` fills the
blocks ``<!-- figures: NAME -->`` of the page and leaves the words around them alone.
"""

from __future__ import annotations

import argparse
import time

from evidence.bench import measured
from evidence.command import run_command, two_commands
from evidence.elevations import Trials
from evidence.elevations_page import write_page
from evidence.folder import same_study
from evidence.subjects import procedural_objects, real_meshes
from mesh_catalogue import library_entries

from viewfusion.zero123 import checkpoint_hash, find_checkpoint


def measure(args: argparse.Namespace) -> None:
    checkpoint = find_checkpoint(args.checkpoint)
    trials = Trials(args.state, str(checkpoint))
    about = {
        "checkpoint": {"name": checkpoint.name, "sha256": checkpoint_hash(checkpoint)},
        "split": args.split,
        "names": trials.names,
    }
    same_study(args.state, about)
    found = library_entries(args.meshes, args.state / "unpacked")
    chosen = [
        *procedural_objects(args.split, args.objects),
        *real_meshes(found, args.split, args.objects),
    ]
    todo = [subject for subject in chosen if trials.missing(subject)]
    print(f"{len(chosen)} objects; {len(chosen) - len(todo)} are done", flush=True)
    started = time.perf_counter()
    for done, line in enumerate(measured(trials, todo, args.workers), 1):
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        print(f"{done}/{len(todo)}, {left:.1f} min left: {line}", flush=True)


def write(args: argparse.Namespace) -> None:
    names = write_page(args.state, args.page, args.images)
    print(f"{args.page}: filled {', '.join(names)}")


def parser() -> argparse.ArgumentParser:
    outer, measuring, _ = two_commands(__doc__, measure, write, "elevation.md")
    measuring.add_argument("--checkpoint", default="zero123-nano")
    measuring.add_argument("--split", default="held-out", help="validation, where settings are chosen")
    measuring.add_argument("--objects", type=int, default=50, help="of each kind")
    measuring.add_argument("--workers", type=int, default=2)
    return outer


def main() -> None:
    run_command(parser())


if __name__ == "__main__":
    main()
