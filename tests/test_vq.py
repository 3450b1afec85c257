"""VQ autoencoders: does a checkpoint whose config names one open, and compute as the original defines it?"""

from __future__ import annotations

import copy
import itertools
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch.nn import functional

from viewfusion import Pose, ViewFusionPipeline, load_config
from viewfusion.errors import ViewFusionError
from viewfusion.zero123 import Zero123, load_zero123, save_diffusers, save_zero123
from viewfusion.zero123.lightning import read_state_dict

VAE = "first_stage_model."
LEVELS, BLOCKS = 4, 2
# The corners of a cube in four dimensions: which one is nearest is seen from the signs.
CODES = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=4)))
SCALE = 0.25


def attention(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}.norm.weight": (channels,),
        f"{prefix}.norm.bias": (channels,),
    }
    for layer in ("q", "k", "v", "proj_out"):
        shapes[f"{prefix}.{layer}.weight"] = (channels, channels, 1, 1)
        shapes[f"{prefix}.{layer}.bias"] = (channels,)
    return shapes


@pytest.fixture(scope="module")
def vq_state(tiny_checkpoint) -> dict[str, torch.Tensor]:
    """The tiny checkpoint with a VQ first stage: four channels out of the encoder, attention at 32 pixels."""
    state = read_state_dict(tiny_checkpoint[0])
    shapes = {name: tuple(value.shape) for name, value in state.items() if name.startswith(VAE)}
    channels = shapes[f"{VAE}encoder.conv_out.weight"][1]
    shapes[f"{VAE}encoder.conv_out.weight"] = (4, channels, 3, 3)
    shapes[f"{VAE}encoder.conv_out.bias"] = (4,)
    shapes[f"{VAE}quant_conv.weight"], shapes[f"{VAE}quant_conv.bias"] = (4, 4, 1, 1), (4,)
    for side, blocks in (("encoder.down", BLOCKS), ("decoder.up", BLOCKS + 1)):
        for block in range(blocks):
            shapes |= attention(f"{VAE}{side}.{LEVELS - 1}.attn.{block}", channels)
    generator = torch.Generator().manual_seed(3)
    drawn = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        drawn[name] = values / (values.numel() / shape[0]) ** 0.5 if len(shape) > 1 else 1 + values / 8
    drawn[f"{VAE}quantize.embedding.weight"] = CODES
    drawn[f"{VAE}loss.logvar"] = torch.zeros(1)  # training's own, as AutoencoderKL's files have it
    return {name: value for name, value in state.items() if name not in shapes} | drawn


@pytest.fixture(scope="module")
def vq_yaml(tiny_checkpoint) -> dict:
    original = yaml.safe_load(tiny_checkpoint[1].read_text())
    original["model"]["params"]["scale_factor"] = SCALE
    first_stage = original["model"]["params"]["first_stage_config"]
    first_stage["target"] = "ldm.models.autoencoder.VQModelInterface"
    first_stage["params"]["n_embed"] = len(CODES)
    first_stage["params"]["ddconfig"] |= {"double_z": False, "attn_resolutions": [32]}
    return original


