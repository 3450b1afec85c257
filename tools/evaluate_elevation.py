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
import sys
import time
from pathlib import Path

from evidence.bench import measured
from evidence.elevations import Trials
from evidence.elevations_page import write_page
from evidence.folder import same_study
from evidence.subjects import procedural_objects, real_meshes
from mesh_catalogue import library_entries

from viewfusion import ViewFusionError
from viewfusion.zero123 import checkpoint_hash, find_checkpoint

DOCS = Path(__file__).resolve().parents[1] / "docs"


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
    outer = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = outer.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="estimate and compare with the truth")
    measuring.set_defaults(run=measure)
    measuring.add_argument("--state", type=Path, required=True, help="where results lie")
    measuring.add_argument("--meshes", type=Path, nargs="+", default=[], metavar="LIBRARY")
    measuring.add_argument("--checkpoint", default="zero123-nano")
    measuring.add_argument("--split", default="held-out", help="validation, where settings are chosen")
    measuring.add_argument("--objects", type=int, default=50, help="of each kind")
    measuring.add_argument("--workers", type=int, default=2)
    writing = commands.add_parser("write", help="table and figure")
    writing.set_defaults(run=write)
    writing.add_argument("--state", type=Path, required=True)
    writing.add_argument("--page", type=Path, default=DOCS / "elevation.md")
    writing.add_argument("--images", type=Path, default=DOCS / "images")
    return outer


def main() -> None:
    args = parser().parse_args()
    try:
        args.run(args)
    except ViewFusionError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit("stopped; the same command goes on") from None


if __name__ == "__main__":
    main()
