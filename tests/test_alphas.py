"""Pictures with alpha: laid over white again they are what they were."""

from __future__ import annotations

import numpy as np

from viewfusion.outputs.alphas import alpha_levels, with_alpha
from viewfusion.preprocessing.images import over_white


def test_a_picture_survives_alpha():
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (16, 16, 3))
    alpha = generator.random((16, 16)).astype(np.float32)
    rgb = np.round(255 - alpha[..., None] * (255 - colours)).astype(np.uint8)
    rgba = with_alpha(rgb, alpha)
    assert rgba.dtype == np.uint8
    assert (rgba[..., 3] == alpha_levels(alpha)).all()
    assert np.abs(over_white(rgba).astype(int) - rgb).max() <= 1


def test_by_hand():
    """Grey 155 over white at a half is 55 of alpha 128: 255 - 100 / (128 / 255)."""
    rgba = with_alpha(np.full((1, 1, 3), 155, np.uint8), np.full((1, 1), 0.5))
    assert rgba[0, 0].tolist() == [56, 56, 56, 128]
    assert with_alpha(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1)))[0, 0].tolist() == [255, 255, 255, 0]
    assert with_alpha(np.zeros((1, 1, 3), np.uint8), None)[0, 0].tolist() == [0, 0, 0, 255]
