"""Checkpoints in and out: conversions, round trips, and every bad file answered by one line."""

from __future__ import annotations

import ast
import copy
import hashlib
import io
import json
import lzma
import os
import pickle
import sys
import tracemalloc
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from viewfusion.errors import ViewFusionError
from viewfusion.zero123 import Zero123, checkpoint_hash, find_checkpoint, load_zero123, save_zero123
from viewfusion.zero123.ldm_configs import FULL_SIZE, is_full_size, ldm_config
from viewfusion.zero123.ldm_keys import ldm_weights
from viewfusion.zero123.lightning import read_state_dict
from viewfusion.zero123.weights import check_shapes, meta_model

ASSETS = Path(__file__).parent / "assets"
SMALL = {
    "family": "stable-zero123",
    "image_size": 16,
    "unet": {
        "sample_size": 8,
        "in_channels": 8,
        "out_channels": 4,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": 1,
        "cross_attention_dim": 16,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    },
    "vae": {
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": [8, 8],
        "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
        "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
        "layers_per_block": 1,
        "latent_channels": 4,
        "norm_num_groups": 4,
        "scaling_factor": 0.5,
    },
    "image_encoder": {
        "hidden_size": 16,
        "intermediate_size": 32,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
    },
    "scheduler": {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": "v_prediction",
    },
}


@pytest.fixture(scope="module")
def small() -> Zero123:
    torch.manual_seed(0)
    return Zero123.from_config(SMALL).eval()


@pytest.fixture
def folder(small, tmp_path) -> Path:
    return save_zero123(small, tmp_path / "small", dtype=torch.float32, max_shard_size="60KB")


def refusal(*args, **kwargs) -> str:
    """The one line with which loading is refused."""
    with pytest.raises(ViewFusionError) as caught:
        load_zero123(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


# --- our own folder ---------------------------------------------------------------------------------


def test_a_saved_model_loads_bit_for_bit(small, folder):
    loaded = load_zero123(folder)
    assert loaded.config == SMALL
    assert loaded.family == "stable-zero123"
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    expected, actual = small.state_dict(), loaded.state_dict()
    assert list(expected) == list(actual)
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    buffers = dict(loaded.named_buffers())
    assert {name: value.tolist() for name, value in small.named_buffers()} == {
        name: value.tolist() for name, value in buffers.items()
    }
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert [path.name for path in folder.parent.iterdir()] == ["small"]  # no partial folder stays


def test_the_loaded_model_computes_as_the_saved_one(small, folder):
    loaded = load_zero123(folder)
    images = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    with torch.inference_mode():
        for model_method in ("embed_images", "encode_cond_latents"):
            assert torch.equal(getattr(small, model_method)(images), getattr(loaded, model_method)(images))
        latents = small.encode_cond_latents(images)
        tokens = small.project(small.embed_images(images), torch.zeros(1, 4))
        noise = [model.predict_noise(latents, 500, tokens, latents) for model in (small, loaded)]
        assert torch.equal(*noise)
        assert torch.equal(small.decode_latents(latents), loaded.decode_latents(latents))


def test_stored_as_half_loaded_as_float(small, tmp_path):
    path = save_zero123(small, tmp_path / "half")
    assert [file.name for file in path.glob("*.safetensors")] == ["model.safetensors"]
    assert {value.dtype for value in load_file(path / "model.safetensors").values()} == {torch.float16}
    loaded = load_zero123(path)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    weight = small.cc_projection.weight
    assert torch.equal(loaded.cc_projection.weight, weight.half().float())
    half = load_zero123(path, dtype=torch.float16)
    assert half.dtype == torch.float16
    assert half.alphas_cumprod.dtype == torch.float32  # the schedule stays exact


def test_an_original_checkpoint_survives_our_format(tiny_zero123, tmp_path):
    loaded = load_zero123(save_zero123(tiny_zero123, tmp_path / "tiny", dtype=torch.float32))
    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in tiny_zero123.state_dict().items())


