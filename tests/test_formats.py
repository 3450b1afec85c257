"""The same weights through every format give the same model; foreign and hostile folders give one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_checkpoints import SMALL

from viewfusion import ViewFusionPipeline, load_config
from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.zero123 import (
    Zero123,
    convert_checkpoint,
    load_zero123,
    open_checkpoint,
    save_diffusers,
    save_zero123,
)
from viewfusion.zero123.diffusers_folders import write_diffusers
from viewfusion.zero123.lightning import read_state_dict
from viewfusion.zero123.safetensors_files import write_weights
from viewfusion.zero123.weights import WeightSource, model_weights

PARTS = ("unet", "vae", "image_encoder", "cc_projection")


@pytest.fixture(scope="module")
def original(tiny_checkpoint) -> dict[str, torch.Tensor]:
    """Original names, only what every export keeps: no averages."""
    state = read_state_dict(tiny_checkpoint[0])
    return {name: value.clone() for name, value in state.items() if not name.startswith("model_ema")}


@pytest.fixture(scope="module")
def small_yaml(small_checkpoint) -> Path:
    return small_checkpoint[1]


@pytest.fixture(scope="module")
def bare(original, small_yaml, tmp_path_factory) -> Zero123:
    """The model of :func:`original`."""
    path = tmp_path_factory.mktemp("bare") / "bare.ckpt"
    torch.save({"state_dict": original}, path)
    return load_zero123(path, small_yaml, family="zero123")


def edited(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def as_community_export(folder: Path) -> Path:
    """The layout of kxic's folders: no word of ours, no projection sizes."""
    edited(folder / "model_index.json", _viewfusion=...)
    edited(folder / "cc_projection/config.json", in_channel=..., out_channel=...)
    return folder


def as_clip_camera_projection(folder: Path) -> Path:
    """The other public layout: ashawkey's and bennyguo's."""
    as_community_export(folder)
    other = folder / "clip_camera_projection"
    (folder / "cc_projection").rename(other)
    edited(
        other / "config.json", _class_name="CLIPCameraProjection", embedding_dim=768, additional_embeddings=4
    )
    weights = other / "diffusion_pytorch_model.safetensors"
    save_file({name.replace("projection", "proj"): v for name, v in load_file(weights).items()}, weights)
    edited(
        folder / "model_index.json",
        _class_name="Zero123Pipeline",
        cc_projection=...,
        clip_camera_projection=["zero123", "CLIPCameraProjection"],
    )
    return folder


def as_pickles(folder: Path) -> Path:
    """Weights as ``.bin``, with the names and the buffer that old versions wrote."""
    as_community_export(folder)
    for part in PARTS:
        tower = part == "image_encoder"
        weights = folder / part / ("model.safetensors" if tower else "diffusion_pytorch_model.safetensors")
        state = load_file(weights)
        if tower:
            state["vision_model.embeddings.position_ids"] = torch.arange(5)[None]
        if part == "vae":
            old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
            for new_name, old_name in old.items():
                state = {name.replace(new_name, old_name): value for name, value in state.items()}
            assert sum(".query." in name for name in state) == 4
        weights.unlink()
        name = "pytorch_model.bin" if tower else "diffusion_pytorch_model.bin"
        torch.save(state, weights.with_name(name))
    return folder


def formats(original, bare: Zero123, tmp_path: Path) -> dict[str, Path]:
    """Everything float32, each written by what writes it in the wild or by us."""
    found = {kind: tmp_path / f"{kind}.ckpt" for kind in ("lightning", "old")}
    torch.save({"state_dict": original, "epoch": 3}, found["lightning"])
    torch.save(original, found["old"])
    found["original names"] = tmp_path / "original.safetensors"
    save_file(original, found["original names"])
    found["ours"] = save_zero123(bare, tmp_path / "ours", torch.float32, "500KB")
    single = save_zero123(bare, tmp_path / "single", torch.float32, "1GB")
    found["our names, config in the header"] = tmp_path / "moved.safetensors"
    (single / "model.safetensors").rename(found["our names, config in the header"])
    found["our names, config beside it"] = single / "renamed.safetensors"
    save_file(dict(bare.state_dict()), found["our names, config beside it"])

    def export(name: str, shard: str = "5GB") -> Path:
        return save_diffusers(bare, tmp_path / name, torch.float32, shard)

    found["diffusers"] = export("diffusers")
    found["diffusers, shards"] = export("shards", "300KB")
    found["kxic"] = as_community_export(export("kxic"))
    found["ashawkey"] = as_clip_camera_projection(export("ashawkey"))
    found["pickles"] = as_pickles(export("pickles"))
    return found


