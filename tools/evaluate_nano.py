"""Held-out numbers of a small Zero123: spins of unseen procedural objects against their true renderings.

    python tools/evaluate_nano.py --checkpoint zero123-nano --objects 60 --out STATE/evaluation

Writes ``results.json`` and ``sheet.png`` (per object: true views above, generated below). Pictures are
compared with repeating the input view, and with guessing white; outlines (intersection over union of what
is not white) with repeating the input's, and with the true ones of a turn the other way. Dotted overrides
change the preset.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from objects import SPLITS, over_white, random_object, render
from PIL import Image

from viewfusion import Config, ViewFusionPipeline, load_config
from viewfusion.evaluation.metrics import bootstrap_interval, outline_overlap, psnr, unit_images
from viewfusion.preprocessing import PreparedImage

SHOWN = 12
MOST_DB = 60.0  # of equal pictures, whose PSNR is infinite
NAMES = (
    "psnr",
    "psnr_input_repeated",
    "psnr_white",
    "outline",
    "outline_input_repeated",
    "outline_other_way",
)


def evaluate(pipeline: ViewFusionPipeline, seed: int, config: Config) -> tuple[list[dict], np.ndarray]:
    """Scores of each generated view of one object's spin, and its two rows of pictures."""
    obj, size = random_object(seed), pipeline.model.image_size
    trajectory = config.trajectory()
    rgba = [render(obj, pose, size) for pose in trajectory.views]
    truth = [over_white(image).numpy() for image in rgba]
    made = pipeline(PreparedImage(rgba[0].numpy(), "rendered"), trajectory, config)
    ours, true = unit_images(made)[1:], unit_images(np.stack(truth))
    true, repeated = true[1:], true[:1].expand_as(ours)
    columns = {
        "psnr": psnr(ours, true),
        "psnr_input_repeated": psnr(repeated, true),
        "psnr_white": psnr(torch.ones_like(ours), true),
        "outline": outline_overlap(ours, true),
        "outline_input_repeated": outline_overlap(repeated, true),
        "outline_other_way": outline_overlap(ours, true.flip(0)),
    }
    rows = [
        {
            "seed": seed,
            "family": obj.family,
            "azimuth_deg": round(view.pose.azimuth_deg, 3),
            **{name: float(values[number].clamp(max=MOST_DB)) for name, values in columns.items()},
        }
        for number, view in enumerate(made[1:])
    ]
    pictures = np.concatenate([np.concatenate(truth, 1), np.concatenate([v.rgb for v in made], 1)], 0)
    return rows, pictures


def summary(rows: list[dict]) -> dict:
    """Means over all views, with 95 % bootstrap intervals over objects of the gains."""
    seeds = sorted({row["seed"] for row in rows})

    def means(chosen: list[dict]) -> dict[str, float]:
        return {name: round(float(np.mean([row[name] for row in chosen])), 3) for name in NAMES}

    def gain(ours: str, other: str) -> dict[str, object]:
        each = [np.mean([r[ours] - r[other] for r in rows if r["seed"] == seed]) for seed in seeds]
        found = bootstrap_interval(each)
        interval = [round(found.low, 3), round(found.high, 3)]
        return {"mean": round(found.mean, 3), "interval_95": interval}

    azimuths = sorted({row["azimuth_deg"] for row in rows})
    by_azimuth = {a: means([row for row in rows if row["azimuth_deg"] == a]) for a in azimuths}
    return {
        "objects": len(seeds),
        **means(rows),
        "gain_db_over_repeating": gain("psnr", "psnr_input_repeated"),
        "outline_gain_over_repeating": gain("outline", "outline_input_repeated"),
        "outline_gain_over_the_other_way": gain("outline", "outline_other_way"),
        "by_azimuth_deg": by_azimuth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--checkpoint", default="zero123-nano")
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--split", choices=SPLITS, default="held-out")
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_intermixed_args()
    pipeline = ViewFusionPipeline.from_checkpoint(args.checkpoint)
    config = load_config(args.preset, [*args.overrides, f"views={args.views}"])
    rows, pictures = [], []
    for number in range(args.objects):
        scores, picture = evaluate(pipeline, SPLITS[args.split] + number, config)
        rows += scores
        pictures += [picture] if number < SHOWN else []
        print(f"{number + 1}/{args.objects} {np.mean([s['psnr'] for s in scores]):.2f} dB", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    result = {"config": config.to_dict(), **summary(rows)}
    (args.out / "results.json").write_text(json.dumps({**result, "views": rows}, indent=1) + "\n")
    Image.fromarray(np.concatenate(pictures, 0)).save(args.out / "sheet.png")
    print(json.dumps({k: v for k, v in result.items() if k != "config"}, indent=1))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