@pytest.fixture(scope="module")
def vq_checkpoint(vq_state, vq_yaml, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("vq")
    torch.save({"state_dict": vq_state}, folder / "vq.ckpt")
    (folder / "vq.yaml").write_text(yaml.safe_dump(vq_yaml))
    return folder / "vq.ckpt", folder / "vq.yaml"


@pytest.fixture(scope="module")
def vq_model(vq_checkpoint) -> Zero123:
    return load_zero123(*vq_checkpoint)


class Original:
    """The forward passes of a VQ first stage, written down once more from its weights."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = {name.removeprefix(VAE): value for name, value in state.items()}

    def conv(self, name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        weight = self.state[f"{name}.weight"]
        options.setdefault("padding", weight.shape[-1] // 2)
        return functional.conv2d(x, weight, self.state[f"{name}.bias"], **options)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-6)

    def block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(f"{name}.conv1", functional.silu(self.norm(f"{name}.norm1", x)))
        h = self.conv(f"{name}.conv2", functional.silu(self.norm(f"{name}.norm2", h)))
        shortcut = f"{name}.nin_shortcut.weight" in self.state
        return h + (self.conv(f"{name}.nin_shortcut", x) if shortcut else x)

    def attend(self, name: str, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(f"{name}.norm", x)
        q, k, v = (self.conv(f"{name}.{part}", h).flatten(2).mT for part in "qkv")
        mixed = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return x + self.conv(f"{name}.proj_out", mixed.mT.reshape(x.shape))

    def level(self, name: str, number: int, blocks: int, x: torch.Tensor) -> torch.Tensor:
        for index in range(blocks):
            x = self.block(f"{name}.{number}.block.{index}", x)
            if number == LEVELS - 1:
                x = self.attend(f"{name}.{number}.attn.{index}", x)
        return x

    def middle(self, side: str, x: torch.Tensor) -> torch.Tensor:
        x = self.attend(f"{side}.mid.attn_1", self.block(f"{side}.mid.block_1", x))
        return self.block(f"{side}.mid.block_2", x)

    def end(self, side: str, x: torch.Tensor) -> torch.Tensor:
        return self.conv(f"{side}.conv_out", functional.silu(self.norm(f"{side}.norm_out", x)))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        x = self.conv("encoder.conv_in", images)
        for number in range(LEVELS):
            x = self.level("encoder.down", number, BLOCKS, x)
            if number < LEVELS - 1:  # padded at the right and below only
                x = self.conv(
                    f"encoder.down.{number}.downsample.conv",
                    functional.pad(x, (0, 1, 0, 1)),
                    stride=2,
                    padding=0,
                )
        return self.conv("quant_conv", self.end("encoder", self.middle("encoder", x)))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        x = self.middle("decoder", self.conv("decoder.conv_in", self.conv("post_quant_conv", codes)))
        for number in reversed(range(LEVELS)):
            x = self.level("decoder.up", number, BLOCKS + 1, x)
            if number:
                x = functional.interpolate(x, scale_factor=2.0)
                x = self.conv(f"decoder.up.{number}.upsample.conv", x)
        return self.end("decoder", x)


def close(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((actual - expected).abs().max() <= 1e-5 * expected.abs().max())


def test_condition_latents_are_the_encoders_not_quantised(vq_state, vq_model):
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        latents = vq_model.encode_cond_latents(images)
        expected = Original(vq_state).encode(images)
    assert latents.shape == (2, 4, 8, 8)
    assert close(latents, expected)
    assert expected.abs().max() > 0.1
    assert not torch.isin(latents, CODES).any()


def test_decoding_takes_the_nearest_codes_first(vq_state, vq_model):
    generator = torch.Generator().manual_seed(1)
    signs = torch.randint(0, 2, (2, 4, 8, 8), generator=generator) * 2.0 - 1
    latents = signs * (0.05 + 3 * torch.rand(signs.shape, generator=generator))
    with torch.inference_mode():
        image = vq_model.decode_latents(latents * SCALE)
        expected = Original(vq_state).decode(signs)
        other = vq_model.decode_latents(-latents * SCALE)
    assert image.shape == (2, 3, 64, 64)
    assert close(image, expected)
    assert not close(other, expected)


def test_what_else_the_model_says(vq_model):
    assert vq_model.latent_shape == (4, 32, 32)
    assert vq_model.image_size == 256
    assert not any(parameter.requires_grad for parameter in vq_model.parameters())
    assert torch.equal(vq_model.vae.quantize.embedding.weight, CODES)


def test_a_view_is_made(vq_model):
    config = load_config("balanced", ["views=3", "sampling.num_inference_steps=1"])
    photo = Path(__file__).parents[1] / "data/real_images/chair.png"
    pipeline = ViewFusionPipeline(vq_model)
    view = next(iter(pipeline.iter_views(pipeline.prepare(photo), config.trajectory(), config)))
    assert view.rgb.shape == (256, 256, 3)
    assert view.rgb.std() > 1
    assert isinstance(view.pose, Pose)


def test_it_survives_our_own_format(vq_model, tmp_path):
    loaded = load_zero123(save_zero123(vq_model, tmp_path / "saved", dtype=torch.float32))
    assert loaded.config == vq_model.config
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in vq_model.state_dict().items())


def test_a_diffusers_folder_has_no_place_for_it(vq_model, tmp_path):
    with pytest.raises(ViewFusionError, match=r"no place for a VQ .*--to viewfusion"):
        save_diffusers(vq_model, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_half_precision(vq_checkpoint, vq_model):
    half = load_zero123(*vq_checkpoint, dtype=torch.bfloat16)
    latents = torch.ones(1, 4, 4, 4) * SCALE
    with torch.inference_mode():
        image, expected = half.decode_latents(latents.bfloat16()), vq_model.decode_latents(latents)
    assert image.dtype == torch.bfloat16
    assert (image - expected).abs().max() < 0.1 * expected.abs().max()


@pytest.mark.parametrize("package", ["taming", "einops"])
def test_a_missing_package_is_named_with_its_remedy(vq_checkpoint, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("taming", "einops")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(ViewFusionError) as caught:
        load_zero123(*vq_checkpoint)
    message = str(caught.value)
    assert "pip install --no-deps taming-transformers-rom1504 einops" in message
    assert "\n" not in message


def test_an_ordinary_checkpoint_does_without(tiny_checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "taming", None)
    assert load_zero123(*tiny_checkpoint).latent_shape == (4, 32, 32)


def refused(vq_checkpoint: tuple[Path, Path], original: object, tmp_path: Path) -> str:
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(original))
    with pytest.raises(ViewFusionError) as caught:
        load_zero123(vq_checkpoint[0], tmp_path / "other.yaml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("n_embed", 17, "wrongly shaped"),
        ("n_embed", 10**12, "num_vq_embeddings"),
        ("n_embed", "many", "num_vq_embeddings"),
        ("embed_dim", 8, "embed_dim"),
        ("remap", "/etc/passwd", "remap"),
        ("ddconfig/double_z", True, "double_z"),
        ("ddconfig/resolution", -1, "sample_size"),
        ("ddconfig/resolution", 128, "unexpected"),  # then nothing is 32 pixels wide where attention lies
        ("ddconfig/attn_resolutions", [16], "unexpected"),
        ("ddconfig/attn_resolutions", ["32"], "attn_resolutions"),
        ("ddconfig/attn_resolutions", 32, "attn_resolutions"),
        ("ddconfig/ch_mult", [2, 2, 4, 4], "ch_mult"),
        ("ddconfig/ch", 33, "config"),
        ("ddconfig/resamp_with_conv", False, "resamp_with_conv"),
    ],
)
def test_the_yaml_of_another_autoencoder(vq_checkpoint, vq_yaml, tmp_path, where, value, words):
    changed = copy.deepcopy(vq_yaml)
    settings = changed["model"]["params"]["first_stage_config"]["params"]
    *folders, key = where.split("/")
    for folder in folders:
        settings = settings[folder]
    settings[key] = value
    assert words in refused(vq_checkpoint, changed, tmp_path)


def test_the_yaml_of_an_ordinary_autoencoder(vq_checkpoint, tiny_checkpoint, tmp_path):
    original = yaml.safe_load(tiny_checkpoint[1].read_text())
    assert "do not fit the config" in refused(vq_checkpoint, original, tmp_path)


def test_what_a_yaml_names_is_not_imported(vq_checkpoint, vq_yaml, tmp_path):
    changed = copy.deepcopy(vq_yaml)
    changed["model"]["params"]["first_stage_config"]["target"] = "not_there.VQModel"
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(changed))
    assert load_zero123(vq_checkpoint[0], tmp_path / "other.yaml").config["vae"]["num_vq_embeddings"] == 16
