"""The model's stages against arrays recorded from the original code, and its own arithmetic by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from viewfusion.geometry import Pose
from viewfusion.zero123 import Zero123, load_zero123

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture(scope="module")
def recorded() -> dict[str, torch.Tensor]:
    with np.load(ASSETS / "zero123_units.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.inference_mode():
        yield


def assert_agrees(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert actual.shape == expected.shape
    expected = expected.float()
    assert (actual - expected).abs().max() <= tolerance * max(1.0, expected.abs().max().item())


def image(recorded: dict[str, torch.Tensor], size: int) -> torch.Tensor:
    return (recorded[f"img{size}_u8"].float() / 127.5 - 1).permute(2, 0, 1)[None]


@pytest.mark.parametrize("name", ["unet", "unet3"])
def test_noise_with_averaged_weights(tiny_zero123, recorded, name):
    noise = tiny_zero123.predict_noise(
        recorded[f"{name}_x"],
        recorded[f"{name}_t"],
        recorded[f"{name}_c_crossattn"],
        recorded[f"{name}_c_concat"],
    )
    assert_agrees(noise, recorded[f"{name}_eps"])


def test_noise_with_raw_weights(tiny_checkpoint, recorded):
    model = load_zero123(*tiny_checkpoint, use_ema=False)
    names = ("unet_x", "unet_t", "unet_c_crossattn", "unet_c_concat")
    noise = model.predict_noise(*(recorded[name] for name in names))
    assert_agrees(noise, recorded["unet_eps_raw"])
    assert (noise - recorded["unet_eps"]).abs().max() > 0.1  # the two sets do differ


def test_the_timestep_may_be_an_integer(tiny_zero123, recorded):
    row = {name: recorded[f"unet3_{name}"][:1] for name in ("x", "t", "c_crossattn", "c_concat", "eps")}
    noise = tiny_zero123.predict_noise(row["x"], int(row["t"]), row["c_crossattn"], row["c_concat"])
    assert_agrees(noise, row["eps"])


@pytest.mark.parametrize("size", [64, 256])
def test_condition_latents(tiny_zero123, recorded, size):
    latents = tiny_zero123.encode_cond_latents(image(recorded, size))
    assert_agrees(latents, recorded[f"vae{size}_mode"])


@pytest.mark.parametrize("size", [64, 256])
def test_image_embeddings(tiny_zero123, recorded, size):
    seen = []
    hook = tiny_zero123.image_encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        embeds = tiny_zero123.embed_images(image(recorded, size))
    finally:
        hook.remove()
    assert_agrees(seen[0][:, :, ::37, ::37], recorded[f"clip{size}_preprocessed_corner"])
    assert_agrees(embeds, recorded[f"clip{size}_embed"][:, 0])


@pytest.mark.parametrize(("name", "tolerance"), [("vae_dec", 1e-4), ("vae_dec256", 2e-3)])
def test_decoded_images(tiny_zero123, recorded, name, tolerance):
    # The larger one was stored as float16.
    decoded = tiny_zero123.decode_latents(recorded[f"{name}_in"])
    assert_agrees(decoded, recorded[f"{name}_out"], tolerance)


def test_projection(tiny_zero123, recorded):
    embeds = recorded["clip256_embed"][:, 0].repeat(3, 1)
    assert_agrees(tiny_zero123.project(embeds, recorded["pose"]), recorded["cc_projection_out"])


def test_what_a_loaded_model_says_of_itself(tiny_zero123):
    assert tiny_zero123.family == "zero123"
    assert tiny_zero123.image_size == 256
    assert tiny_zero123.latent_shape == (4, 32, 32)
    assert tiny_zero123.device == torch.device("cpu")
    assert tiny_zero123.dtype == torch.float32
    assert not tiny_zero123.training
    assert not any(parameter.requires_grad for parameter in tiny_zero123.parameters())
    assert tiny_zero123.scheduler_config == {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "epsilon",
        "set_alpha_to_one": False,
        "steps_offset": 1,
        "clip_sample": False,
        "thresholding": False,
    }


def test_pose_embedding(tiny_zero123):
    target = Pose(math.radians(90), math.radians(10), 1.7)
    rows = tiny_zero123.pose_embedding(target, [Pose(0.0, math.radians(40), 1.5), target])
    # 30 degrees down is 30 degrees more polar angle; a quarter turn has sine 1 and cosine 0.
    expected = torch.tensor([[math.pi / 6, 1.0, 0.0, 0.2], [0.0, 0.0, 1.0, 0.0]])
    assert rows.dtype == tiny_zero123.dtype
    torch.testing.assert_close(rows, expected, atol=1e-6, rtol=0)


class HalfOfTheLatents(nn.Module):
    """Predicts half of the noisy latents, whatever the rest."""

    def forward(self, x, timesteps, encoder_hidden_states):
        return SimpleNamespace(sample=x[:, :4] / 2)


def closed_form(prediction_type: str, family: str = "zero123") -> Zero123:
    # Two steps of beta 0.36: alphas_cumprod 0.64 and 0.4096, roots 0.8 and 0.64.
    scheduler = {
        "num_train_timesteps": 2,
        "beta_start": 0.36,
        "beta_end": 0.36,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction_type,
    }
    config = {"family": family, "image_size": 8, "scheduler": scheduler}
    return Zero123(HalfOfTheLatents(), nn.Identity(), nn.Identity(), nn.Linear(7, 3), config)


def test_predicted_velocity_becomes_noise():
    model = closed_form("v_prediction")
    latents = torch.tensor([1.0, -2.0])[:, None, None, None].expand(2, 4, 1, 1)
    noise = model.predict_noise(latents, torch.tensor([0, 1]), torch.zeros(2, 1, 3), torch.zeros(2, 4, 1, 1))
    # noise = sqrt(a) v + sqrt(1 - a) x with v = x / 2.
    expected = torch.tensor([0.8 * 0.5 + 0.6 * 1.0, 0.64 * -1.0 + math.sqrt(0.5904) * -2.0])
    torch.testing.assert_close(noise[:, 0, 0, 0], expected)
    assert model.scheduler_config["prediction_type"] == "epsilon"


def test_predicted_noise_is_left_alone():
    latents = torch.full((1, 4, 2, 2), 3.0)
    noise = closed_form("epsilon").predict_noise(latents, 1, torch.zeros(1, 1, 3), torch.zeros(1, 4, 2, 2))
    assert torch.equal(noise, latents / 2)


def test_an_unknown_prediction_type_is_an_error():
    model = closed_form("sample")
    with pytest.raises(ValueError, match="prediction_type"):
        model.predict_noise(torch.zeros(1, 4, 1, 1), 0, torch.zeros(1, 1, 3), torch.zeros(1, 4, 1, 1))


def test_stable_zero123_is_told_the_absolute_polar_angle():
    rows = closed_form("epsilon", "stable-zero123").pose_embedding(Pose(0.0, 0.0), [Pose(0.0, math.pi / 6)])
    torch.testing.assert_close(rows, torch.tensor([[math.pi / 6, 0.0, 1.0, math.pi / 3]]))


def test_import_leaves_the_heavy_libraries_alone():
    code = (
        "import sys, viewfusion.zero123; "
        "print(sorted({'diffusers', 'transformers', 'huggingface_hub', 'omegaconf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