def test_saving_refuses_what_it_would_overwrite_or_could_not_read(small, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(ViewFusionError, match="not an empty folder"):
        save_zero123(small, tmp_path / "full")
    (tmp_path / "empty").mkdir()
    assert save_zero123(small, tmp_path / "empty") == tmp_path / "empty"
    odd = copy.deepcopy(small)
    odd.config["family"] = "zero124"
    with pytest.raises(ViewFusionError, match="family"):
        save_zero123(odd, tmp_path / "odd")
    large = copy.deepcopy(small)
    large.cc_projection.bias.data[0] = 1e6
    with pytest.raises(ViewFusionError, match=r"cc_projection\.bias .* not finite in float16"):
        save_zero123(large, tmp_path / "large")
    (tmp_path / "file").write_text("")
    with pytest.raises(ViewFusionError, match="file"):
        save_zero123(small, tmp_path / "file" / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full"]


def edited(folder: Path, *keys: str, value: object) -> Path:
    """Set one entry of the folder's config.json."""
    config = json.loads((folder / "config.json").read_text())
    entry = config
    for key in keys[:-1]:
        entry = entry[key]
    entry[keys[-1]] = value
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("format",), "diffusers", "another program"),
        (("version",), 2, "update viewfusion"),
        (("surprise",), 1, "unknown key surprise"),
        (("family",), "zero1234", "family"),
        (("family",), ["zero123"], "family"),
        (("image_size",), 15, "multiple of 2"),
        (("image_size",), 1e300, "image_size"),
        (("image_size",), True, "image_size"),
        (("image_size",), -(10**400), "image_size"),
        (("unet",), [], "unet must be a mapping"),
        (("unet", "_class_name"), "x", "unknown key"),
        (("unet", "layers_per_block"), 10**9, "layers_per_block"),
        (("unet", "block_out_channels"), [8, 10**9], "block_out_channels"),
        (("unet", "block_out_channels"), [8] * 100, "block_out_channels"),
        (("unet", "block_out_channels"), [], "block_out_channels"),
        (("unet", "block_out_channels"), [[8], 16], "block_out_channels"),
        (("unet", "block_out_channels"), [8, 32], "do not fit the config"),
        (("unet", "down_block_types"), ["os.system", "DownBlock2D"], "can be built"),
        (("unet", "norm_num_groups"), 0, "can be built"),
        (("unet", "downsample_padding"), 4000, "downsample_padding"),
        (("unet", "in_channels"), 4, "another model"),
        (("sampling",), 3, "sampling must be a mapping"),
        (("sampling",), {"eta": 1}, "sampling: unknown key eta"),
        (("sampling",), {"solver": 3}, "solver must be a word"),
        (("sampling",), {"solver": "x" * 100}, "solver is xxx"),
        (("sampling",), {"num_inference_steps": 2.5}, "num_inference_steps must be a whole number"),
        (("sampling",), {"guidance_scale": "3"}, "guidance_scale must be a number"),
        (("sampling",), {"guidance_scale": float("nan")}, "guidance_scale must be a number"),
        (("sampling",), {"leap_sigma": True}, "leap_sigma must be a number"),
        (("unet", "cross_attention_dim"), None, "cross_attention_dim"),
        (("vae", "scaling_factor"), float("nan"), "scaling_factor"),
        (("vae", "scaling_factor"), 0, "scaling_factor"),
        (("vae", "latent_channels"), "4", "latent_channels"),
        (("image_encoder", "_attn_implementation"), "some/repository", "unknown key"),
        (("image_encoder", "num_hidden_layers"), 2, "missing"),
        (("image_encoder", "hidden_act"), "x" * 1000, "hidden_act"),
        (("image_encoder", "hidden_act"), "nothing", "can be built"),
        (("scheduler", "prediction_type"), "sample", "prediction_type"),
        (("scheduler", "beta_schedule"), "linear", "beta_schedule"),
        (("scheduler", "beta_start"), "0.1", "beta_start"),
        (("scheduler", "num_train_timesteps"), 10**9, "num_train_timesteps"),
        (("scheduler", "num_train_timesteps"), 0, "num_train_timesteps"),
        # What could be built, and ended the first view with a traceback.
        (("unet", "norm_eps"), "small", "norm_eps must be a number"),
        (("unet", "mid_block_scale_factor"), "fp16", "mid_block_scale_factor must be a whole number"),
        (("unet", "freq_shift"), [], "freq_shift must be a whole number"),
        (("unet", "norm_num_groups"), -0.5, "norm_num_groups must be a whole number"),
        (("unet", "attention_head_dim"), -1, "attention_head_dim must be a whole number between 1"),
        (("unet", "attention_head_dim"), [2, 0], "attention_head_dim must be a whole number between 1"),
        (("unet", "act_fn"), 7, "act_fn must be a word"),
        (("unet", "addition_embed_type"), "image", "addition_embed_type must be text or null"),
        (("unet", "class_embed_type"), "identity", "class_embed_type must be absent or null"),
        (("unet", "num_class_embeds"), 10, "num_class_embeds must be absent or null"),
        (("unet", "encoder_hid_dim"), 20, "encoder_hid_dim must be absent or null"),
        (("unet", "addition_embed_type"), "text", "addition_embed_type_num_heads must divide"),
        (("unet", "use_linear_projection"), 1, "use_linear_projection must be true or false"),
        (("image_encoder", "num_attention_heads"), -2, "num_attention_heads must be a whole number"),
        (("scheduler", "num_train_timesteps"), 2, "num_train_timesteps must be a whole number between 1000"),
        # What took a minute to build.
        (("unet", "layers_per_block"), 16, "layers_per_block must be a number between -4 and 4"),
    ],
)
def test_a_config_is_checked_before_anything_is_built(folder, keys, value, words):
    message = refusal(edited(folder, *keys, value=value))
    assert words in message
    assert str(folder) in message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", "[" * 100_000, '{"format": 1}', "<html>"])
def test_a_config_that_is_none(folder, text):
    (folder / "config.json").write_text(text)
    assert "config.json" in refusal(folder)


def test_folders_with_something_missing(folder, tmp_path):
    assert "has no config.json" in refusal(tmp_path)
    shard = sorted(folder.glob("*.safetensors"))[0]
    shard.unlink()
    assert f"{shard.name} is missing" in refusal(folder)
    (folder / "model.safetensors.index.json").unlink()
    assert "has neither" in refusal(folder)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "model.bin", "config.json", 7])
