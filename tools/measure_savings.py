"""What each exact saving inside the network saves of a step: time, operations, and the difference it makes.

    python tools/measure_savings.py --threads 1 --rounds 25 --json savings.json
    python tools/measure_savings.py --threads 1 --full-size --forms viewfusion --rows 2 --json full.json

The forms of one UNet run by turns in one process, on the same inputs; ``plain`` is diffusers' own. ``saved``
is the median over the rounds of 1 - time / plain's time of that round, with its quartiles; on a CPU the time
is that which the process had, so that other work on the machine counts for less. ``share`` is the part of a
plain step's time that its parts take which the form leaves out or shares: steadier, and a bound. The count of
``operations`` is torch's, which on a CPU leaves out attention's two products. ``difference`` is the largest
there is from ``plain``. ``--full-size`` takes a UNet of the released size with random weights.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from make_full_size import ClipSizes
from speed.host import wait_for
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from viewfusion.outputs.files import atomic_path
from viewfusion.zero123 import Conditioned, find_checkpoint, load_zero123
from viewfusion.zero123.conditioned import (
    PlainUNet,
    SingleTokenUNet,
    known_parts,
    substituted,
    transformer_blocks,
)
from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config

TIMESTEP = 500


class KnownAttention(SingleTokenUNet):
    """Of the savings that of cross-attention alone."""

    stem = PlainUNet.stem

    def __init__(self, unet: Any) -> None:
        super().__init__(unet)
        self.twin = substituted(unet, known_parts(unet))

    def __call__(self, latents: torch.Tensor, timesteps: torch.Tensor, told: Conditioned) -> torch.Tensor:
        sample = torch.cat([latents.expand(len(told), -1, -1, -1), told.stem], dim=1)
        values = told.values.split(self.widths, dim=-1)
        return self.twin(sample, timesteps, encoder_hidden_states=values).sample


class SplitConvolution(SingleTokenUNet):
    """Of the savings that of the first layer alone."""

    values = PlainUNet.values

    def __init__(self, unet: Any) -> None:
        super().__init__(unet)
        self.twin = substituted(unet, {"conv_in": nn.Identity()})

    def __call__(self, latents: torch.Tensor, timesteps: torch.Tensor, told: Conditioned) -> torch.Tensor:
        sample = self._first_layer(latents, slice(latents.shape[1])) + told.stem
        return self.twin(sample, timesteps, encoder_hidden_states=told.values).sample


class OneTime(PlainUNet):
    """The time embedding made for one row, which all share; no part of viewfusion, see docs/savings.md."""

    def __init__(self, unet: Any) -> None:
        super().__init__(substituted(unet, {"time_proj": FirstRow(unet.time_proj)}))


class FirstRow(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, timesteps: torch.Tensor) -> torch.Tensor:
        return self.inner(timesteps[:1])


FORMS: dict[str, Any] = {
    "plain": PlainUNet,
    "cross-attention": KnownAttention,
    "first layer": SplitConvolution,
    "time embedding": OneTime,
    "viewfusion": SingleTokenUNet,
}
"""The last is what a run uses."""

PARTS = {
    "cross-attention": ("norm2", "attn2", "add_embedding"),
    "first layer": ("conv_in",),
    "time embedding": ("time_proj", "time_embedding", "time_emb_proj"),
}
"""What of the plain UNet each concerns, by the last word of a part's dotted name; of the ``norm2`` those of
transformer blocks, not of residual ones."""


def full_size_unet() -> Any:
    """A UNet of the released size, 860 M random weights."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config(ldm_config(FULL_SIZE, ClipSizes().hints(), "full size")["unet"])


@torch.inference_mode()
def measure(
    unet: Any, rows: int, rounds: int, device: str = "cpu", forms: Sequence[str] = tuple(FORMS)
) -> dict[str, dict[str, float]]:
    """By form: seconds, what is saved with quartiles, share, operations, difference, largest number."""
    calls = {name: call for name, call in steps(unet, rows, device).items() if name in ("plain", *forms)}
    results: dict[str, dict[str, float]] = {}
    outputs: dict[str, torch.Tensor] = {}
    for name, call in calls.items():
        with FlopCounterMode(display=False) as counter:
            outputs[name] = call().float()
        results[name] = {
            "operations": counter.get_total_flops(),
            "difference": (outputs[name] - outputs["plain"]).abs().max().item(),
            "largest": outputs[name].abs().max().item(),
        }
    names, times = list(calls), {name: [] for name in calls}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(seconds(calls[name], device))
    parts = shares(unet, calls["plain"], rounds, device)
    for name, result in results.items():
        saved = [1 - own / plain for own, plain in zip(times[name], times["plain"], strict=True)]
        low, middle, high = quantiles(saved, n=4, method="inclusive")
        result |= {"seconds": median(times[name]), "saved": middle, "saved_low": low, "saved_high": high}
        result["operations_saved"] = 1 - result["operations"] / results["plain"]["operations"]
        result["share"] = parts.get(name, 0.0)
    return results


