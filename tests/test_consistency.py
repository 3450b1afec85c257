"""All metrics of consistency together: does each see what was planted in a spin, as far as it can?"""

from __future__ import annotations

import math

import pytest
import torch
from test_epipolar import deg, spotted, views

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import (
    each_with_next,
    epipolar_consistency,
    flow_warp_error,
    load_lpips,
    load_rife,
    loop_closure,
    sift_matches_around,
)


@pytest.mark.parametrize(
    ("distances", "seam", "expected"),
    [
        ([0.1, 0.1, 0.1, 0.1], -1, 1),
        ([0.1, 0.2, 0.3, 0.6], -1, 3),
        ([0.1, 0.3, 0.2, 0.4, 0.5], -1, 2),  # the median of four is between the middle two: 0.25
        ([0.1, 0.6, 0.2, 0.3], 1, 3),
        ([0.1, 0.2, 0.3, 0.0], 3, 0),
    ],
)
def test_loop_closure_by_hand(distances, seam, expected):
    assert loop_closure(torch.tensor(distances), seam) == pytest.approx(expected)


def test_a_turn_that_stands_still_closes_in_no_way():
    assert math.isnan(loop_closure(torch.tensor([0.0, 0.0, 0.0, 0.3])))


@pytest.mark.parametrize(
    ("distances", "seam", "words"),
    [
        (torch.ones(2), -1, "three distances or more"),
        (torch.ones(2, 3), -1, "in a row"),
        (torch.tensor([0.1, float("nan"), 0.1]), -1, "with 1 others"),
        (torch.tensor([0.1, -0.1, 0.1]), -1, "with 1 others"),
        (torch.ones(3), 3, "a seam among the 3 pairs, got 3"),
    ],
)
def test_what_closes_no_loop_is_refused(distances, seam, words):
    with pytest.raises(ViewFusionError, match=words):
        loop_closure(distances, seam)


POSES = [deg(0, 12, 24, 36)[place] for place in (0, 1, 2, 3, 2, 1)]
PLANT = 5
"""The last view: it stands in the last two pairs."""


@pytest.fixture(scope="module")
def spins() -> dict[str, torch.Tensor]:
    """True views there and back, and the same with another last one."""
    pictures = views(spotted(1), POSES[:4], 128)
    true = pictures[[0, 1, 2, 3, 2, 1]]
    another = {
        "mirrored": true[PLANT].flip(2),
        "another object": views(spotted(2), POSES[PLANT:], 128)[0],
        "turned": true[PLANT].rot90(1, (1, 2)),
        "recoloured": true[PLANT, [1, 2, 0]],
    }
    planted = {kind: torch.cat([true[:PLANT], view[None]]) for kind, view in another.items()}
    return {"true": true, **planted}


def judged(images: torch.Tensor) -> dict[str, float]:
    """What each metric says of the last two pairs of a spin, turned so that higher is better."""
    lpips, pairs = load_lpips("alex").around(images), [each[-2:] for each in each_with_next(images)]
    return {
        "lpips": -float(lpips[-2:].mean()),
        "loop closure": -loop_closure(lpips),
        "flow": -float(flow_warp_error(load_rife(), *pairs)[0].mean()),
        "sift": float(sift_matches_around(images)[-2:].sum()),
        "epipolar": float(epipolar_consistency(images, POSES)[0][-2:].mean()),
    }


@pytest.mark.weights
def test_a_planted_inconsistency_is_seen_by_every_metric(spins):
    true = judged(spins["true"])
    unseen = {
        # Grey is the mean of the colours, whatever their order.
        "recoloured": {"sift", "epipolar"},
        # SIFT knows a point that was turned.
        "turned": {"sift"},
    }
    for kind in spins.keys() - {"true"}:
        found = judged(spins[kind])
        seen = {name for name in true if found[name] < true[name] - 0.1 * abs(true[name])}
        assert seen >= true.keys() - unseen.get(kind, set()), (kind, true, found)
    assert judged(spins["recoloured"])["sift"] == true["sift"]
    assert judged(spins["turned"])["sift"] > 0.8 * true["sift"]