def test_an_index_may_not_name_other_files(folder, name):
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["cc_projection.bias"] = name
    index.write_text(json.dumps(content))
    assert "refused" in refusal(folder)


def test_weights_cut_short_at_any_length(small, tmp_path):
    path = save_zero123(small, tmp_path / "whole") / "model.safetensors"
    whole = path.read_bytes()
    lengths = {0, 1, 7, 8, 9, 100, len(whole) - 1, *range(0, len(whole), len(whole) // 40)}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(path.parent)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull" in refusal(path.parent)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_in_a_folder_is_not_waited_for(folder, name, make):
    """A pipe would never answer, a device never end; the hash for the manifest is taken first."""
    (folder / name).unlink()
    make(folder / name)
    assert f"{name}: is no file" in refusal(folder)
    if name == "config.json":
        with pytest.raises(ViewFusionError, match=r"config\.json: is no file"):
            checkpoint_hash(folder)


def test_a_json_file_of_any_length_is_read_no_further_than_it_may(folder):
    with (folder / "config.json").open("rb+") as file:
        file.truncate(2**40)  # a hole, which takes no space
    assert "too large for a config.json" in refusal(folder)


def single(tmp_path: Path, header: dict, data: bytes = b"") -> Path:
    """A safetensors file with any header."""
    text = json.dumps(header).encode()
    path = tmp_path / "single.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_headers_of_millions_are_not_walked(tmp_path, monkeypatch):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    path = single(tmp_path, {f"a{number}": empty for number in range(20_001)})
    assert "20001 tensors" in refusal(path)
    path = single(tmp_path, {"__metadata__": {"a": "x" * 2**24}})
    assert "header too large" in refusal(path)


def test_shapes_that_torch_has_not(tmp_path):
    header = {"a": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}}
    assert "damaged" in refusal(single(tmp_path, header))


@pytest.mark.parametrize("dtype", ["F4", "F8_E4M3", "F8_E5M2", "I8", "BOOL"])
def test_numbers_that_are_no_floats_torch_computes_with(small, tmp_path, dtype):
    """The same 32 bytes under another type; torch raised over the first, and took the next at face value."""
    folder = save_zero123(small, tmp_path / "one")
    state = load_file(folder / "model.safetensors")
    del state["cc_projection.bias"]
    save_file(state, folder / "rest")
    length = int.from_bytes((folder / "rest").read_bytes()[:8], "little")
    header = json.loads((folder / "rest").read_bytes()[8 : 8 + length])
    data = (folder / "rest").read_bytes()[8 + length :]
    (folder / "rest").unlink()
    size = 8 if dtype == "F4" else 16
    header["cc_projection.bias"] = {
        "dtype": dtype,
        "shape": [16],
        "data_offsets": [len(data), len(data) + size],
    }
    single(folder, header, data + bytes(size)).replace(folder / "model.safetensors")
    assert "quantised exports are not supported" in refusal(folder)


def changed(folder: Path, change) -> Path:
    """Apply ``change`` to the weights of a one-file folder."""
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("cc_projection.bias"), "1 missing (cc_projection.bias)"),
        (lambda s: s.update(extra=torch.zeros(1)), "1 unexpected (extra)"),
        (lambda s: s.update({"a\n" * 99: torch.zeros(1)}), "1 unexpected (a\\na"),
        (
            lambda s: s.update({"cc_projection.bias": torch.zeros(3)}),
            "1 wrongly shaped (cc_projection.bias is (3,) where (16,) is wanted)",
        ),
        (lambda s: s["cc_projection.weight"][0].fill_(float("nan")), "cc_projection.weight holds a value"),
        (lambda s: s["cc_projection.bias"][3:4].fill_(float("-inf")), "cc_projection.bias holds a value"),
        (lambda s: s.update({"cc_projection.bias": torch.zeros(16, dtype=torch.int8)}), "torch.int8"),
    ],
)
def test_weights_are_checked_one_by_one(small, tmp_path, change, words):
    message = refusal(changed(save_zero123(small, tmp_path / "one"), change))
    assert words in message
    assert str(tmp_path / "one") in message


