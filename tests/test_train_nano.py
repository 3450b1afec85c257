"""The training tool: a miniature of every stage learns, resumes and exports what the package loads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from make_dataset import write_shard
from omegaconf import OmegaConf
from train_nano import (
    CONFIG,
    AutoencoderModule,
    DiffusionModule,
    cached_latents,
    draw_timesteps,
    encode_all,
    evening_weights,
    fit,
    load_dataset,
    opponent,
    to_float,
    trained_model,
)

from viewfusion.geometry import Pose
from viewfusion.zero123 import load_zero123, save_zero123
from viewfusion.zero123.model import Zero123

SMALL = [
    "model.image_size=16",
    "model.vae.sample_size=16",
    "model.vae.block_out_channels=[8,8,8]",
    "model.unet.sample_size=4",
    "model.unet.block_out_channels=[32,32,32]",
    "model.image_encoder.image_size=16",
    "autoencoder.batch_size=8",
    "diffusion.inputs_per_batch=8",
    "precision=32-true",
]


@pytest.fixture(scope="module")
def config():
    return OmegaConf.merge(OmegaConf.load(CONFIG), OmegaConf.from_dotlist(SMALL))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("make_dataset.SHARD", 12)
        write_shard(0, folder, views=3, size=16, first_seed=0)
    return load_dataset(folder)


def model_of(config):
    torch.manual_seed(0)
    return Zero123.from_config(OmegaConf.to_container(config.model))


def diffusion(model, dataset, config):
    return DiffusionModule(model, dataset, encode_all(model, dataset[0]), 0.3, config.diffusion, 1)


def trained(module, steps):
    """Losses of ``steps`` steps without a Trainer."""
    optimizer, losses = module.configure_optimizers(), []
    for _ in range(steps):
        loss = module.loss()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_the_autoencoder_learns(config, dataset):
    torch.manual_seed(0)
    losses = trained(AutoencoderModule(model_of(config), dataset[0], config.autoencoder, 1), 60)
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])


def test_the_diffusion_learns(config, dataset):
    torch.manual_seed(0)
    losses = trained(diffusion(model_of(config), dataset, config), 60)
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:5])


def test_moves_are_what_the_network_is_told_when_used(config, dataset):
    """The training data's pose embedding is the package's; a mirrored pair turns the other way."""
    model = model_of(config)
    module = diffusion(model, dataset, config)
    rows, source, targets = torch.tensor([0, 5]), torch.tensor([0, 1]), torch.tensor([2, 0])
    poses = dataset[1]
    told = module.moves(rows, torch.tensor([False, True]), source, targets)
    for n in range(2):
        ours = Pose(*map(float, poses[rows[n], targets[n]]))
        theirs = Pose(*map(float, poses[rows[n], source[n]]))
        expected = model.pose_embedding(ours, [theirs])[0]
        expected[1] *= -1 if n else 1
        torch.testing.assert_close(told[n], expected, atol=1e-5, rtol=0)


def test_targets_are_never_their_own_input(config, dataset):
    module = diffusion(model_of(config), dataset, config)
    for _ in range(20):
        _, _, source, targets = module.draw()
        assert not (source[:, None] == targets).any()


def test_grey_has_no_colour():
    image = torch.full((1, 3, 2, 2), 0.3)
    assert opponent(image)[0, :, 0, 0].tolist() == pytest.approx([0.3, 0, 0], abs=1e-6)
    assert to_float(torch.tensor([[[[0, 255, 51]]]], dtype=torch.uint8)).flatten().tolist() == pytest.approx(
        [-1, 1, -0.6]
    )


def test_stages_resume_and_export(config, dataset, tmp_path):
    """A budget of some steps each; a second run goes on from the first one's steps; the export loads."""
    state = tmp_path / "state"
    for _ in range(2):
        model = trained_model(config, state)
        fit(
            AutoencoderModule(model, dataset[0], config.autoencoder, 0.03), state, "autoencoder", config, None
        )
    first = torch.load(state / "autoencoder/last.ckpt", weights_only=False)
    assert first["global_step"] > 0
    assert first["state_dict"]["trained_seconds"] >= 0.03 * 60
    model = trained_model(config, state)
    latents = cached_latents(model, dataset[0], state)
    assert torch.equal(cached_latents(model, dataset[0], state), latents)
    module = DiffusionModule(model, dataset, latents, 0.3, config.diffusion, 0.03)
    fit(module, state, "diffusion", config, 0.9)
    # Averaged like a weight, the clock would run late and a resumed run train too long.
    kept = torch.load(state / "diffusion/last.ckpt", weights_only=False)["state_dict"]
    assert kept["trained_seconds"] >= 0.03 * 60
    done = trained_model(config, state)
    assert not torch.equal(done.cc_projection.weight, model_of(config).cc_projection.weight)
    loaded = load_zero123(save_zero123(done, tmp_path / "export", dtype=torch.float32))
    for name, value in done.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert math.isfinite(loaded.embed_images(torch.zeros(1, 3, 16, 16)).sum())


def test_noises_are_drawn_evenly_by_their_logarithm():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64).square()
    alphas = (1 - betas).cumprod(0).float()
    torch.manual_seed(0)
    steps = draw_timesteps(20_000, alphas, 1.0)
    logs = (1 / alphas[steps] - 1).sqrt().log()
    low, high = (1 / alphas[[0, -1]] - 1).sqrt().log()
    shares = ((logs - low) / (high - low)).quantile(torch.tensor([0.25, 0.5, 0.75]))
    torch.testing.assert_close(shares, torch.tensor([0.25, 0.5, 0.75]), atol=0.02, rtol=0.0)
    assert draw_timesteps(20_000, alphas, 0.5).float().mean() > steps.float().mean()
    assert 0 <= steps.min() < steps.max() <= 999


def test_the_best_guess_without_a_picture_costs_the_same_at_every_noise():
    """x0 ~ N(0, s^2) leaves s^2 r / (s^2 + r) of itself unknown, r being noise over signal, squared."""
    alphas, spread = torch.tensor([0.999, 0.9, 0.5, 0.1, 0.005]), 0.3
    ratio = 1 / alphas - 1
    left = spread**2 * ratio / (spread**2 + ratio)
    error_of_v = left * (1 + ratio) / ratio
    torch.testing.assert_close(error_of_v * evening_weights(alphas, spread), torch.ones(5))
