"""How long a spin takes, and why: variants side by side, and docs/benchmarks.md from what was found.

    python tools/benchmark.py --checkpoint zero123-nano --views 36 --variants naive,exact,fast \\
        --json nano.json
    python tools/benchmark.py --full-size --device cuda --dtype float16 --views 36 \\
        --variants naive,exact,fast --json gpu.json
    python tools/benchmark.py --full-size --device cpu --steps-only --json full.json
    python tools/benchmark.py --write nano.json full.json growth.json

"naive" is a spin as the released code makes it (speed/naive.py), always in float32; "exact" the pipeline with
the same settings; any other variant a preset, by name or file. KEY=VALUE settings hold for all of them.
--full-size is a network of the released Zero123's size with random weights. Where a spin of it would take
hours, --steps-only times one step and counts the rest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from evidence.command import DOCS
from speed.full_size import random_zero123
from speed.page import write_page
from speed.spins import NAIVE, measure_spins, variants
from speed.steps import measure_steps
from speed.tables import told

from viewfusion import ViewFusionError, ViewFusionPipeline
from viewfusion.outputs.files import write_json
from viewfusion.pipeline import best_device
from viewfusion.preprocessing import PreparedImage, prepare_image
from viewfusion.resources import resource_folder
from viewfusion.zero123 import Zero123, find_checkpoint, load_zero123

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
FULL_SIZE = "full-size"


def network(args: argparse.Namespace) -> str:
    """How results call it."""
    return FULL_SIZE if args.full_size else find_checkpoint(args.checkpoint).name


def load(args: argparse.Namespace) -> Zero123:
    """The network, float32 on the CPU or, if no other is wanted, on its device in its dtype."""
    dtype, device = DTYPES[args.dtype], torch.device(args.device)
    if args.full_size:
        return random_zero123(device, dtype)
    return load_zero123(args.checkpoint, args.config, device, dtype, family=args.family)


def pipelines(args: argparse.Namespace, names: Sequence[str]) -> dict[str, ViewFusionPipeline]:
    """Of each variant; they share their network where they compute in one dtype."""
    chosen = ViewFusionPipeline(load(args), args.max_batch, args.compile)
    made = dict.fromkeys(names, chosen)
    if NAIVE in names:
        model = chosen.model
        if args.dtype != "float32":
            model = load(argparse.Namespace(**{**vars(args), "dtype": "float32"}))
        made[NAIVE] = ViewFusionPipeline(model)
    return made


def photo(args: argparse.Namespace, size: int) -> PreparedImage:
    return prepare_image(args.image or resource_folder("benchmark") / "chair" / "000.png", size)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Spins, or single steps."""
    settings = [f"views={args.views}", *args.settings]
    if args.steps_only:
        (variant,) = variants({NAIVE: ViewFusionPipeline(load(args), args.max_batch)}, settings)
        result = measure_steps(variant.pipeline, variant.config, args.references, args.repeat)
    else:
        made = variants(pipelines(args, list(dict.fromkeys(args.variants.split(",")))), settings)
        result = measure_spins(made, photo(args, made[0].pipeline.model.image_size), args.repeat)
    return {"network": network(args), **result}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    made.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    made.add_argument("--checkpoint", default="zero123-nano")
    made.add_argument("--config", type=Path, help="the YAML that came with an original .ckpt")
    made.add_argument("--family", help="of a checkpoint that nothing else tells apart")
    made.add_argument("--full-size", action="store_true", help="the released size, random weights")
    made.add_argument("--views", type=int, default=36)
    made.add_argument("--variants", default="naive,exact,fast", help="naive, exact, presets")
    made.add_argument("--repeat", type=int, default=3, help="turns of all variants")
    made.add_argument("--steps-only", action="store_true", help="one step of naive and exact, and counts")
    made.add_argument("--references", type=int, default=13, help="of that step; 13 is the mean of 36 views")
    made.add_argument("--image", type=Path, help="a photo; default: the chair of the embedded benchmark")
    made.add_argument("--device", default="auto")
    made.add_argument("--dtype", choices=DTYPES, default="float32")
    made.add_argument("--max-batch", type=int, metavar="N", help="rows at once, but of naive")
    made.add_argument(
        "--compile", action="store_true", help="the network, but of naive; rows that fill chunks up count"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="what was found, for --write")
    made.add_argument("--write", type=Path, nargs="+", metavar="FILE", help="fill the page from such files")
    made.add_argument("--page", type=Path, default=DOCS / "benchmarks.md")
    return made


def run(args: argparse.Namespace) -> None:
    """Do what the command line says.

    Raises:
        ViewFusionError: it says what cannot be.
    """
    if args.write:
        print(f"{args.page}: filled {', '.join(write_page(args.write, args.page))}")
        return
    if min(args.repeat, args.references) < 1:
        raise ViewFusionError("--repeat and --references must be 1 or more")
    args.device = best_device() if args.device == "auto" else args.device
    result = measure(args)
    if args.json:
        write_json(args.json, result)
    print(told(result))


def main() -> None:
    try:
        run(parser().parse_args())
    except ViewFusionError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