def test_weights_too_large_for_the_dtype_asked_for(small, tmp_path):
    path = save_zero123(small, tmp_path / "one", dtype=torch.float32)
    changed(path, lambda state: state["cc_projection.bias"].fill_(1e6))
    assert load_zero123(path).cc_projection.bias[0] == 1e6
    assert "not finite in float16" in refusal(path, dtype=torch.float16)


def test_one_name_in_two_files(folder):
    first, second = sorted(folder.glob("*.safetensors"))[:2]
    save_file(load_file(first) | load_file(second), second)
    assert "in two files" in refusal(folder)


# --- original checkpoints: conversion ---------------------------------------------------------------


@pytest.fixture(scope="module")
def full_state() -> dict[str, torch.Tensor]:
    """The names and shapes of a released full-size file, without memory."""
    lines = lzma.decompress((ASSETS / "full_keys.txt.xz").read_bytes()).decode().splitlines()
    pairs = [line.split(" ", 1) for line in lines]
    return {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in pairs}


def test_a_width_of_heads_goes_before_their_number(full_state):
    """As in the original code; of 320, 640, 1280 and 1280 channels."""
    both = copy.deepcopy(FULL_SIZE)
    both["model"]["params"]["unet_config"]["params"]["num_head_channels"] = 64
    assert ldm_config(both, full_state, "built-in")["unet"]["attention_head_dim"] == [5, 10, 20, 20]
    assert ldm_config(FULL_SIZE, full_state, "built-in")["unet"]["attention_head_dim"] == 8


