"""What chunks, types of numbers, memory layouts and compiling do to the time of a step, in one run each.

    python tools/measure_running.py chunks
    python tools/measure_running.py numbers --rows 26
    python tools/measure_running.py compile --rows 8 --checkpoint zero123-nano

Each prints JSON: medians of seconds over ``--repeats`` rounds, in every one of which all ways are timed one
after another, and each way's time over the first one's. A call is one step of a target with ``--rows`` - 1
references and the unconditional row. ``largest_difference`` is to the first way's predictions,
``first_call_cpu_seconds`` counts what the processes that compile take.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from speed.host import processor, wait_for

from viewfusion.zero123 import BatchedPredictor, Zero123, load_zero123

Ways = dict[str, Callable[[], torch.Tensor]]


def step(model: Zero123, rows: int, max_batch: int | None = None, compile: bool = False) -> Callable[[], Any]:
    """One call for all of ``rows``, what the network is told drawn with seed 0."""
    draw = torch.Generator().manual_seed(0)
    latents, conds = (torch.randn(rows, *model.latent_shape, generator=draw) for _ in range(2))
    tokens = torch.randn(rows, 1, model.cc_projection.out_features, generator=draw)
    there = model.device, model.dtype
    conditioned = model.condition(tokens.to(*there), conds.to(*there))
    network = BatchedPredictor(model, max_batch or rows, compile, tell=print)
    shared, timestep = latents[:1].to(model.device), torch.tensor(500)

    def call() -> torch.Tensor:
        made = network(shared, timestep, conditioned)
        wait_for(model.device)
        return made

    return call


def chunks(model: Zero123, rows: int) -> Ways:
    sizes = [rows, *(size for size in (16, 13, 8, 4, 2, 1) if size < rows)]
    return {f"{size} rows at once": step(model, rows, size) for size in sizes}


def numbers(model: Zero123, rows: int) -> Ways:
    ways = {"float32": step(model, rows)}
    for dtype in (torch.bfloat16, torch.float16):
        other = copy.deepcopy(model).to(dtype)
        ways[str(dtype)[6:]] = step(other, rows)
    for dtype in (torch.float32, torch.bfloat16):
        other = copy.deepcopy(model).to(dtype)
        other.unet.to(memory_format=torch.channels_last)
        ways[f"{str(dtype)[6:]}, channels last"] = step(other, rows)
    return ways


def compiled(model: Zero123, rows: int) -> Ways:
    return {"as it is": step(model, rows), "compiled": step(copy.deepcopy(model), rows, compile=True)}


STUDIES = {"chunks": chunks, "numbers": numbers, "compile": compiled}


def cpu_seconds() -> float:
    """Of this process and of those it has started, as far as they have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@torch.inference_mode()
def measure(ways: Ways, repeats: int) -> dict[str, Any]:
    first, warm_up, differences = None, {}, {}
    for name, call in ways.items():
        started, used = time.perf_counter(), cpu_seconds()
        made = call()
        warm_up[name] = time.perf_counter() - started, cpu_seconds() - used
        first = made if first is None else first
        differences[name] = (made - first).abs().max().item()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, call in ways.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    base = next(iter(medians.values()))
    return {
        name: {
            "seconds": round(medians[name], 5),
            "over_first": round(medians[name] / base, 3),
            "first_call_seconds": round(warm_up[name][0], 3),
            "first_call_cpu_seconds": round(warm_up[name][1], 3),
            "largest_difference": differences[name],
        }
        for name in ways
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, default=26, help="26: the most that a turn of 36 has")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_zero123(args.checkpoint, device=args.device)
    with torch.inference_mode():
        ways = STUDIES[args.study](model, args.rows)
    about = {
        "checkpoint": args.checkpoint,
        "rows": args.rows,
        "threads": args.threads,
        "processor": processor(),
        "torch": torch.__version__,
    }
    print(json.dumps({**about, "ways": measure(ways, args.repeats)}, indent=2))


if __name__ == "__main__":
    main()
