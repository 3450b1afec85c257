"""What a small Zero123 listens to: its guess in one step, told the truth and told something else.

    python tools/make_dataset.py --out STATE/validation --objects 250 --views 2 --split validation
    python tools/measure_told.py STATE/validation

prints the table of the model card. Each object's move is from its first view to its second; "another
object's" is that of the next one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from nano.views import Views, pose_embeddings, to_float
from nano.watch import mean_psnr, one_step_guess

from viewfusion.zero123 import load_zero123
from viewfusion.zero123.model import Zero123

NO_TURN = (0.0, 0.0, 1.0, 0.0)
OTHER_WAY = (1.0, -1.0, 1.0, 1.0)
"""Factors of a pose embedding: sin of the azimuth changes its sign."""


@torch.no_grad()
def told(model: Zero123, views: Views) -> dict[str, float]:
    """PSNR in dB of the guess, by what the network is told; and of the input repeated."""
    inputs, truth = (to_float(views.images[:, view]) for view in (0, 1))
    embeds, cond = model.embed_images(inputs), model.encode_cond_latents(inputs)
    moves = pose_embeddings(views.poses[:, 0], views.poses[:, 1])
    none, mirrored = moves.new_tensor(NO_TURN).expand_as(moves), moves * moves.new_tensor(OTHER_WAY)
    tellings = {
        "the truth": (embeds, moves, cond),
        "the azimuth turned the other way": (embeds, mirrored, cond),
        "no turn": (embeds, none, cond),
        "another object's camera move": (embeds, moves.roll(1, 0), cond),
        "another object's embedding": (embeds.roll(1, 0), moves, cond),
        "another object's condition latents": (embeds, moves, cond.roll(1, 0)),
    }
    guessed = {
        name: mean_psnr(one_step_guess(model, model.project(embeds, moves), cond), truth)
        for name, (embeds, moves, cond) in tellings.items()
    }
    return {**guessed, "(the input repeated)": mean_psnr(inputs, truth)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("views", type=Path, help="folder of objects-*.npz, two views or more of each")
    parser.add_argument("--checkpoint", default="zero123-nano")
    args = parser.parse_args()
    views = Views.load(args.views)
    print(
        f"{len(views.images)} objects\n\n| what the network is told | PSNR of its guess, dB |\n| --- | --- |"
    )
    for name, decibels in told(load_zero123(args.checkpoint), views).items():
        print(f"| {name} | {decibels:.2f} |")


if __name__ == "__main__":
    main()
