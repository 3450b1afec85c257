"""Measure what each way to sample faster costs in quality, and write docs/fast.md from what was found.

    python tools/measure_front.py measure front references --state STATE
    python tools/measure_front.py write --state STATE

Rings around the objects of the embedded benchmark are made with every setting of a comparison
(evidence/front_settings.py), which take turns, and compared with the true views and with those of its base.
``measure`` may be stopped and goes on, object by object, with the same command; more ``--objects``
add to what is there. ``write`` fills the blocks ``<!-- figures: NAME -->`` of the page, draws their pictures
and writes front.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import diffusers
import torch
from evidence.bench import measured
from evidence.command import DOCS, run_command
from evidence.folder import same_study
from evidence.front import Front
from evidence.front_page import SPIN, evaluations, write_page
from evidence.front_settings import COMPARISONS
from speed.host import processor

from viewfusion.datasets.reading import open_dataset
from viewfusion.evaluation.metrics import find_weights
from viewfusion.resources import resource_folder
from viewfusion.zero123 import checkpoint_hash, find_checkpoint


def measure(args: argparse.Namespace) -> None:
    find_weights("lpips-vgg")  # say what is missing before anything is made
    for name in args.comparisons:
        compare(name, args)


def compare(name: str, args: argparse.Namespace) -> None:
    """Measure what is missing of one comparison."""
    checkpoint, comparison = find_checkpoint(args.checkpoint), COMPARISONS[name]
    front = Front(args.state / name, str(checkpoint), comparison)
    same_study(front.state, {"name": name, **about(front, checkpoint)})
    objects = open_dataset(resource_folder("benchmark")).objects
    chosen = [each for each in objects if each.name in args.objects] if args.objects else list(objects)
    todo = [each for each in chosen if front.missing(each)]
    print(f"{name}: {len(chosen)} objects; {len(chosen) - len(todo)} are done", flush=True)
    torch.set_num_threads(1)
    started = time.perf_counter()
    for done, line in enumerate(measured(front, todo, args.workers), 1):
        left = (time.perf_counter() - started) / done * (len(todo) - done) / 60
        print(f"{name} {done}/{len(todo)}, {left:.1f} min left: {line}", flush=True)


def about(front: Front, checkpoint: Path) -> dict[str, Any]:
    """What is measured, with what."""
    scheduler, settings = front.pipeline.model.scheduler_config, {}
    for name, setting in front.comparison.settings.items():
        config = setting.config(front.suits)
        counted = evaluations(config, SPIN, scheduler)
        settings[name] = {**asdict(setting), "config": config.to_dict(), "evaluations_of_36": counted}
    versions = f"torch {torch.__version__}, diffusers {diffusers.__version__}"
    return {
        "checkpoint": {"name": checkpoint.name, "sha256": checkpoint_hash(checkpoint)},
        "views": front.comparison.views,
        "base": front.comparison.base,
        "names": list(settings),
        "machine": f"{processor()}, one thread, {versions}",
        "settings": settings,
    }


def write(args: argparse.Namespace) -> None:
    for name, found in write_page(args.state, args.page, args.images).items():
        best = [each for each, told in found["settings"].items() if told["on_the_front"]]
        print(f"{args.page}: filled {name}; on its front: {', '.join(best)}")


def parser() -> argparse.ArgumentParser:
    outer = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = outer.add_subparsers(required=True)
    measuring = commands.add_parser("measure", help="make what is missing and score it")
    measuring.set_defaults(run=measure)
    names = ", ".join(COMPARISONS)
    measuring.add_argument("comparisons", nargs="+", choices=COMPARISONS, metavar="COMPARISON", help=names)
    measuring.add_argument("--checkpoint", default="zero123-nano")
    measuring.add_argument("--objects", nargs="+", metavar="NAME", help="default: all")
    measuring.add_argument(
        "--workers", type=int, default=1, help="processes; more disturb each other's times"
    )
    writing = commands.add_parser("write", help="table, picture and JSON")
    writing.set_defaults(run=write)
    writing.add_argument("--page", type=Path, default=DOCS / "fast.md")
    writing.add_argument("--images", type=Path, default=DOCS / "images")
    for each in (measuring, writing):
        each.add_argument("--state", type=Path, required=True, help="where results lie")
    return outer


def main() -> None:
    run_command(parser())


if __name__ == "__main__":
    main()
