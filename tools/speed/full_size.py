"""A network of the released Zero123's size, its weights random: for cost, not for pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from make_full_size import ClipSizes, random_values

from viewfusion.zero123 import Zero123
from viewfusion.zero123.ldm_configs import FULL_SIZE, ldm_config
from viewfusion.zero123.weights import WeightSource, load_weights, meta_model

RELEASED = ClipSizes()


def random_zero123(
    device: torch.device, dtype: torch.dtype, original: Any = FULL_SIZE, clip: ClipSizes = RELEASED
) -> Zero123:
    """5.0 GB as float32, of which the UNet is 3.4; nothing is read or written.

    Args:
        original, clip: a model YAML and the sizes that it does not tell.
    """
    config = ldm_config(original, clip.hints(), "the model YAML")
    origin = Path("random weights")
    shapes = {name: tuple(value.shape) for name, value in meta_model(config, origin).state_dict().items()}
    source = WeightSource(origin, shapes, lambda name: random_values(name, torch.Size(shapes[name]), seed=0))
    return load_weights(source, config, device, dtype)