def test_every_weight_of_a_full_size_file_finds_its_place(full_state):
    assert len(full_state) == 1938
    assert is_full_size(full_state)
    config = ldm_config(FULL_SIZE, full_state, "built-in")
    assert config["image_encoder"]["num_hidden_layers"] == 24
    assert config["image_encoder"]["num_attention_heads"] == 16
    model = meta_model(config, Path("full.ckpt"))
    assert {value.device.type for value in model.parameters()} == {"meta"}
    assert model.latent_shape == (4, 32, 32)
    for use_ema in (True, False):
        source = ldm_weights(full_state, config, Path("full.ckpt"), use_ema)
        check_shapes(source, model)
        assert (
            source.fetch("unet.conv_in.weight")
            is full_state[
                "model_ema.diffusion_modelinput_blocks00weight"
                if use_ema
                else "model.diffusion_model.input_blocks.0.0.weight"
            ]
        )
    # Each name counts: without any one of them, of each kind, the file is refused.
    for name in (
        "model_ema.diffusion_modeltime_embed0weight",
        "first_stage_model.quant_conv.bias",
        "cond_stage_model.model.visual.proj",
        "cc_projection.weight",
    ):
        fewer = {key: value for key, value in full_state.items() if key != name}
        with pytest.raises(ViewFusionError, match="1 missing"):
            check_shapes(ldm_weights(fewer, config, Path("full.ckpt")), model)
    more = full_state | {"model.diffusion_model.extra.weight": torch.empty(1, device="meta")}
    with pytest.raises(ViewFusionError, match="1 unexpected"):
        check_shapes(ldm_weights(more, config, Path("full.ckpt")), model)


@pytest.fixture(scope="module")
def tiny_state(tiny_checkpoint) -> dict[str, torch.Tensor]:
    return read_state_dict(tiny_checkpoint[0])


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "written.ckpt"
    torch.save(content, path)
    return path


def test_other_ways_in(tiny_state, tiny_checkpoint, tiny_zero123, tmp_path):
    """A bare half-precision export without EMA, and the same as safetensors."""
    bare = {name: value.half() for name, value in tiny_state.items() if not name.startswith("model_ema")}
    ckpt = written(tmp_path, bare)
    save_file({name: value.contiguous() for name, value in bare.items()}, tmp_path / "bare.safetensors")
    first = load_zero123(ckpt, tiny_checkpoint[1], family="stable-zero123")
    assert first.family == "stable-zero123"
    assert first.dtype == torch.float32
    second = load_zero123(tmp_path / "bare.safetensors", tiny_checkpoint[1]).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.state_dict().items())
    assert torch.equal(first.cc_projection.weight, tiny_zero123.cc_projection.weight.half().float())


def test_half_of_the_averages_is_not_enough(tiny_state, tiny_checkpoint, tmp_path):
    fewer = {n: v for n, v in tiny_state.items() if not n.startswith("model_ema.diffusion_modelout")}
    path = written(tmp_path, {"state_dict": fewer})
    assert "missing (unet." in refusal(path, tiny_checkpoint[1])


def test_a_config_is_asked_for_where_the_shapes_do_not_tell(tiny_checkpoint):
    assert "--config" in refusal(tiny_checkpoint[0])


def test_a_weight_that_is_not_finite(tiny_state, tiny_checkpoint, tmp_path):
    state = dict(tiny_state)
    name = "cond_stage_model.model.visual.transformer.resblocks.1.attn.in_proj_bias"
    state[name] = state[name].clone()
    state[name][-1] = float("nan")
    message = refusal(written(tmp_path, {"state_dict": state}), tiny_checkpoint[1])
    assert "layers.1.self_attn.v_proj.bias holds a value that is not finite" in message


def with_setting(path: Path, where: str, value: object) -> str:
    """The YAML's text with one dotted entry replaced."""
    content = yaml.safe_load(path.read_text())
    entry = content
    *keys, last = where.split("/")
    for key in keys:
        entry = entry[key]
    entry[last] = value
    return yaml.safe_dump(content)


