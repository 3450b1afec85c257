"""Measure a small Zero123 on objects it was not trained on, and write docs/nano.md from what was found.

    python tools/evaluate_nano.py measure guidance steps --state STATE --meshes LIBRARY...
    python tools/evaluate_nano.py measure quality consistency temperatures --state STATE \\
        --meshes LIBRARY... --override sampling.guidance_scale=2
    python tools/evaluate_nano.py write --state STATE

LIBRARY is as for make_mesh_dataset.py: all that the weights were trained on, for the split goes by them.
``measure`` works object by object in ``--workers`` processes of one thread each and may be stopped at any
time; the same command goes on, and with more ``--objects`` it adds to what is there. ``write`` fills the
blocks ``<!-- figures: NAME -->`` of the page and leaves the words around them alone.
"""

from __future__ import annotations

import argparse
import time

from evidence.bench import Bench, begin, measured
from evidence.command import run_command, two_commands
from evidence.page import write_page
from evidence.scores import WEIGHTS
from evidence.studies import STUDIES
from evidence.subjects import KINDS, Subject, procedural_objects, real_meshes
from mesh_catalogue import Entry, library_entries

from viewfusion import ViewFusionPipeline, load_config
from viewfusion.evaluation.metrics import find_weights
from viewfusion.zero123 import checkpoint_hash, find_checkpoint


def run_study(name: str, args: argparse.Namespace, found: list[Entry]) -> None:
    """Measure what is missing of one study."""
    study, checkpoint = STUDIES[name], find_checkpoint(args.checkpoint)
    config = load_config(args.preset, [*args.override, f"views={study.views}"])
    config = ViewFusionPipeline.from_checkpoint(checkpoint).settled(config)
    about = {
        "checkpoint": {"name": checkpoint.name, "sha256": checkpoint_hash(checkpoint)},
        "config": config.to_dict(),
        "split": study.split,
        "views": study.views,
    }
    bench = Bench(args.state / name, str(checkpoint), study.systems(config), study.beside, study.with_ssim)
    begin(bench, about)
    count = study.objects if args.objects is None else args.objects
    chosen: list[Subject] = [
        *procedural_objects(study.split, count),
        *real_meshes(found, study.split, count),
    ]
    todo = [subject for subject in chosen if bench.missing(subject)]
    kinds = ", ".join(f"{sum(s.kind == kind for s in chosen)} {words}" for kind, words in KINDS.items())
    print(f"{name}: {kinds}; {len(chosen) - len(todo)} are done", flush=True)
    started = time.perf_counter()
    for done, line in enumerate(measured(bench, todo, args.workers), 1):
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        print(f"{name} {done}/{len(todo)}, {left:.1f} min left: {line}", flush=True)


def measure(args: argparse.Namespace) -> None:
    for name in WEIGHTS:  # say what is missing before anything is made
        find_weights(name)
    found = library_entries(args.meshes, args.state / "unpacked")
    for name in args.studies:
        run_study(name, args, found)


def write(args: argparse.Namespace) -> None:
    names = write_page(args.state, args.page, args.images)
    print(f"{args.page}: filled {', '.join(names)}")


def parser() -> argparse.ArgumentParser:
    outer, measuring, _ = two_commands(__doc__, measure, write, "nano.md")
    measuring.add_argument("studies", nargs="+", choices=STUDIES, metavar="STUDY", help=", ".join(STUDIES))
    measuring.add_argument("--checkpoint", default="zero123-nano")
    measuring.add_argument("--preset", help="default: what suits the checkpoint")
    measuring.add_argument("--override", action="append", default=[], metavar="KEY=VALUE")
    measuring.add_argument("--objects", type=int, help="of each kind; default: the study's own number")
    measuring.add_argument("--workers", type=int, default=2)
    return outer


def main() -> None:
    run_command(parser())


if __name__ == "__main__":
    main()
