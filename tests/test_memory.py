"""What a network takes of memory: the estimate against what is alive at once, and what is said of no room."""

from __future__ import annotations

import ast
import copy
import json
import lzma
import weakref
from pathlib import Path

import pytest
import torch
from test_pipeline import photo
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from viewfusion import ViewFusionError, ViewFusionPipeline, load_config, load_zero123
from viewfusion.config import changed
from viewfusion.zero123 import find_checkpoint, memory, open_checkpoint
from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config
from viewfusion.zero123.memory import Needs, gigabytes, is_out_of_memory, needs
from viewfusion.zero123.weights import meta_model

MIB = 2**20


class Alive(TorchDispatchMode):
    """Counts the bytes of tensors that were made inside and live at once."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        # Views of weights are no memory of their own.
        self.known = {each.untyped_storage()._cdata for each in [*model.parameters(), *model.buffers()]}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self.count(each.untyped_storage())
        return made

    def count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.gone, storage._cdata, storage.nbytes())

    def gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


class OneKernel(TorchFunctionMode):
    """Attention as devices have it, whose scores nobody sees; without one torch spells it out."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is functional.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return function(*args, **(kwargs or {}))


def full_size() -> dict:
    """The config of a released file, by its shapes."""
    packed = (Path(__file__).parent / "assets/full_keys.txt.xz").read_bytes()
    lines = [line.split(" ", 1) for line in lzma.decompress(packed).decode().splitlines()]
    state = {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in lines}
    return {**ldm_config(FULL_SIZE, state, "full"), "family": "zero123"}


def configs(tiny_checkpoint) -> dict[str, dict]:
    nano = find_checkpoint("zero123-nano") / "config.json"
    tiny = open_checkpoint(*tiny_checkpoint, family="zero123").config
    return {"nano": json.loads(nano.read_text()), "tiny": tiny, "full": full_size()}


@pytest.fixture(scope="module")
def models(tiny_checkpoint):
    """Of three sizes, without weights."""
    return {name: meta_model(config, Path(name)) for name, config in configs(tiny_checkpoint).items()}


@pytest.mark.parametrize("name", ["nano", "tiny", "full"])
@torch.inference_mode()
def test_the_estimate_is_what_lives_at_once_and_little_more(models, name):
    """It is a bound, of the UNet and of the decoder, and no more than 1.3 times what they take."""
    model = models[name]
    wanted, meta = needs(model, torch.float32), {"device": "meta"}
    with OneKernel(), Alive(model) as unet:
        latents = torch.empty(3, *model.latent_shape, **meta)
        tokens = torch.empty(3, 1, model.cc_projection.out_features, **meta)
        given = unet.now
        model.unet(torch.cat([latents, latents], dim=1), torch.empty(3, **meta), encoder_hidden_states=tokens)
    with OneKernel(), Alive(model) as decoder:
        model.vae.decode(torch.empty(1, *model.latent_shape, **meta))
    assert (unet.peak - given) / 3 <= wanted.row <= 1.3 * (unet.peak - given) / 3
    assert decoder.peak <= wanted.picture <= 1.3 * decoder.peak


@pytest.mark.parametrize("name", ["nano", "tiny", "full"])
@torch.inference_mode()
def test_features_that_are_kept_are_counted(models, name):
    """They are all that is left of a call; and there beside what the next one takes."""
    model, rows = models[name], 3
    wanted, meta = needs(model, torch.float32), {"device": "meta"}
    with OneKernel(), Alive(model) as unet:
        latents = torch.empty(rows, *model.latent_shape, **meta)
        tokens = torch.empty(rows, 1, model.cc_projection.out_features, **meta)
        told = model.condition(tokens, latents).keeping()
        given = unet.now
        model.predict(latents, torch.empty((), **meta), told)
        assert unet.now - given == rows * wanted.kept
        for again in (told, told.lightly()):
            model.predict(latents, torch.empty((), **meta), again)
    assert unet.peak - given <= rows * (wanted.row + wanted.kept)


def test_room_for_what_is_kept_is_asked_for(models, small_checkpoint, monkeypatch):
    """Before sampling, for all rows of the fullest step: of a ring of 4 three references and nothing."""
    model, asked = models["full"], []
    wanted = needs(model, torch.float32)
    monkeypatch.setattr(memory, "device_memory", lambda device: wanted.picture + 3 * wanted.kept)
    memory.check_working(model, kept_rows=3)
    with pytest.raises(ViewFusionError, match="besides the model"):
        memory.check_working(model, kept_rows=4)
    pipeline = ViewFusionPipeline(load_zero123(*small_checkpoint, family="zero123"))
    monkeypatch.setattr("viewfusion.pipeline.check_working", lambda model, rows: asked.append(rows))
    for changes in ({}, {"reuse_steps": 2}, {"reuse_steps": 2, "schedule": "paired"}):
        config = changed(load_config(), views=4, num_inference_steps=1, **changes)
        next(pipeline.iter_views(photo(), config.trajectory(), config))
    assert asked == [0, 4, 4]


def test_weights_are_counted_by_their_types(models):
    """A released model: 5.0 GB; in half precision the autoencoder, 84 million numbers, stays as it is."""
    whole, half = (
        sum(needs(models["full"], kind).weights.values()) for kind in (torch.float32, torch.float16)
    )
    assert whole == pytest.approx(4.99e9, rel=0.01)
    assert half == whole / 2 + needs(models["full"], torch.float32).weights["vae"] / 2
    assert sum(needs(models["full"], torch.bfloat16).weights.values()) == whole / 2