UNET_PARAMS = "model/params/unet_config/params"
VAE_PARAMS = "model/params/first_stage_config/params"


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("model/params/linear_end", 0.02, "noise schedule"),
        ("model/params/linear_end", "twelve", "not the YAML"),
        ("model/params/beta_schedule", "cosine", "beta_schedule cosine"),
        ("model/params/image_size", "x" * 10**4, "not the YAML"),
        ("model/params/image_size", 10**9, "image_size"),
        ("model/params/unet_config", None, "not the YAML"),
        (f"{UNET_PARAMS}/model_channels", 64, "wrongly shaped"),
        (f"{UNET_PARAMS}/model_channels", "32", "model_channels"),
        (f"{UNET_PARAMS}/channel_mult", [1] * 100, "channel_mult"),
        (f"{UNET_PARAMS}/channel_mult", [1, 2, 4], "do not fit"),
        (f"{UNET_PARAMS}/num_res_blocks", 0, "layers_per_block must be"),
        (f"{UNET_PARAMS}/num_res_blocks", 3, "do not fit"),
        (f"{UNET_PARAMS}/in_channels", 4, "another model"),
        (f"{UNET_PARAMS}/num_classes", 10, "num_classes"),
        (f"{VAE_PARAMS}/embed_dim", 3, "embed_dim"),
        (f"{VAE_PARAMS}/ddconfig/ch", 10**9, "ch and ch_mult"),
        (f"{VAE_PARAMS}/ddconfig/attn_resolutions", [16], "attn_resolutions"),
    ],
)
def test_the_yaml_of_another_model(tiny_checkpoint, tmp_path, where, value, words):
    path = tmp_path / "other.yaml"
    path.write_text(with_setting(tiny_checkpoint[1], where, value))
    assert words in refusal(tiny_checkpoint[0], path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "model: [",
        "\x00",
        "just words",
        "model: 3",
        "model: !!python/object/apply:os.system ['true']",
        "a: &a [1, 1]\nb: &b [*a, *a]\nmodel: {params: *b}",
        "[" * 5000,
        f"model: {{params: {{image_size: 0x{'f' * 9000}}}}}",
    ],
)
def test_a_yaml_that_is_none(tiny_checkpoint, tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    assert "odd.yaml" in refusal(tiny_checkpoint[0], path)


def test_a_yaml_that_is_not_there(tiny_checkpoint, tmp_path):
    assert "check --config" in refusal(tiny_checkpoint[0], tmp_path / "absent.yaml")
    assert "check --config" in refusal(tiny_checkpoint[0], tmp_path)


# --- original checkpoints: hostile and damaged files ------------------------------------------------


class Payload:
    """Runs a command when an ordinary unpickler meets it."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def touch(marker: Path) -> Payload:
    return Payload(os.system, f"touch {marker}")


def hostile_contents(marker: Path) -> dict[str, object]:
    return {
        "as a weight": {"state_dict": {"cc_projection.bias": touch(marker)}},
        "as the whole": touch(marker),
        "in callbacks": {"state_dict": {"w": torch.zeros(1)}, "callbacks": {"x": touch(marker)}},
        "as a key": {"state_dict": {"w": torch.zeros(1)}, "loops": OrderedDict([((touch(marker), 1), 2)])},
        "nested": {"state_dict": {"w": torch.zeros(1)}, "a": [{"b": ({"c": [touch(marker)]},)}]},
        "eval": {"state_dict": Payload(eval, f"open({str(marker)!r}, 'w')")},
        "import": {"state_dict": Payload(__import__, "antigravity")},
        "getattr": {"state_dict": Payload(getattr, Payload(__import__, "os"), "system")},
        "memory": {"state_dict": {"w": torch.zeros(1)}, "a": Payload(bytearray, 10**13)},
    }


@pytest.mark.parametrize("kind", list(hostile_contents(Path("marker"))))
def test_a_pickle_runs_nothing(tmp_path, kind):
    marker = tmp_path / "marker"
    path = written(tmp_path, hostile_contents(marker)[kind])
    message = refusal(path)
    assert "refused" in message
    assert str(path) in message
    assert not marker.exists()


def test_those_pickles_would_run(tmp_path):
    """The control: an ordinary load of the same file does what we refuse."""
    marker = tmp_path / "marker"
    torch.load(written(tmp_path, hostile_contents(marker)["nested"]), weights_only=False)
    assert marker.exists()


def repacked(path: Path, pickled: bytes, **options: object) -> Path:
    """The archive at ``path`` with another ``data.pkl``."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(name, pickled if name.endswith("/data.pkl") else data)
    return path


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_pickle_runs_nothing_in_any_protocol(tmp_path, protocol):
    marker = tmp_path / "marker"
    path = written(tmp_path, {"state_dict": {"w": torch.zeros(1)}})
    repacked(path, pickle.dumps({"state_dict": touch(marker)}, protocol=protocol))
    assert "refused" in refusal(path)
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["written/data.pkl", "written/DATA.pkl", "other/data.pkl"])
def test_a_second_pickle_in_the_archive(tmp_path, name):
    marker = tmp_path / "marker"
    path = written(tmp_path, {"state_dict": {"w": torch.zeros(1)}})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, pickle.dumps(touch(marker), protocol=2))
    assert str(path) in refusal(path)
    assert not marker.exists()