def shares(unet: Any, call: Callable[[], Any], rounds: int, device: str) -> dict[str, float]:
    """By form: the part of a plain step's time that is spent in what it concerns, median of ``rounds``."""
    blocks = transformer_blocks(unet)
    within: dict[str, float] = {}
    hooks = []
    for name, module in unet.named_modules():
        block, _, last = name.rpartition(".")
        form = next((form for form, parts in PARTS.items() if last in parts), None)
        if form and (last != "norm2" or block in blocks):

            def entered(*_: Any, form: str = form) -> None:
                within[form] = within.get(form, 0.0) - now(device)

            def left(*_: Any, form: str = form) -> None:
                within[form] += now(device)

            hooks += [module.register_forward_pre_hook(entered), module.register_forward_hook(left)]
    seen: dict[str, list[float]] = {form: [] for form in PARTS}
    for _ in range(rounds):
        within.clear()
        whole = seconds(call, device)
        for form in PARTS:
            seen[form].append(within[form] / whole)
    for hook in hooks:
        hook.remove()
    found = {form: median(each) for form, each in seen.items()}
    return {**found, "viewfusion": found["cross-attention"] + found["first layer"]}


def steps(unet: Any, rows: int, device: str) -> dict[str, Callable[[], torch.Tensor]]:
    """By form: the network call of a step with ``rows`` rows, whose conditions are known."""
    channels, size = unet.config.out_channels, unet.config.sample_size
    generator = torch.Generator().manual_seed(rows)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device, unet.dtype)

    latents, timestep = noise(1, channels, size, size), torch.tensor(TIMESTEP, device=device)
    tokens = noise(rows, 1, unet.config.cross_attention_dim)
    cond_latents = noise(rows, channels, size, size)
    calls = {}
    for name, form in FORMS.items():
        run = form(unet)
        told = Conditioned(run.values(tokens), run.stem(cond_latents))
        calls[name] = partial(run, latents, timestep, told)
    return calls


def seconds(call: Callable[[], Any], device: str) -> float:
    """What ``call`` takes."""
    started = now(device)
    call()
    return now(device) - started


def now(device: str) -> float:
    """Seconds of this process on a CPU, of the clock on anything else once its work is done."""
    if device == "cpu":
        return time.process_time()
    wait_for(torch.device(device))
    return time.perf_counter()


def table(measured: dict[int, dict[str, dict[str, float]]]) -> str:
    """Markdown: a line for each form and number of rows."""
    titles = ("rows", "form", "s", "time saved", "time in its parts", "operations saved", "difference")
    lines = [titles, ("---:", "---", *["---:"] * 5)]
    for rows, forms in measured.items():
        for name, told in forms.items():
            spread = f"{told['saved']:.1%} ({told['saved_low']:.1%} to {told['saved_high']:.1%})"
            parts, saved = f"{told['share']:.2%}", f"{told['operations_saved']:.2%}"
            difference = f"{told['difference']:.1e} of {told['largest']:.1f}"
            lines.append((str(rows), name, f"{told['seconds']:.4g}", spread, parts, saved, difference))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--full-size", action="store_true", help="random weights in place of a checkpoint")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 5, 9, 14], help="of a network call")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="beside plain")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of a CPU")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    unet = full_size_unet() if args.full_size else load_zero123(find_checkpoint(args.checkpoint)).unet
    unet = unet.eval().to(args.device)
    measured = {rows: measure(unet, rows, args.rounds, args.device, args.forms) for rows in args.rows}
    print(table(measured))
    if args.json:
        told = {
            "network": "full size, random" if args.full_size else args.checkpoint,
            "device": args.device if args.device != "cpu" else f"{platform.machine()} CPU",
            "threads": args.threads,
            "rounds": args.rounds,
            "torch": torch.__version__,
            "rows": measured,
        }
        with atomic_path(args.json) as path:
            path.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