def test_a_released_model_fits_a_card_of_8_gb_in_half_precision(models):
    """With all 26 rows that a step of a turn of 36 has at most; docs/memory.md tells these numbers."""
    half = needs(models["full"], torch.float16)
    assert half.row == pytest.approx(18.4e6, rel=0.01)
    assert half.picture == pytest.approx(0.235e9, rel=0.01)
    assert half.least() + 25 * half.row < 3.4e9


def test_offloaded_one_part_is_there_at_a_time():
    sizes = Needs({"unet": 100, "vae": 20, "image_encoder": 130, "cc_projection": 1}, row=40, picture=60)
    assert sizes.least() == 251 + 60
    assert sizes.least(offload=True) == 140
    assert Needs({"unet": 100, "vae": 90}, row=10, picture=60).least(offload=True) == 150


@pytest.mark.parametrize(
    ("free", "words"),
    [
        # What a released model takes: 5.3 GB, halves of it but for the autoencoder, the UNet alone 3.5.
        (5.0e9, r"in float32, and meta has 5\.00 GB free; use --dtype float16, which takes about 2\.9\d GB"),
        (2.5e9, r"use --dtype float16 --offload, which takes about 1\.7\d GB in all$"),
        (1.0e9, "close other programs, or use --device cpu or a larger device$"),
    ],
)
def test_a_device_too_small_is_told_what_would_fit(models, monkeypatch, free, words):
    monkeypatch.setattr(memory, "device_memory", lambda device: int(free))
    with pytest.raises(ViewFusionError, match=words):
        memory.check_loading(models["full"], torch.device("meta"), torch.float32)
    monkeypatch.setattr(memory, "device_memory", lambda device: int(6e9))
    memory.check_loading(models["full"], torch.device("meta"), torch.float32)


def test_it_is_told_before_a_weight_is_read(small_checkpoint, monkeypatch):
    """Of any device but a CPU; this one has no memory at all."""
    monkeypatch.setattr(memory, "device_memory", lambda device: 1000)
    read = []
    monkeypatch.setattr("viewfusion.zero123.weights.read_weight", lambda *given: read.append(given))
    with pytest.raises(
        ViewFusionError, match=r"the model takes about 0\.07 GB in float32, and meta has 0\.00"
    ):
        load_zero123(*small_checkpoint, family="zero123", device="meta")
    assert not read


def test_a_move_to_a_device_too_small_is_refused(small_checkpoint, monkeypatch):
    pipeline = ViewFusionPipeline(load_zero123(*small_checkpoint, family="zero123"))
    monkeypatch.setattr(memory, "device_memory", lambda device: 1000)
    for move in (pipeline.to, pipeline.enable_model_cpu_offload):
        with pytest.raises(ViewFusionError, match=r"meta has 0\.00 MB free"):
            move("meta")
    assert pipeline.device.type == "cpu"


def test_a_model_that_is_there_is_not_asked_to_fit_again(small_checkpoint, monkeypatch):
    pipeline, asked = ViewFusionPipeline(load_zero123(*small_checkpoint, family="zero123")), []
    monkeypatch.setattr("viewfusion.pipeline.check_loading", lambda *given, **_: asked.append(given))
    pipeline.to("cpu")
    pipeline.enable_model_cpu_offload("cpu")
    assert pipeline.model.offloads
    assert not asked


def test_room_for_a_view_is_asked_for_before_sampling(models, monkeypatch):
    """Weights are in already; under offloading they come and go."""
    model = models["full"]
    monkeypatch.setattr(memory, "device_memory", lambda device: int(0.3e9))
    memory.check_working(model)
    monkeypatch.setattr(memory, "device_memory", lambda device: int(0.2e9))
    with pytest.raises(
        ViewFusionError, match=r"takes about 0\.23 GB besides the model, and meta has 0\.20 GB left; use"
    ):
        memory.check_working(model)


def test_an_offloaded_part_makes_room_for_the_next(models, monkeypatch):
    """A second photo is begun with a part of the first one's on the device, which is not free then."""
    model = copy.copy(models["full"])
    model._offloads = True
    there = sum(each.nbytes for each in model.parameters())
    least = needs(model, torch.float32).least(offload=True)
    monkeypatch.setattr(memory, "device_memory", lambda device: least - there)
    memory.check_working(model)
    monkeypatch.setattr(memory, "device_memory", lambda device: least - there - 1)
    with pytest.raises(ViewFusionError, match="besides the model"):
        memory.check_working(model)


def test_out_of_memory_is_known_by_what_is_raised():
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(real.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."))
    assert is_out_of_memory(MemoryError())
    for library in ("CUDA error: CUBLAS", "cuDNN error: CUDNN"):
        assert is_out_of_memory(RuntimeError(f"{library}_STATUS_ALLOC_FAILED"))
    with pytest.raises(RuntimeError) as other:
        torch.ones(2, 3) @ torch.ones(2, 3)
    assert not is_out_of_memory(other.value)
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_sizes_are_told_so_that_small_ones_are_seen():
    assert [gigabytes(size) for size in (4.991e9, 5e6, 1.5e6)] == ["4.99 GB", "0.01 GB", "1.50 MB"]