def test_a_compressed_archive_is_no_torch_file(tmp_path):
    path = written(tmp_path, {"state_dict": {"w": torch.zeros(1)}})
    repacked(path, pickle.dumps({"a": "x" * 10**6}, protocol=2), compression=zipfile.ZIP_DEFLATED)
    assert "refused" in refusal(path)


def test_a_word_that_unpacks_to_a_disk_is_not_unpacked(tmp_path):
    path = written(tmp_path, {"state_dict": {"w": torch.zeros(1)}})
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            if name.endswith("/byteorder"):
                archive.writestr(name, bytes(10**8), compress_type=zipfile.ZIP_DEFLATED)
            else:
                archive.writestr(name, data)
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    assert "another byte order" in refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**7


def test_a_path_may_begin_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("~mine.ckpt").touch()
    assert find_checkpoint("~mine.ckpt") == Path("~mine.ckpt")
    with pytest.raises(ViewFusionError, match="not a usable path"):
        find_checkpoint("~nobody-of-that-name/x.ckpt")


def test_bookkeeping_classes_become_placeholders(tmp_path, monkeypatch):
    """Neither the class nor its __setstate__ is called, though it could be imported."""
    calls = []

    class Callback:
        def __getstate__(self):
            return {"a": 1}

        def __setstate__(self, state):
            calls.append(state)

    Callback.__module__, Callback.__qualname__ = "pytorch_lightning.odd", "Callback"
    module = types.ModuleType("pytorch_lightning.odd")
    module.Callback = Callback
    monkeypatch.setitem(sys.modules, "pytorch_lightning.odd", module)
    callbacks = {Callback: 1, "instance": Callback(), "called": Payload(Callback)}
    path = written(tmp_path, {"state_dict": {"w": torch.ones(2)}, "callbacks": callbacks})
    with torch.serialization.safe_globals([Callback]):
        state = read_state_dict(path)
        assert Callback in torch.serialization.get_safe_globals()
    assert state["w"].tolist() == [1, 1]
    assert calls == []


def test_a_placeholder_is_no_weight(tmp_path, monkeypatch):
    module = types.ModuleType("pytorch_lightning.odd")
    module.Odd = type("Odd", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = written(tmp_path, {"state_dict": {"w": module.Odd}})
    assert "w is no tensor" in refusal(path)


def test_a_file_of_another_byte_order(tmp_path, monkeypatch):
    """Its numbers would be read backwards."""
    path = written(tmp_path, {"state_dict": {"w": torch.ones(2)}})
    other = "big" if sys.byteorder == "little" else "little"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, other if name.endswith("/byteorder") else data)
    assert "another byte order" in refusal(path)


def test_a_tensor_larger_than_the_file(tmp_path):
    """A stride of 0 repeats one stored number."""
    path = written(tmp_path, {"state_dict": {"w": torch.zeros(1).expand(2**40)}})
    assert "w is not stored as plain numbers" in refusal(path)


@pytest.mark.parametrize(
    "state",
    [
        {"w": 3},
        {3: torch.zeros(1)},
        {},
        [],
        None,
    ],
)
def test_what_is_no_state_dict(tmp_path, state):
    path = written(tmp_path, {"state_dict": state})
    assert str(path) in refusal(path)


