"""Every call of the network in chunks: the same predictions whatever they are, and what comes of no room."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from test_conditioned import Watch

from viewfusion import ViewFusionError, ViewFusionPipeline, load_config, load_zero123
from viewfusion.errors import ViewFusionWarning
from viewfusion.zero123 import BatchedPredictor, batching
from viewfusion.zero123.compiling import BUCKETS, bucket
from viewfusion.zero123.memory import needs

ROWS = 7


@pytest.fixture(scope="module")
def model(small_checkpoint):
    return load_zero123(*small_checkpoint, family="zero123")


@pytest.fixture(scope="module")
def told(model):
    """(latents (ROWS, 4, h, w), conditions of as many rows)."""
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        latents, conds = (torch.randn(ROWS, *model.latent_shape, generator=draw) for _ in range(2))
        tokens = torch.randn(ROWS, 1, model.cc_projection.out_features, generator=draw)
        return latents, model.condition(tokens, conds)


@pytest.fixture
def narrow(model, monkeypatch):
    """``narrow(limit, error)``: the network runs out of memory with more than ``limit`` rows, as devices say
    it; the list of the rows of each call."""

    def set_limit(limit, error=None):
        real, calls = model.predict, []

        def predict(latents, timestep, conditioned):
            calls.append(len(conditioned))
            if len(conditioned) > limit:
                if error is None:
                    torch.empty(2**60, dtype=torch.uint8)  # what this machine's allocator says
                raise error
            return real(latents, timestep, conditioned)

        monkeypatch.setattr(model, "predict", predict)
        return calls

    return set_limit


@torch.inference_mode()
def test_chunks_make_no_difference(model, told):
    """With latents and timesteps of their own, or of all rows."""
    latents, conditioned = told
    steps = torch.arange(ROWS) * 100 + 1
    for given, when in [(latents, 500), (latents[:1], torch.tensor(500)), (latents, steps)]:
        whole = model.predict(given, when, conditioned)
        for most in (2, 3, 100):
            chunked = BatchedPredictor(model, most)(given, when, conditioned)
            assert (chunked - whole).abs().max() < 1e-5
    reference = model.predict(latents[4:5], steps[4:5], conditioned[4:5])
    assert (BatchedPredictor(model, 3)(latents, steps, conditioned)[4:5] - reference).abs().max() < 1e-5


@torch.inference_mode()
def test_a_single_row_of_latents_and_of_conditions(model, told):
    latents, conditioned = told
    made = BatchedPredictor(model, 4)(latents[:1], torch.tensor([5]), conditioned[:1])
    assert made.shape == latents[:1].shape


@torch.inference_mode()
def test_rows_go_in_chunks_as_large_as_allowed(model, told, narrow):
    calls, network = narrow(100), BatchedPredictor(model, 3)
    network(told[0], 500, told[1])
    assert calls == [3, 3, 1]
    network.max_batch = 5
    network(told[0], 500, told[1])
    assert calls[3:] == [5, 2]


ERRORS = [
    None,
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.0 GB)"),
]


@pytest.mark.parametrize("error", ERRORS, ids=["cpu", "cuda", "mps"])
@torch.inference_mode()
def test_out_of_memory_halves_the_chunks_once_a_level(model, told, narrow, error):
    expected = model.predict(told[0], 500, told[1])
    calls, network = narrow(2, error), BatchedPredictor(model, 6)
    with pytest.warns(ViewFusionWarning) as warned:
        made = network(told[0], 500, told[1])
    assert (made - expected).abs().max() < 1e-5
    assert calls == [6, 3, 2, 2, 2, 1]
    assert [str(each.message) for each in warned] == [
        "out of memory with 6 rows of the network at once; going on with 3 (--max-batch 3 begins so)",
        "out of memory with 3 rows of the network at once; going on with 2 (--max-batch 2 begins so)",
    ]
    assert network.rows_at_once == 2
    network(told[0][:3], 500, told[1][:3])
    assert calls[6:] == [2, 1], "what was found out is kept"
    network.max_batch = 3
    assert network.rows_at_once == 3, "until somebody says otherwise"


@torch.inference_mode()
def test_without_memory_for_one_row_it_says_what_would_fit(model, told, narrow, monkeypatch):
    narrow(0)
    monkeypatch.setattr(batching, "device_memory", lambda device: 10**9)
    pattern = (
        r"cpu ran out of memory over a single row of the network, which takes about [\d.]+ MB; use --dtype bf"
    )
    with pytest.raises(ViewFusionError, match=pattern):
        BatchedPredictor(model, 1)(told[0], 500, told[1])


@torch.inference_mode()
def test_other_errors_are_raised_as_they_are(model, told, narrow):
    narrow(0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        BatchedPredictor(model)(told[0], 500, told[1])


def test_automatic_is_a_share_of_what_is_free(model, monkeypatch):
    row = needs(model, torch.float32).row
    for free, rows in [(20 * row, 10), (3 * row, 1), (row // 2, 1)]:
        monkeypatch.setattr(batching, "device_memory", lambda device, free=free: free)
        assert BatchedPredictor(model).rows_at_once == rows
    monkeypatch.setattr(batching, "device_memory", lambda device: None)
    assert BatchedPredictor(model).rows_at_once == BUCKETS[-1]
    monkeypatch.undo()
    assert BatchedPredictor(model).rows_at_once > 25, "this network is small"


@torch.inference_mode()
def test_rows_whose_features_are_kept_are_fewer(model, told, monkeypatch):
    wanted = needs(model, torch.float32)
    rows = 40
    monkeypatch.setattr(batching, "device_memory", lambda device: 2 * rows * wanted.row)
    network = BatchedPredictor(model)
    network(told[0], 500, told[1])
    assert network.rows_at_once == rows
    network(told[0], 500, told[1].keeping())
    assert network.rows_at_once == rows * wanted.row // (wanted.row + wanted.kept) < rows


def photo():
    """A square, cut out."""
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[16:48, 16:48] = (200, 80, 40, 255)
    return rgba


def test_a_spin_in_chunks_is_the_same_spin(model, narrow):
    """Its record too: what runs twice because it was too much at first is not counted twice."""
    config = load_config(overrides=["views=5", "sampling.num_inference_steps=2"])
    pipeline = ViewFusionPipeline(model)
    whole = pipeline(photo(), config=config)
    narrow(2)
    with pytest.warns(ViewFusionWarning, match="going on with 2"):
        chunked = pipeline(photo(), config=config)
    assert (whole.images - chunked.images).abs().max() < 1e-4
    for one, other in zip(whole, chunked, strict=True):
        if one.record:
            assert one.record.network_evaluations == other.record.network_evaluations
    assert pipeline.max_batch is None
    pipeline.max_batch = 3
    assert pipeline.network.rows_at_once == 3
    with pytest.raises(ViewFusionError, match="--max-batch must be 1 or more, got 0"):
        pipeline.max_batch = 0


def test_decoding_without_room_is_one_line(model, monkeypatch):
    monkeypatch.setattr(model.vae, "decode", lambda _: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(ViewFusionError, match="cpu ran out of memory over a single row"):
        ViewFusionPipeline(model)(photo(), views=2, num_inference_steps=1)


@torch.inference_mode()
def test_compiled_rows_come_in_few_sizes(model, told, narrow, monkeypatch):
    """Filled up, and what fills is dropped. A compiler that changes nothing is as good here, and quick."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    expected = model.predict(told[0], torch.arange(ROWS) * 100 + 1, told[1])
    calls, network = narrow(100), BatchedPredictor(model, 6, compile=True)
    assert (network(told[0], torch.arange(ROWS) * 100 + 1, told[1]) - expected).abs().max() < 1e-5
    assert calls == [4, 4]
    expected = model.predict(told[0][:1], 300, told[1][:5])
    network.max_batch = 20
    made = network(told[0][:1], 300, told[1][:5])
    assert calls[2:] == [5, 8]
    assert made.shape == expected.shape
    assert (made - expected).abs().max() < 1e-5


