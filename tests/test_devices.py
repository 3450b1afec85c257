"""Devices and types of numbers by name: what is meant, and what is said where it is not there."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest
import torch

from viewfusion import ViewFusionError, load_zero123
from viewfusion.errors import ViewFusionWarning
from viewfusion.zero123 import devices, usable_dtype
from viewfusion.zero123.devices import vae_dtype


def test_automatic_is_float32_on_a_cpu():
    assert usable_dtype("auto", "cpu") is torch.float32
    assert usable_dtype("bfloat16", "cpu") is torch.bfloat16


def test_float16_on_a_cpu_is_warned_of():
    with pytest.warns(ViewFusionWarning, match="float16 is many times slower than float32 on most CPUs"):
        assert usable_dtype("float16", "cpu") is torch.float16


def test_asking_draws_no_random_numbers():
    before = torch.get_rng_state()
    usable_dtype("bfloat16", "cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_a_type_the_device_cannot_compute_in_is_refused(monkeypatch):
    """As a torch of before 2.2 said it of float16; the operation is one of those that are tried."""

    def conv2d(*_, **__):
        raise RuntimeError("\"slow_conv2d_cpu\" not implemented for 'Half'")

    monkeypatch.setattr(devices.functional, "conv2d", conv2d)
    with pytest.raises(
        ViewFusionError, match=r"float16 does not work on cpu .*slow_conv2d_cpu.*; use --dtype float32"
    ):
        usable_dtype("float16", "cpu")


@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_a_device_that_computes_nothing_is_refused(dtype):
    """As a GPU that this torch was not built for; the meta device has no numbers at all."""
    with pytest.raises(ViewFusionError, match=r"float32 does not work on meta \(.*\); use --device cpu$"):
        usable_dtype(dtype, "meta")


def test_an_old_gpu_has_no_bfloat16(monkeypatch):
    monkeypatch.setattr(devices, "usable_device", torch.device)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(
        ViewFusionError, match=r"bfloat16 does not work on cuda .*is 7\.5.*; use --dtype float16"
    ):
        usable_dtype("bfloat16", "cuda")


@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_a_device_that_is_absent_is_named(dtype):
    with pytest.raises(ViewFusionError, match="the device cuda:99 is not there"):
        usable_dtype(dtype, "cuda:99")


def test_a_device_is_called_as_tensors_on_it_call_it(small_checkpoint, monkeypatch):
    """So that "cuda" is where a model on "cuda:0" is already, and takes no memory a second time."""
    asked, empty = [], torch.empty

    def on_first(*size, device):
        asked.append(str(device))
        made = empty(*size)
        return SimpleNamespace(device=torch.device("cuda", 0)) if str(device) == "cuda" else made

    monkeypatch.setattr(torch, "empty", on_first)
    assert devices.usable_device("cuda") == torch.device("cuda:0")
    assert devices.usable_device("cpu") == torch.device("cpu")
    assert asked == ["cuda", "cpu"]


def test_the_autoencoder_is_not_in_float16(small_checkpoint, tmp_path):
    """Moved or loaded; its weights are then those of the file, not rounded."""
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole, half = (
        load_zero123(*small_checkpoint, dtype=kind, family="zero123")
        for kind in (torch.float32, torch.float16)
    )
    assert (half.dtype, {each.dtype for each in half.vae.parameters()}) == (torch.float16, {torch.float32})
    assert torch.equal(half.vae.decoder.conv_in.weight, whole.vae.decoder.conv_in.weight)
    with torch.inference_mode():
        latents = half.encode_cond_latents(pixels.half())
        assert latents.dtype == torch.float16
        expected = whole.encode_cond_latents(pixels.half().float())
        assert torch.equal(latents, expected.half())
        assert torch.equal(half.decode_latents(expected), whole.decode_latents(expected))
    # The file's numbers are of half precision, so that rounding would not show.
    exact, schedule = whole.vae.decoder.conv_in.weight.mul_(1 + 2**-15).clone(), whole.alphas_cumprod.clone()
    moved = whole.to(torch.float16)
    assert {each.dtype for each in moved.vae.parameters()} == {torch.float32}
    assert torch.equal(moved.vae.decoder.conv_in.weight, exact)
    assert torch.equal(moved.alphas_cumprod, schedule)
    assert {each.dtype for each in moved.unet.parameters()} == {torch.float16}
    assert vae_dtype(torch.bfloat16) is torch.bfloat16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert {each.dtype for each in moved.to(torch.bfloat16).vae.parameters()} == {torch.bfloat16}