def test_an_original_file_cut_short_at_any_length(tmp_path):
    path = written(tmp_path, {"state_dict": {f"w{i}": torch.ones(100) for i in range(20)}})
    whole = path.read_bytes()
    assert len(read_state_dict(path)) == 20
    del path
    path = tmp_path / "cut.ckpt"
    for length in sorted({0, 1, 2, 3, 4, 30, len(whole) - 1, *range(0, len(whole), len(whole) // 60)}):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(path)


def test_an_original_file_with_any_byte_changed_never_crashes(tmp_path):
    """Damage in the directory or the pickle is either harmless or one line."""
    path = written(tmp_path, {"state_dict": {"w": torch.ones(4)}})
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 150)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        assert refusal(path)  # at best a whole file that is no Zero123


def legacy(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"some text", "not a checkpoint"),
        (b"\x00" * 1000, "not a checkpoint"),
        (b"PK\x03\x04 and nothing more", "cut short"),
        (legacy({"state_dict": {"w": torch.zeros(1)}}), "before torch 1.6"),
        (pickle.dumps(Payload(os.system, "false")), "before torch 1.6"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path, data, words):
    path = tmp_path / "odd.ckpt"
    path.write_bytes(data)
    message = refusal(path)
    assert words in message
    assert str(path) in message


def test_a_zip_that_torch_did_not_save(tmp_path):
    path = tmp_path / "photos.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"")
    assert "not one that torch saved" in refusal(path)


def test_special_files_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in refusal(tmp_path / "pipe")


# --- arguments, names, hashes -----------------------------------------------------------------------


def test_arguments_that_cannot_be_meant(folder, tiny_checkpoint):
    assert "leave --config out" in refusal(folder, config=tiny_checkpoint[1])
    assert "stable-zero123" in refusal(folder, family="zero123")
    assert "family must be one of" in refusal(folder, family="zero1")
    assert "device" in refusal(folder, device="tpu9")
    assert load_zero123(str(folder), family="stable-zero123", device=torch.device("cpu")).family


def test_names(monkeypatch, tmp_path, small):
    from viewfusion import resources

    package = tmp_path / "viewfusion"
    monkeypatch.setattr(resources, "_PACKAGE", package)
    monkeypatch.chdir(ASSETS)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ViewFusionError, match="none is installed"):
        find_checkpoint("nano")
    with pytest.raises(ViewFusionError, match="zero123-nano: is not on this machine; it ships"):
        find_checkpoint("zero123-nano")
    beside = save_zero123(small, tmp_path / "zero123_ckpts" / "zero123-nano")
    (tmp_path / "zero123_ckpts" / "notes").mkdir()
    assert find_checkpoint("zero123-nano") == beside
    installed = save_zero123(small, package / "_data" / "zero123_ckpts" / "zero123-nano")
    assert find_checkpoint("zero123-nano") == installed
    with pytest.raises(ViewFusionError, match=r"nano: no such .*here: zero123-nano\)"):
        find_checkpoint("nano")
    for name in ("../zero123_ckpts", "x" * 5000, "a\x00b"):
        with pytest.raises(ViewFusionError):
            find_checkpoint(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero123-nano").mkdir()
    assert find_checkpoint("zero123-nano") == Path("zero123-nano")  # an existing path wins


def test_hash(folder, tmp_path):
    file = tmp_path / "a.ckpt"
    file.write_bytes(b"abc")
    # The published SHA-256 of "abc".
    assert checkpoint_hash(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    names = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".index.json"))
    lines = [f"{name} {hashlib.sha256((folder / name).read_bytes()).hexdigest()}\n" for name in names]
    before = checkpoint_hash(folder)
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    (folder / "README.md").write_text("not the weights")
    assert checkpoint_hash(folder) == before
    edited(folder, "image_size", value=32)
    assert checkpoint_hash(folder) != before
    with pytest.raises(ViewFusionError, match=r"config\.json cannot be read"):
        checkpoint_hash(tmp_path)