def picture(model: Zero123) -> np.ndarray:
    """One view made by the whole pipeline."""
    photo = np.zeros((64, 64, 4), np.uint8)
    photo[16:48, 20:44] = [200, 80, 20, 255]
    config = load_config("fast", ["views=2", "sampling.num_inference_steps=1"])
    return ViewFusionPipeline(model)(photo, config=config)[1].rgb


def test_every_format_gives_the_same_picture(original, bare, small_yaml, tmp_path):
    expected, first = bare.state_dict(), picture(bare)
    assert first.std() > 0
    found = formats(original, bare, tmp_path)
    assert len(found) == 11
    for kind, path in found.items():
        has_config = path.is_dir() or kind.startswith("our")
        model = load_zero123(path, None if has_config else small_yaml, family="zero123")
        state = model.state_dict()
        assert list(state) == list(expected), kind
        assert all(torch.equal(value, state[name]) for name, value in expected.items()), kind
        assert model.scheduler_config == bare.scheduler_config, kind
        assert np.array_equal(picture(model), first), kind


def test_half_precision_exports_agree(original, bare, small_yaml, tmp_path):
    half = {name: value.half() for name, value in original.items()}
    torch.save(half, tmp_path / "half.ckpt")
    save_file(half, tmp_path / "half.safetensors")
    export = as_community_export(save_diffusers(bare, tmp_path / "variant", torch.float16))
    for part in PARTS:
        (weights,) = (export / part).glob("*.safetensors")
        weights.rename(weights.with_name(weights.stem + ".fp16.safetensors"))
    expected = {name: value.half().float() for name, value in bare.state_dict().items()}
    for path in (tmp_path / "half.ckpt", tmp_path / "half.safetensors", export):
        config = None if path.is_dir() else small_yaml
        opened = open_checkpoint(path, config, family="zero123")
        assert set(opened.weights.dtypes.values()) == {"float16"}
        state = load_zero123(path, config, family="zero123").state_dict()
        assert all(torch.equal(value, state[name]) for name, value in expected.items())


def test_full_precision_is_taken_before_a_variant(bare, tmp_path):
    folder = save_diffusers(bare, tmp_path / "both", torch.float32)
    unet = folder / "unet/diffusion_pytorch_model.safetensors"
    zeros = {name: torch.zeros_like(value).half() for name, value in load_file(unet).items()}
    save_file(zeros, unet.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert torch.equal(load_zero123(folder).unet.conv_in.weight, bare.unet.conv_in.weight)


def test_shards_of_a_variant(bare, tmp_path):
    """The index of a variant, its shards named as diffusers has named them at different times."""
    folder = save_diffusers(bare, tmp_path / "shards", torch.float16, "300KB")
    unet = folder / "unet"
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    content = json.loads(index.read_text())
    names = sorted(set(content["weight_map"].values()))
    new = {names[0]: names[0].replace("model-", "model.fp16-")}
    new |= {name: name.replace(".safetensors", ".fp16.safetensors") for name in names[1:]}
    for name in names:
        (unet / name).rename(unet / new[name])
    content["weight_map"] = {name: new[file] for name, file in content["weight_map"].items()}
    index.unlink()
    (unet / "diffusion_pytorch_model.safetensors.index.fp16.json").write_text(json.dumps(content))
    expected = bare.unet.state_dict()
    state = load_zero123(folder).unet.state_dict()
    assert all(torch.equal(value.half().float(), state[name]) for name, value in expected.items())


# --- what we write, others open ---------------------------------------------------------------------


def test_diffusers_and_transformers_open_the_parts(bare, tmp_path):
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    folder = save_diffusers(bare, tmp_path / "export", torch.float32, "400KB")
    opened = {
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "vae": AutoencoderKL.from_pretrained(folder / "vae"),
        "image_encoder": CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder"),
    }
    for part, module in opened.items():
        state, expected = module.state_dict(), getattr(bare, part).state_dict()
        assert list(state) == list(expected)
        assert all(torch.equal(value, state[name]) for name, value in expected.items())
    images = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(
            opened["vae"].eval().encode(images).latent_dist.mode(), bare.encode_cond_latents(images)
        )
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    assert torch.allclose(scheduler.alphas_cumprod, bare.alphas_cumprod, atol=1e-6)
    assert not scheduler.config["clip_sample"]
    assert [path.name for path in tmp_path.iterdir()] == ["export"]  # no partial folder stays


def test_a_diffusers_pipeline_opens_the_folder(bare, tmp_path):
    """With the class that the index names, as the community pipeline has it; our own key is passed over."""
    from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPVisionModelWithProjection

    class Zero1to3StableDiffusionPipeline(DiffusionPipeline):
        def __init__(self, vae, image_encoder, unet, scheduler, cc_projection):
            super().__init__()
            self.register_modules(vae=vae, image_encoder=image_encoder, unet=unet, scheduler=scheduler)

    folder = save_diffusers(bare, tmp_path / "export", torch.float32)
    parts = {
        "vae": AutoencoderKL.from_pretrained(folder / "vae"),
        "image_encoder": CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder"),
        "unet": UNet2DConditionModel.from_pretrained(folder / "unet"),
        "scheduler": DDIMScheduler.from_pretrained(folder / "scheduler"),
    }
    pipeline = Zero1to3StableDiffusionPipeline.from_pretrained(folder, **parts, cc_projection=None)
    assert torch.equal(pipeline.unet.conv_in.weight, bare.unet.conv_in.weight)


def test_a_file_of_ours_is_a_safetensors_file(bare, tmp_path):
    """Read back by the library itself: bytes, alignment, the key that others look for."""
    source = model_weights(bare)
    write_weights(tmp_path, "model", source, torch.bfloat16, "1GB", {"note": "é"})
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert file.metadata() == {"format": "pt", "note": "é"}
        assert list(file.offset_keys()) == list(source.shapes)
    state = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(value.bfloat16(), state[name]) for name, value in bare.state_dict().items())
    header = int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    assert header % 8 == 0


