"""How the training does on objects it never sees: a line of numbers and a sheet of pictures now and then.

Enters: held-out views, the model with its averaged weights. Leaves: ``watch.csv`` and ``watch/STEP.png``.
"""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from PIL import Image

from viewfusion.evaluation.metrics import psnr
from viewfusion.fusion import sample, view_generator
from viewfusion.solvers import make_scheduler
from viewfusion.zero123.model import Zero123

from .views import Views, pose_embeddings, to_float

GUESS_TIMESTEP = 980
"""Nearly pure noise: what the network takes out of it is what it knows of the geometry."""


class Watch:
    """Measures a model on one move of each held-out object.

    Args:
        views: of objects that are not trained on; the move is from an object's first view to its second.
        folder: where the numbers and the sheets go.
        guidance_scale, steps: of the sheets' samples (DPM-Solver++, Karras spacing).
        shown: objects on a sheet.
    """

    def __init__(
        self, views: Views, folder: Path, guidance_scale: float = 2.0, steps: int = 12, shown: int = 12
    ) -> None:
        self.views, self.folder = views, folder
        self.guidance_scale, self.steps, self.shown = guidance_scale, steps, shown

    @torch.no_grad()
    def __call__(self, model: Zero123, step: int, minutes: float) -> None:
        inputs, truth = (to_float(self.views.images[:, view]).to(model.device) for view in (0, 1))
        tokens, cond = self.conditions(model, inputs)
        guess = one_step_guess(model, tokens, cond)
        shown = slice(self.shown)
        made = self.samples(model, tokens[shown], cond[shown])
        numbers = {
            "step": step,
            "minutes": round(minutes, 1),
            "guess_psnr": mean_psnr(guess, truth),
            "sample_psnr": mean_psnr(made, truth[shown]),
            "sample_psnr_input_repeated": mean_psnr(inputs[shown], truth[shown]),
            "psnr_input_repeated": mean_psnr(inputs, truth),
        }
        print("held out", " ".join(f"{name} {value}" for name, value in numbers.items()), flush=True)
        self.write(numbers, [inputs[shown], truth[shown], guess[shown], made])

    def conditions(self, model: Zero123, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (M, 1, D) and condition latents (M, 4, h, w) of the moves."""
        poses = self.views.poses.to(inputs)
        moves = pose_embeddings(poses[:, 0], poses[:, 1])
        return model.project(model.embed_images(inputs), moves), model.encode_cond_latents(inputs)

    def samples(self, model: Zero123, tokens: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) samples, each from its input alone."""
        both = torch.cat([tokens, torch.zeros_like(tokens)]), torch.cat([cond, torch.zeros_like(cond)])

        def denoise(latents: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            predicted = model.predict_noise(latents.repeat(2, 1, 1, 1), timestep, *both)
            told, untold = predicted.float().chunk(2)
            return untold + self.guidance_scale * (told - untold)

        scheduler = make_scheduler("dpm++", model.scheduler_config, self.steps, "karras")
        return model.decode_latents(sample(denoise, scheduler, FixedNoise(cond))).float()

    def write(self, numbers: dict[str, float], columns: list[torch.Tensor]) -> None:
        """A row of the table, and the sheet: input, truth, guess, sample; an object a row."""
        sheets = self.folder / "watch"
        sheets.mkdir(parents=True, exist_ok=True)
        table = self.folder / "watch.csv"
        new = not table.exists()
        with table.open("a", newline="") as file:
            rows = csv.DictWriter(file, list(numbers))
            if new:
                rows.writeheader()
            rows.writerow(numbers)
        sheet = torch.cat([torch.cat(list(column), -2) for column in columns], -1)
        pixels = (to_unit(sheet) * 255).byte().movedim(0, -1).cpu().numpy()
        Image.fromarray(pixels).save(sheets / f"{numbers['step']:07d}.png")


def one_step_guess(model: Zero123, tokens: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
    """(M, 3, H, W) what the network takes nearly pure noise for, in one step."""
    noise = FixedNoise(cond).initial()
    alpha = model.alphas_cumprod[GUESS_TIMESTEP]
    predicted = model.predict_noise(noise, GUESS_TIMESTEP, tokens, cond)
    return model.decode_latents((noise - (1 - alpha).sqrt() * predicted) / alpha.sqrt()).float()


class FixedNoise:
    """The same noise every time, so that two sheets differ by the weights alone."""

    def __init__(self, like: torch.Tensor) -> None:
        self.like, self.generator = like, view_generator(0, 0)

    def initial(self) -> torch.Tensor:
        """As of :class:`viewfusion.fusion.NoiseSource`, for all views at once."""
        return torch.randn(self.like.shape, generator=self.generator).to(self.like)

    step = initial


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) images as a network gives them -> as they are kept, in [0, 1] and 255 steps."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round() / 255


def mean_psnr(ours: torch.Tensor, truth: torch.Tensor) -> float:
    """Decibels, per image and then averaged."""
    return round(float(psnr(to_unit(ours), to_unit(truth)).mean()), 3)