@torch.inference_mode()
def test_filling_up_sends_no_indices(model, told, monkeypatch):
    """From the CPU to a GPU, which would wait for them."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    with Watch(lambda function, *_: "index" if function is torch.ops.aten.index else "else") as watch:
        BatchedPredictor(model, 8, compile=True)(told[0], torch.arange(ROWS) * 100 + 1, told[1])
    assert set(watch.counts) == {"else"}


@torch.inference_mode()
def test_a_network_that_cannot_be_compiled_goes_on_with_one_warning(model, told, monkeypatch):
    def no_compiler(*_):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: no_compiler)
    network, expected = BatchedPredictor(model, 6, compile=True), model.predict(told[0], 500, told[1])
    with pytest.warns(ViewFusionWarning, match=r"cannot be compiled here \(no C\+\+ compiler\)") as warned:
        made = [network(told[0], 500, told[1]) for _ in range(2)]
    assert all((each - expected).abs().max() < 1e-5 for each in made)
    assert len(warned) == 1
    assert network.rows_at_once == 6, "which need not be a graph's number now"


@pytest.mark.parametrize("compile", [False, True])
@torch.inference_mode()
def test_deep_features_are_kept_of_each_chunk(model, told, monkeypatch, compile):
    """And no graph is compiled for them."""
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: lambda *_: pytest.fail("compiled"))
    light = []
    for predict in (model.predict, BatchedPredictor(model, 3, compile=compile)):
        kept = told[1].keeping()
        predict(told[0], 500, kept)
        light.append(predict(told[0], 400, kept.lightly()))
    assert (light[0] - light[1]).abs().max() < 1e-5
    assert (light[0] - model.predict(told[0], 400, told[1])).abs().max() > 1e-4


def test_buckets_hold_all_rows_and_are_few():
    assert [bucket(rows) for rows in (1, 2, 3, 5, 8, 9, 17, 25, 32)] == [1, 2, 4, 8, 8, 16, 24, 32, 32]
    assert len(BUCKETS) <= torch._dynamo.config.recompile_limit


def test_attention_is_torchs_own(model):
    """Which never has all its scores in memory, where the device has a kernel for that."""
    assert {type(each) for each in model.unet.attn_processors.values()} == {AttnProcessor2_0}