def test_conversions_keep_the_weights_and_the_family(original, bare, small_yaml, tmp_path):
    torch.save(original, tmp_path / "a.ckpt")
    opened = open_checkpoint(tmp_path / "a.ckpt", small_yaml, family="stable-zero123")
    written = []
    convert_checkpoint(opened, tmp_path / "b", "diffusers", "fp32", "1MB", written.append)
    assert sum(written) == sum(value.nbytes for value in bare.state_dict().values())
    convert_checkpoint(open_checkpoint(tmp_path / "b"), tmp_path / "c", "viewfusion", "fp32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        last = open_checkpoint(tmp_path / "c")
    assert last.family_known_by == "its metadata"
    assert last.config["family"] == "stable-zero123"
    state = load_zero123(tmp_path / "c").state_dict()
    assert all(torch.equal(value, state[name]) for name, value in bare.state_dict().items())


def test_conversions_that_cannot_be(original, small_yaml, tmp_path):
    torch.save(original, tmp_path / "a.ckpt")
    opened = open_checkpoint(tmp_path / "a.ckpt", small_yaml, family="zero123")
    for arguments, words in (
        ((tmp_path, "diffusers"), "not an empty folder"),
        ((tmp_path / "b", "onnx"), "--to must be one of viewfusion, diffusers"),
        ((tmp_path / "b", "diffusers", "int8"), "--dtype must be one of fp16, fp32"),
        ((tmp_path / "a.ckpt" / "b", "diffusers"), "cannot be written"),
    ):
        with pytest.raises(ViewFusionError, match=words):
            convert_checkpoint(opened, *arguments)
    large = {**original, "cc_projection.bias": original["cc_projection.bias"] + 1e6}
    torch.save(large, tmp_path / "large.ckpt")
    opened = open_checkpoint(tmp_path / "large.ckpt", small_yaml, family="zero123")
    with pytest.raises(ViewFusionError, match=r"projection\.bias .* float16; use a wider dtype"):
        convert_checkpoint(opened, tmp_path / "b", "diffusers", "fp16")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ckpt", "large.ckpt"]


def test_converting_holds_one_weight_at_a_time(bare, tmp_path):
    """Each weight is fetched once and let go before the next is."""
    state, alive, most = bare.state_dict(), weakref.WeakSet(), 0
    fetched = []

    def fetch(name: str) -> torch.Tensor:
        nonlocal most
        tensor = state[name].clone()
        alive.add(tensor)
        fetched.append(name)
        most = max(most, len(alive))
        return tensor

    shapes = {name: tuple(value.shape) for name, value in state.items()}
    write_diffusers(bare.config, WeightSource(Path("x"), shapes, fetch), tmp_path / "x", torch.float32)
    assert sorted(fetched) == sorted(state)
    assert most <= 2


# --- hostile and broken folders ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    model = Zero123.from_config({**SMALL, "family": "zero123"})
    return save_diffusers(model, tmp_path_factory.mktemp("small") / "export", torch.float16, "20KB")


@pytest.fixture
def export(exported, tmp_path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


def refusal(path: Path, **options: object) -> str:
    """The one line with which opening or loading is refused."""
    with pytest.raises(ViewFusionError) as caught:
        load_zero123(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1200
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"_class_name": "StableDiffusionPipeline"}, "of another model"),
        ({"_class_name": ["pipeline", "Zero123Pipeline"]}, "of another model"),
        ({"_class_name": ...}, "of another model"),
        ({"unet": ["os", "system"]}, "asks for the class os.system"),
        ({"unet": ["evil", "UNet2DModel"]}, "asks for the class evil.UNet2DModel"),
        ({"unet": "UNet2DConditionModel"}, "asks for the class"),
        ({"unet": [["diffusers"], ["UNet2DConditionModel"]]}, "asks for the class"),
        ({"unet": None}, "asks for the class"),
        ({"unet": ...}, "lists no unet"),
        ({"image_encoder": ["transformers", "CLIPVisionModel"]}, "asks for the class"),
        ({"scheduler": ["x" * 10**5, "y" * 10**5]}, "asks for the class"),
        ({"safety_checker": ["evil", "Payload"]}, "asks for the class evil.Payload"),
        ({"text_encoder": ["transformers", "CLIPTextModel"]}, "lists text_encoder"),
        ({"cc_projection": ...}, "cc_projection and clip_camera_projection, lists 0"),
        ({"clip_camera_projection": ["a", "CLIPCameraProjection"]}, "lists 2"),
        ({"cc_projection": ["pipeline", "CLIPCameraProjection"]}, "asks for the class"),
        ({"_viewfusion": 3}, "_viewfusion is none of this version"),
        ({"_viewfusion": {"version": 2}}, "update viewfusion"),
        ({"_viewfusion": {"version": 1, "family": "cats", "image_size": 256}}, "states no family"),
        ({"_viewfusion": {"version": 1, "family": "zero123", "image_size": "256"}}, "states no family"),
        ({"_viewfusion": {"version": 1, "family": "zero123", "image_size": 10**9}}, "image_size"),
        ({"_viewfusion": {"version": 1, "family": "zero123", "image_size": 255}}, "multiple of 2"),
    ],
)
def test_an_index_is_checked_and_nothing_imported(export, changes, words):
    edited(export / "model_index.json", **changes)
    assert words in refusal(export)


