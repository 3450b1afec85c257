"""Metrics that need no weights: are they the formulas they say, by hand and by independent arithmetic?"""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import (
    bootstrap_interval,
    each_with_next,
    mask_overlap,
    outline_overlap,
    paired_interval,
    psnr,
    resized,
    sift_matches,
    ssim,
    unit_images,
)
from viewfusion.geometry import Pose
from viewfusion.views import View, ViewSet


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_psnr_by_hand():
    truth = torch.full((3, 3, 8, 8), 0.5)
    images = truth.clone()
    images[0] += 0.1  # mean squared error 0.01: 20 dB
    images[1, :, :4] = 0  # half the pixels off by a half: 0.125
    assert psnr(images, truth).tolist() == pytest.approx([20, 10 * math.log10(8), math.inf], abs=1e-4)


def ssim_by_numpy(a: np.ndarray, b: np.ndarray) -> float:
    """Of two (H, W): Wang et al. (2004), window by window in double precision."""
    offsets = np.arange(11) - 5.0
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2

    def mean(values):
        windows = np.lib.stride_tricks.sliding_window_view(values, (11, 11))
        return np.einsum("ijkl,kl->ij", windows, weights)

    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    return float(np.mean((2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))))


def test_ssim_is_the_mean_over_whole_windows_and_colours():
    images, truth = noise(2, 3, 20, 17), noise(2, 3, 20, 17, seed=1)
    truth[1] = 0.8 * images[1] + 0.1
    expected = [
        np.mean([ssim_by_numpy(a, b) for a, b in zip(x, y, strict=True)])
        for x, y in zip(images.double().numpy(), truth.double().numpy(), strict=True)
    ]
    assert ssim(images, truth).tolist() == pytest.approx(expected, abs=1e-6)


def test_ssim_in_closed_form():
    flat = torch.full((1, 3, 16, 16), 0.25)
    other = torch.full((1, 3, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert float(ssim(flat, other)) == pytest.approx(expected, abs=1e-6)
    same = noise(1, 3, 16, 16)
    assert float(ssim(same, same)) == pytest.approx(1, abs=1e-6)


def test_views_are_rounded_as_their_files_are():
    image = torch.linspace(-1.2, 1.2, 3 * 4 * 5).reshape(3, 4, 5)
    views = ViewSet((View(0, Pose(0, 0, 1.5), image), View(1, Pose(1, 0, 1.5), -image)))
    pixels = np.stack([view.rgb for view in views])
    assert torch.equal(unit_images(views), unit_images(pixels))
    assert torch.equal(
        (unit_images(views) * 255).round(), torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    )


def test_resizing_keeps_range_and_level():
    corner = torch.zeros(1, 3, 8, 8)
    corner[..., :4, :4] = 1
    for size in (32, 5):
        scaled = resized(corner, size)
        assert scaled.shape == (1, 3, size, size)
        assert 0 <= float(scaled.min()) <= float(scaled.max()) <= 1
        assert float(scaled.mean()) == pytest.approx(0.25, abs=0.02)
    assert resized(corner, 8) is corner
    assert torch.allclose(resized(torch.full((1, 3, 8, 8), 0.3), 20), torch.tensor(0.3))


def test_pairs_of_a_turn():
    first, second = each_with_next(torch.arange(4.0))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_outlines_by_hand():
    pixels = np.full((3, 4, 4, 3), 255, np.uint8)
    truth = pixels.copy()
    pixels[0, 0, :2] = 0  # two pixels, one of them shared: 1 of 3
    truth[0, 0, 1:3] = 9
    pixels[1, 0, 0] = (255, 234, 255)  # one colour below 235 is enough
    truth[1, 0, 0] = (235, 235, 235)  # and that is background
    assert outline_overlap(unit_images(pixels), unit_images(truth)).tolist() == pytest.approx([1 / 3, 0, 1])


def test_masks_by_hand():
    a = torch.tensor([[[1, 1], [0, 0]], [[1, 1], [1, 1]]]).bool()
    b = torch.tensor([[[1, 0], [1, 0]], [[1, 1], [1, 1]]]).bool()
    assert mask_overlap(a, b).tolist() == pytest.approx([1 / 3, 1])


GOOD = torch.zeros(1, 3, 16, 16)


@pytest.mark.parametrize("metric", [psnr, ssim, outline_overlap])
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 3, 16, 16), "of one shape, got (2, 3, 16, 16) and (1, 3, 16, 16)"),
        (GOOD - 1, "values in [0, 1], got -1 to -1"),
        (GOOD + 255, "got 255 to 255; unit_images() gives them"),
        (GOOD * float("nan"), "got nan to nan"),
    ],
)
def test_what_would_give_a_meaningless_number_is_refused(metric, images, words):
    with pytest.raises(ViewFusionError) as refused:
        metric(images, GOOD)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("metric", "module", "command"),
    [
        (ssim, "torchmetrics.functional.image", "torchmetrics"),
        (sift_matches, "cv2", "opencv-python-headless"),
    ],
)
def test_a_package_that_is_missing_is_named(metric, module, command, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ViewFusionError, match=f"run `pip install {command}`"):
        metric(GOOD, GOOD)


def test_other_pictures_are_refused():
    for pixels in (np.zeros((1, 4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 3))):
        with pytest.raises(ViewFusionError, match=r"wanted pixels \(B, H, W, 3\) of type uint8"):
            unit_images(pixels)
    for batch in (torch.zeros(1, 1, 8, 8), torch.zeros(3, 8, 8), torch.zeros(0, 3, 8, 8)):
        with pytest.raises(ViewFusionError, match="of one shape"):
            psnr(batch, batch)
    with pytest.raises(ViewFusionError, match="11 pixels a side or more, got 16 x 10"):
        ssim(torch.zeros(1, 3, 10, 16), torch.zeros(1, 3, 10, 16))


def test_constant_differences_leave_no_doubt():
    found = paired_interval([3.0, 5.0, 9.0], [1.0, 3.0, 7.0])
    assert (found.mean, found.low, found.high) == (2, 2, 2)
    assert found.excludes_zero


def test_two_objects_by_hand():
    """Means of two draws from {0, 1} are 0, 1/2 and 1 with chances of 1/4, 1/2 and 1/4."""
    wide = bootstrap_interval([0.0, 1.0])
    assert (wide.mean, wide.low, wide.high) == (0.5, 0, 1)
    assert not wide.excludes_zero
    narrow = bootstrap_interval([0.0, 1.0], level=0.4)  # from the 30th to the 70th percentile
    assert (narrow.low, narrow.high, narrow.level) == (0.5, 0.5, 0.4)


def test_many_objects_come_near_the_normal_interval():
    values = np.random.default_rng(3).normal(1, 2, 400)
    found = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert bootstrap_interval(values) == found
    assert bootstrap_interval(values, seed=1) != found


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [[1.0, 2.0]]])
def test_intervals_of_nothing_are_refused(values):
    with pytest.raises(ViewFusionError, match="one finite number for each object"):
        bootstrap_interval(values)


def test_pairs_must_be_pairs():
    with pytest.raises(ViewFusionError, match="as many numbers on both sides"):
        paired_interval([1.0, 2.0], [1.0])
