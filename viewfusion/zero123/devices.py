"""Where a network runs and in which numbers: words of a person go in, what torch knows comes out, or one line
that says what is not there."""

from __future__ import annotations

import warnings

import torch
from torch.nn import functional

from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.untrusted import shown

_FIRST_BFLOAT16 = (8, 0)
"""Compute capability of the first NVIDIA GPUs that have it; older ones emulate it, slower than float32."""


def usable_device(device: str | torch.device) -> torch.device:
    """``device`` as tensors on it call it: "cuda" is "cuda:0", or another one that is current.

    Raises:
        ViewFusionError: torch does not know it, or the machine has it not.
    """
    try:
        return torch.empty(1, device=torch.device(device)).device
    except Exception as error:  # RuntimeError, AssertionError, NotImplementedError by backend
        raise ViewFusionError(
            f"the device {shown([device])} is not there; use --device cpu, or install a torch that knows it"
        ) from error


def usable_dtype(name: str, device: str | torch.device) -> torch.dtype:
    """What ``name``, one of :data:`viewfusion.running.DTYPES`, means on ``device``.

    Raises:
        ViewFusionError: the device is not there, or cannot compute so.

    Warns:
        ViewFusionWarning: it can, but slowly.
    """
    where = usable_device(device)
    if name == "auto":
        name = "float16" if where.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    reason = _refusal(dtype, where)
    if reason:
        other = "float16" if dtype is torch.bfloat16 and where.type == "cuda" else "float32"
        remedy = "--device cpu" if other == name else f"--dtype {other}"
        raise ViewFusionError(f"{name} does not work on {where} ({reason}); use {remedy}")
    if dtype is torch.float16 and where.type == "cpu":
        warnings.warn(
            ViewFusionWarning(
                "float16 is many times slower than float32 on most CPUs; bfloat16 is faster on some"
            ),
            stacklevel=2,
        )
    return dtype


def vae_dtype(dtype: torch.dtype) -> torch.dtype:
    """What the autoencoder computes in beside a network in ``dtype``: float16 is too narrow for some of its
    activations, which would be infinite."""
    return torch.float32 if dtype is torch.float16 else dtype


@torch.inference_mode()
def _refusal(dtype: torch.dtype, device: torch.device) -> str:
    """Why ``device`` does not compute in ``dtype``; empty where it does."""
    if dtype is torch.bfloat16 and device.type == "cuda" and torch.version.hip is None:
        capability = torch.cuda.get_device_capability(device)
        if capability < _FIRST_BFLOAT16:
            return f"its compute capability is {capability[0]}.{capability[1]}, which has none"
    try:
        # One of each kind of operation that the networks consist of.
        ones = torch.ones(1, 8, 4, 4, device=device, dtype=dtype)
        made = functional.conv2d(ones, ones.new_ones(8, 8, 3, 3), padding=1)
        made = functional.silu(functional.group_norm(made, 4))
        made = functional.linear(made, ones.new_ones(4, 4))
        functional.scaled_dot_product_attention(made, made, made).sum().item()
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return shown([error])
    return ""