def test_a_module_beside_the_index_is_not_run(export, monkeypatch):
    """The control would be diffusers itself, which imports it."""
    marker = export / "ran"
    for place in (export, export / "cc_projection", export / "unet"):
        for name in (
            "pipeline_zero1to3.py",
            "zero123.py",
            "Zero1to3StableDiffusionPipeline.py",
            "pipeline.py",
        ):
            (place / name).write_text(f"open({str(marker)!r}, 'w')")
    monkeypatch.chdir(export)
    assert load_zero123(export).family == "zero123"
    assert not marker.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", "[" * 10**5, "<html>", "\udcff"])
@pytest.mark.parametrize("name", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_json_that_is_none(export, name, text):
    (export / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert name.rpartition("/")[2] in refusal(export)


@pytest.mark.parametrize(
    ("part", "changes", "words"),
    [
        ("unet", {"_class_name": "UNet3DConditionModel"}, "not UNet2DConditionModel"),
        ("unet", {"surprise": {"a": 1}}, "unknown key surprise"),
        ("unet", {"layers_per_block": 10**9}, "layers_per_block"),
        ("unet", {"block_out_channels": [8, 32]}, "do not fit the config"),
        ("unet", {"in_channels": 4}, "another model"),
        ("unet", {"down_block_types": ["os.system", "DownBlock2D"]}, "can be built"),
        ("vae", {"_class_name": ["a"]}, "not AutoencoderKL"),
        ("vae", {"block_out_channels": [10**6] * 2}, "block_out_channels"),
        ("vae", {"scaling_factor": 0}, "scaling_factor"),
        ("vae", {"latent_channels": 8}, "in_channels and out_channels"),
        ("image_encoder", {"model_type": "clip_text_model"}, "not CLIP's image tower"),
        ("image_encoder", {"auto_map": {"AutoModel": "evil--code"}}, "unknown key auto_map"),
        ("image_encoder", {"quantization_config": {"quant_method": "x"}}, "unknown key quantization_config"),
        ("image_encoder", {"_attn_implementation": "someone/kernel"}, None),
        ("image_encoder", {"num_hidden_layers": 2}, "missing"),
        ("cc_projection", {"_class_name": "Linear"}, "not CCProjection"),
    ],
)
def test_the_configs_of_parts_are_checked(export, part, changes, words):
    edited(export / part / "config.json", **changes)
    if words is None:  # private keys are passed over, as diffusers does
        assert load_zero123(export).image_encoder.config._attn_implementation != "someone/kernel"
    else:
        assert words in refusal(export)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trained_betas": [0.1]}, "trained_betas"),
        ({"beta_schedule": "linear"}, "beta_schedule"),
        ({"beta_end": 2}, "beta_end"),
        ({"prediction_type": "sample"}, "prediction_type"),
        ({"num_train_timesteps": 10**9}, "num_train_timesteps"),
        ({"beta_start": ...}, "beta_start"),
    ],
)
def test_the_noise_schedule_is_checked(export, changes, words):
    edited(export / "scheduler/scheduler_config.json", **changes)
    assert words in refusal(export)


def test_an_old_scheduler_predicts_noise(export):
    edited(export / "scheduler/scheduler_config.json", prediction_type=...)
    assert load_zero123(export).config["scheduler"]["prediction_type"] == "epsilon"


@pytest.mark.parametrize(
    "name",
    ["../vae/diffusion_pytorch_model.safetensors", "/etc/passwd", "diffusion_pytorch_model.bin", 7, ""],
)
def test_an_index_of_shards_names_files_of_its_folder_only(export, name):
    index = export / "unet/diffusion_pytorch_model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["conv_in.bias"] = name
    index.write_text(json.dumps(content))
    assert "refused" in refusal(export)


def test_a_pickled_part_runs_nothing(export, tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'marker'}",)

    weights = export / "cc_projection/diffusion_pytorch_model.safetensors"
    weights.unlink()
    torch.save({"projection.weight": Payload()}, weights.with_suffix(".bin"))
    assert "refused" in refusal(export)
    weights.with_suffix(".bin").write_bytes(pickle.dumps(Payload()))
    assert "before torch 1.6" in refusal(export)
    assert not (tmp_path / "marker").exists()


def test_parts_that_are_missing_or_of_another_model(export):
    projection = export / "cc_projection/diffusion_pytorch_model.safetensors"
    whole = projection.read_bytes()
    save_file({"projection.weight": torch.zeros(8, 8), "projection.bias": torch.zeros(8)}, projection)
    assert "wrongly shaped (cc_projection.weight is (8, 8)" in refusal(export)
    save_file({"linear.weight": torch.zeros(8, 8)}, projection)
    assert "1 unexpected (cc_projection.linear.weight)" in refusal(export)
    for length in (0, 7, 100, len(whole) - 1):
        projection.write_bytes(whole[:length])
        assert str(projection) in refusal(export)
    projection.unlink()
    assert "holds no weights" in refusal(export)
    (export / "vae/config.json").unlink()
    assert "has no config.json" in refusal(export)
    (export / "model_index.json").unlink()
    assert "has no config.json" in refusal(export)


def test_weights_of_ours_without_a_config(bare, tmp_path):
    save_file(dict(bare.state_dict()), tmp_path / "lost.safetensors")
    assert "no config.json beside it" in refusal(tmp_path / "lost.safetensors")
    save_file(dict(bare.state_dict()), tmp_path / "odd.safetensors", {"viewfusion": "{"})
    assert "not valid JSON" in refusal(tmp_path / "odd.safetensors")
    save_file(dict(bare.state_dict()), tmp_path / "odd.safetensors", {"viewfusion": "[" * 10**5})
    assert "not valid JSON" in refusal(tmp_path / "odd.safetensors")


def test_a_folder_has_its_own_config(export, small_yaml):
    assert "leave --config out" in refusal(export, config=small_yaml)


# --- the family -------------------------------------------------------------------------------------


def test_an_unknown_family_is_assumed_aloud(export):
    as_community_export(export)
    with pytest.warns(ViewFusionWarning, match=r"export: nothing says .* assuming 'zero123'"):
        assert load_zero123(export).family == "zero123"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_zero123(export, family="stable-zero123").family == "stable-zero123"
        assert ViewFusionPipeline.from_checkpoint(export, device="cpu", family="zero123").model.family


def test_a_stated_family_is_not_contradicted(export):
    edited(
        export / "model_index.json", _viewfusion={"version": 1, "family": "stable-zero123", "image_size": 16}
    )
    assert load_zero123(export).family == "stable-zero123"
    message = refusal(export, family="zero123")
    assert "'stable-zero123' by its metadata, and of 'zero123' by --family" in message
