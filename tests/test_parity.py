"""Whole samples and a whole ring against arrays recorded from the original code."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from viewfusion.config import load_config
from viewfusion.fusion import Conditions, FusedDenoiser, fuse, sample
from viewfusion.geometry import ring
from viewfusion.pipeline import ViewFusionPipeline
from viewfusion.preprocessing import PreparedImage
from viewfusion.solvers import make_scheduler, reference_timesteps
from viewfusion.zero123 import Conditioned


def close(ours, theirs, tolerance=1e-4):
    """At most ``tolerance`` x max(1, largest magnitude) apart."""
    theirs = np.asarray(theirs)
    bound = tolerance * max(1.0, float(np.abs(theirs).max()))
    difference = float(np.abs(np.asarray(ours) - theirs).max())
    assert difference <= bound, f"{difference:g} apart, {bound:g} allowed"


class RecordedNoise:
    """Noise read back in the order it was drawn."""

    generator = torch.Generator()  # never drawn from: the solvers here take the step noise

    def __init__(self, initial, steps):
        self._initial, self._steps = torch.from_numpy(initial), iter(torch.from_numpy(steps))

    def initial(self):
        return self._initial

    def step(self):
        return next(self._steps)


@pytest.mark.parametrize("eta", [0, 1])
@pytest.mark.parametrize("steps", [4, 8, 75, 100])
def test_reference_schedule(steps, eta, assets, scheduler_config):
    golden = np.load(assets / "schedule.npz")
    key = f"S{steps}_eta{eta}"
    scheduler = make_scheduler("ddim-reference", scheduler_config, steps)
    np.testing.assert_array_equal(reference_timesteps(steps), golden[f"{key}_timesteps_run"])
    np.testing.assert_array_equal(scheduler.timesteps, golden[f"{key}_timesteps_run"])
    ascending = torch.from_numpy(golden[f"{key}_timesteps"])
    close(scheduler.alphas_cumprod[ascending], golden[f"{key}_alphas"], 1e-6)
    before = ascending - 1000 // steps
    previous = torch.where(
        before >= 0, scheduler.alphas_cumprod[before.clamp(min=0)], scheduler.final_alpha_cumprod
    )
    close(previous, golden[f"{key}_alphas_prev"], 1e-6)
    sigmas = [eta * scheduler._get_variance(t, b) ** 0.5 for t, b in zip(ascending, before, strict=True)]
    close(torch.stack([torch.as_tensor(sigma) for sigma in sigmas]), golden[f"{key}_sigmas"], 1e-6)


SAMPLES = [("ddim_plain", f"eta{eta}") for eta in (0, 1)]
SAMPLES += [("ddim_fused", f"n{n}_eta{eta}") for n in (1, 3, 6) for eta in (0, 1)]
SAMPLES += [("ddim_fused", "indepnoise_n3_eta1")]


@pytest.mark.parametrize(("file", "name"), SAMPLES)
@torch.inference_mode()
def test_whole_samples(file, name, assets, tiny_zero123):
    recorded = np.load(assets / f"{file}.npz")
    golden = {k.removeprefix(f"{name}_"): recorded[k] for k in recorded.files if k.startswith(f"{name}_")}
    weights = golden.get("weights", np.ones(1)).astype(np.float64)
    tokens, cond_latents = (torch.from_numpy(golden[name]) for name in ("c_crossattn", "c_concat"))
    none = tiny_zero123.condition(torch.zeros_like(tokens[:1]), torch.zeros_like(cond_latents[:1]))
    rows = Conditioned.cat([none, tiny_zero123.condition(tokens, cond_latents)])
    denoiser = FusedDenoiser(
        tiny_zero123.predict, Conditions(rows, weights / weights.sum()), float(golden["scale"])
    )
    scheduler = make_scheduler("ddim-reference", tiny_zero123.scheduler_config, int(golden["S"]))
    # Step noise was recorded per reference where it was independent: averaged as ViewNoise averages it.
    shares = torch.from_numpy(weights).float() if golden["noises"].shape[1] > 1 else torch.ones(1)
    noises = np.stack([fuse(torch.from_numpy(each), shares).numpy() for each in golden["noises"]])
    noise = RecordedNoise(golden["x_T"], noises)
    latents = sample(denoiser, scheduler, noise, float(golden["eta"]))
    close(latents, golden["traj"][-1])
    close(tiny_zero123.decode_latents(latents), golden["image"])


def test_whole_ring(assets, tiny_zero123):
    """Eight views made one from another: any error would grow from view to view."""
    golden = np.load(assets / "orbit8_full.npz")
    image = np.clip((golden["cond_image"].transpose(1, 2, 0) + 1) * 127.5, 0, 255)
    rgba = np.concatenate([image.round(), np.full((64, 64, 1), 255)], -1).astype(np.uint8)
    draws = {i: RecordedNoise(d[:1], d[1:, None]) for i, d in enumerate(golden["draws"])}
    pipeline, trajectory = ViewFusionPipeline(tiny_zero123), ring(8)
    config = load_config("reference", ["views=8", f"sampling.num_inference_steps={int(golden['S'])}"])
    views = list(
        pipeline.iter_views(
            PreparedImage(rgba, "recorded", ()),
            trajectory,
            config,
            noise=lambda target: draws[trajectory.order.index(target.view)],
        )
    )
    for made, view in enumerate(views[1:]):
        close(view.image, golden["views"][made], 1e-4)
