"""Metrics that need no weights: are they the formulas they say, by hand and by independent arithmetic?"""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

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


def test_psnr_agrees_with_torchmetrics():
    images, truth = noise(3, 3, 9, 7), noise(3, 3, 9, 7, seed=1)
    theirs = [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in zip(images, truth, strict=True)]
    assert psnr(images, truth).tolist() == pytest.approx([float(each) for each in theirs], abs=1e-5)


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


@pytest.fixture(scope="module")
def alike() -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of a narrow range with a little more noise, over white in part; and the same over itself."""
    images = 0.2 + 0.5 * noise(2, 3, 40, 32)
    truth = (images + 0.1 * noise(2, 3, 40, 32, seed=1)).clamp(0, 1)
    images[1, :, :20], truth[1, :, :17] = 1, 1
    return images, truth


@pytest.mark.parametrize("data_range", [1.0, 0.5, None])
def test_ssim_agrees_with_torchmetrics(alike, data_range):
    """Which averages the borders too, and is right in double precision only; one picture at a time."""
    pairs = [(a[None].double(), b[None].double()) for a, b in zip(*alike, strict=True)]
    theirs = [
        structural_similarity_index_measure(a, b, data_range=data_range, return_full_image=True)
        for a, b in pairs
    ]
    everywhere = [float(mean) for mean, _ in theirs]
    inside = [float(full[..., 5:-5, 5:-5].mean()) for _, full in theirs]
    assert ssim(*alike, data_range, borders=True).tolist() == pytest.approx(everywhere, abs=1e-6)
    assert ssim(*alike, data_range).tolist() == pytest.approx(inside, abs=1e-6)
    assert abs(everywhere[1] - inside[1]) > 1e-3  # it matters


def test_the_range_of_ssim_is_the_larger_of_a_pair():
    images, truth = 0.2 + 0.2 * noise(2, 3, 16, 16), 0.1 + 0.4 * noise(2, 3, 16, 16, seed=1)
    truth[1] = images[1]
    spans = [float(max(each.max() - each.min() for each in pair)) for pair in zip(images, truth, strict=True)]
    each = [float(ssim(images[i : i + 1], truth[i : i + 1], spans[i])) for i in (0, 1)]
    assert ssim(images, truth, None).tolist() == pytest.approx(each)
    assert spans[0] > 1.5 * spans[1]
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert math.isnan(ssim(flat, flat, None))
    with pytest.raises(ViewFusionError, match="data_range above 0 or None, got 0"):
        ssim(flat, flat, 0.0)


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


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ViewFusionError, match="run `pip install opencv-python-headless`"):
        sift_matches(GOOD, GOOD)


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
