"""Order, window and weights: against the recorded tables and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfusion.fusion import FusionRules, groups, schedule, softmax_of_distances
from viewfusion.geometry import Pose, path_to, pose_embedding, ring, ring_around


def columns(trajectory):
    """View index -> column of the recorded tables: the inputs, then views in the order they are made."""
    made = {view: trajectory.num_inputs + i for i, view in enumerate(trajectory.order)}
    return {**{i: i for i in range(trajectory.num_inputs)}, **made}


def tables(trajectory, rules=None):
    """Schedule as the recorded arrays have it: valid, weights (rows = targets), pose embeddings."""
    targets = schedule(trajectory, rules)
    place = columns(trajectory)
    shape = (len(targets), len(targets) + trajectory.num_inputs - 1)
    valid, weights = np.zeros(shape, bool), np.zeros(shape)
    poses = np.full((*shape, 4), np.nan)
    for row, target in enumerate(targets):
        for reference, weight in zip(target.references, target.weights, strict=True):
            valid[row, place[reference]] = True
            weights[row, place[reference]] = weight
        rows = pose_embedding(trajectory.views[target.view], [trajectory.views[r] for r in target.references])
        poses[row, [place[r] for r in target.references]] = rows
    return valid, weights, poses


def golden_trajectories(golden):
    polar, azimuth, radius = golden["target0_angle"].astype(float)
    source = Pose(0.0)
    target = Pose(azimuth, source.elevation - polar, source.radius + radius)
    posed = [Pose(a, math.pi / 2 - p, r) for p, a, r in golden["multi_angles"].astype(float)]
    return {
        "orbit6": (ring(6), FusionRules()),
        "orbit8": (ring(8), FusionRules()),
        "orbit36": (ring(36), FusionRules()),
        "target0": (path_to(source, target), FusionRules()),
        "multi8": (ring_around(tuple(posed), 8), FusionRules()),
    }


@pytest.mark.parametrize("name", ["orbit6", "orbit8", "orbit36", "target0", "multi8"])
def test_agrees_with_recorded_tables(name, assets):
    golden = np.load(assets / "weights_tables.npz")
    trajectory, rules = golden_trajectories(golden)[name]
    valid, weights, poses = tables(trajectory, rules)
    np.testing.assert_array_equal(valid, golden[f"{name}_valid"])
    np.testing.assert_allclose(weights, golden[f"{name}_weights"], atol=1e-6)
    np.testing.assert_allclose(poses[valid], golden[f"{name}_pose"][valid], atol=1e-6)


def deg(azimuth: float, elevation: float = 30.0, radius: float = 1.5) -> Pose:
    return Pose.from_degrees(azimuth, elevation, radius)


def rows(trajectory, rules=None):
    """(view, references, weights) of every target."""
    return [(target.view, target.references, target.weights) for target in schedule(trajectory, rules)]


def sigmoid(x: float) -> float:
    """What the nearer of two references takes when their scores differ by x."""
    return 1 / (1 + math.exp(-x))


RULES = [
    FusionRules(),
    FusionRules(window=math.radians(40), input_temperature=0.2),
    FusionRules(window=10.0, reference_temperature=0.5),
    FusionRules(window=1e-6),
    FusionRules(input_temperature=5.0, reference_temperature=0.01, weight_form="pi"),
]
FEWER = [
    FusionRules(min_weight=0.06),
    FusionRules(max_references=4),
    FusionRules(min_weight=0.9, max_references=1),
]


@pytest.mark.parametrize("rules", [*RULES, *FEWER])
@pytest.mark.parametrize("views", range(2, 41))
def test_weights_sum_to_one_and_references_are_made_earlier(views, rules):
    trajectory = ring(views)
    targets = schedule(trajectory, rules)
    assert [target.view for target in targets] == list(trajectory.order)
    known = {0}
    for target in targets:
        assert set(target.references) <= known
        assert target.references[0] == 0
        assert len(set(target.references)) == len(target.references) == len(target.weights)
        assert sum(target.weights) == pytest.approx(1, abs=1e-12)
        assert min(target.weights) >= 0
        known.add(target.view)


def test_a_ring_of_two_is_made_from_the_input_alone():
    assert rows(ring(2)) == [(1, (0,), (1.0,))]


def test_a_ring_of_three():
    # The two made views are 120 degrees apart, within the window.
    (first, second) = rows(ring(3))
    assert first == (1, (0,), (1.0,))
    assert second[:2] == (2, (0, 1))
    assert second[2] == pytest.approx((math.exp(-4 / 3), 1 - math.exp(-4 / 3)))


def test_a_ring_of_four_whose_second_view_sees_no_made_view():
    first, second, third = rows(ring(4))
    assert first == (1, (0,), (1.0,))
    assert second == (3, (0,), (1.0,))  # 180 degrees from view 1
    share = math.exp(-1.5)
    assert third[:2] == (2, (0, 1, 3))
    assert third[2] == pytest.approx((share, (1 - share) / 2, (1 - share) / 2))


def test_a_ring_of_five_whose_second_view_sees_no_made_view():
    first, second, third, fourth = rows(ring(5))
    assert first == (1, (0,), (1.0,))
    assert second == (4, (0,), (1.0,))  # 144 degrees from view 1
    assert third[:2] == (2, (0, 1))
    assert third[2] == pytest.approx((math.exp(-1.2), 1 - math.exp(-1.2)))
    share = math.exp(-1.6)
    assert fourth[:2] == (3, (0, 4, 2))
    assert fourth[2] == pytest.approx((share, (1 - share) / 2, (1 - share) / 2))


def test_the_first_weights_of_36_views():
    first, second, third = rows(ring(36))[:3]
    assert first == (1, (0,), (1.0,))
    assert second[:2] == (35, (0, 1))
    assert second[2] == pytest.approx((0.895, 0.105), abs=5e-4)
    assert third[:2] == (2, (0, 1, 35))
    assert third[2] == pytest.approx((0.846, 0.101, 0.052), abs=6e-4)


def test_what_a_spin_of_36_views_costs():
    counts = [len(target.references) for target in schedule(ring(36))]
    assert sum(counts) == 443
    assert max(counts) == 25


def test_the_window_bounds_what_a_view_refers_to():
    # The last view, at 180 degrees, has 12 made views of 10 degrees each on either side, and the input.
    last = schedule(ring(36))[-1]
    assert (last.view, set(last.references)) == (18, {0, *range(6, 18), *range(19, 31)})
    everything = schedule(ring(36), FusionRules(window=math.radians(181)))
    assert [len(target.references) for target in everything] == list(range(1, 36))


def test_the_window_is_strict():
    exactly, ring4 = math.radians(90), ring(4)
    # View 2 is exactly 90 degrees from views 1 and 3.
    assert schedule(ring4, FusionRules(window=exactly))[-1].references == (0,)
    assert schedule(ring4, FusionRules(window=exactly + 1e-6))[-1].references == (0, 1, 3)


@pytest.mark.parametrize("views", [72, 144])
def test_the_window_is_strict_whatever_rounding_does(views):
    """Steps of 5 and 2.5 degrees have views exactly 125 degrees apart; counted in whole numbers."""
    order = ring(views).order
    expected = [
        1 + sum(min((view - made) % views, (made - view) % views) * 360 < 125 * views for made in order[:i])
        for i, view in enumerate(order)
    ]
    assert [len(target.references) for target in schedule(ring(views))] == expected


def test_the_papers_weights_divide_by_pi():
    # Ring of 12: view 2 (60 degrees) sees view 1 at 30 degrees and view 11 at 90 degrees.
    share, places = math.exp(-0.5), {"max": 2 / 3, "pi": 1 / 3}
    for form, difference in places.items():
        target = schedule(ring(12), FusionRules(weight_form=form))[2]
        near = (1 - share) * sigmoid(difference)
        assert target.references == (0, 1, 11)
        assert target.weights == pytest.approx((share, near, 1 - share - near))


def test_temperatures_by_hand():
    rules = FusionRules(input_temperature=0.25, reference_temperature=0.5)
    target = schedule(ring(12), rules)[2]
    share = math.exp(-3 / 12 / 0.25)
    near = (1 - share) * sigmoid(2 / 3 / 0.5)
    assert target.weights == pytest.approx((share, near, 1 - share - near))


def test_softmax_of_distances():
    assert softmax_of_distances([0.4, 0.4, 0.4]) == pytest.approx([1 / 3] * 3)
    assert softmax_of_distances([0.0, 0.0]) == pytest.approx([0.5, 0.5])
    assert softmax_of_distances([0.0, 0.0], form="pi") == pytest.approx([0.5, 0.5])
    assert softmax_of_distances([0.3]) == pytest.approx([1.0])
    assert softmax_of_distances([0.0, 2.0]) == pytest.approx([sigmoid(1), 1 - sigmoid(1)])
    assert softmax_of_distances([1.0, 2.0], temperature=0.1) == pytest.approx([sigmoid(5), 1 - sigmoid(5)])
    quarter, half = math.pi / 4, math.pi / 2
    assert softmax_of_distances([quarter, half], form="pi")[0] == pytest.approx(sigmoid(0.25))
    assert softmax_of_distances([1.0, 2.0], temperature=1e-4) == pytest.approx([1.0, 0.0])
    assert softmax_of_distances([]).shape == (0,)


def test_a_path_fades_the_input_with_distance():
    first, second, third = rows(path_to(deg(0), deg(30)))
    assert first == (1, (0,), (1.0,))
    share = math.exp(-20 / 180 / 0.5)
    assert second[:2] == (2, (0, 1))
    assert second[2] == pytest.approx((share, 1 - share))
    # The made views stand 20 and 10 degrees away.
    share, near = math.exp(-30 / 180 / 0.5), sigmoid(0.5)
    assert third[:2] == (3, (0, 1, 2))
    assert third[2] == pytest.approx((share, (1 - share) * (1 - near), (1 - share) * near))


def test_on_a_path_elevation_counts_as_azimuth_does():
    _, second = rows(path_to(deg(0, 0), deg(20, 10)))
    share = math.exp(-30 / 180 / 0.5)
    assert second == (2, (0, 1), pytest.approx((share, 1 - share)))
    # 8 steps of 10 degrees each way: neighbours are 20 apart, the next ones 40.
    targets = schedule(path_to(deg(0, 0), deg(80, 80)), FusionRules(window=math.radians(30)))
    assert [target.references for target in targets][:4] == [(0,), (0, 1), (0, 2), (0, 3)]


def test_a_path_shorter_than_the_window_uses_every_made_view():
    targets = schedule(path_to(deg(0), deg(100)))
    assert [target.references for target in targets] == [tuple(range(i)) for i in range(1, 11)]


@pytest.mark.parametrize("target", [deg(0, 30, 2.0), deg(0, 30, 1.5)])
def test_a_move_without_turning_is_one_step_from_the_input(target):
    assert rows(path_to(deg(0), target)) == [(1, (0,), (1.0,))]


def test_several_inputs_share_what_one_would_have():
    # Inputs at 0 and 90 degrees; targets in the order 90, 270, 180 degrees are views 2, 4, 3.
    first, second, third = rows(ring_around((deg(0), deg(90)), 4))
    near = sigmoid(1)
    assert first[:2] == (2, (0, 1))
    assert first[2] == pytest.approx((1 - near, near))
    # 270 degrees: 90 from the first input, 180 from the second, 180 from the made view: unusable.
    assert second[:2] == (4, (0, 1))
    assert second[2] == pytest.approx((sigmoid(0.5), 1 - sigmoid(0.5)))
    share = math.exp(-(3 - 1) / (4 - 1) / 0.5)
    assert third[:2] == (3, (0, 1, 2, 4))
    among = (1 - sigmoid(0.5), sigmoid(0.5))
    assert third[2] == pytest.approx((share * among[0], share * among[1], (1 - share) / 2, (1 - share) / 2))


def test_the_distance_to_a_posed_input_adds_its_elevation():
    first = rows(ring_around((deg(0, 30), deg(90, 75)), 4))[0]
    # The target at 90 degrees is 90 of azimuth from one input, 45 of elevation from the other.
    assert first[2] == pytest.approx((1 - sigmoid(0.5), sigmoid(0.5)))


# Fewer references


def third_of_twelve(**rules):
    """View 2 of a ring of 12, at 60 degrees: made views stand 30 and 90 degrees away."""
    return rows(ring(12), FusionRules(**rules))[2]


def test_light_references_are_dropped():
    """By hand: the input keeps exp(-3 / 12 / 0.5) = 0.607; of the rest view 1 has 0.260 and view 11 0.133."""
    share = math.exp(-0.5)
    heavy = (1 - share) * sigmoid(2 / 3)
    assert (round(heavy, 3), round(1 - share - heavy, 3)) == (0.260, 0.133)
    whole = (2, (0, 1, 11), pytest.approx((share, heavy, 1 - share - heavy)))
    assert third_of_twelve(min_weight=0.13) == whole
    # What view 11 had goes to view 1, and the input's share stays.
    assert third_of_twelve(min_weight=0.14) == (2, (0, 1), pytest.approx((share, 1 - share)))
    assert third_of_twelve(min_weight=0.27) == (2, (0,), (1.0,))


def test_only_the_heaviest_references_stay():
    share = math.exp(-0.5)
    assert third_of_twelve(max_references=3) == third_of_twelve()
    assert third_of_twelve(max_references=2) == (2, (0, 1), pytest.approx((share, 1 - share)))
    assert third_of_twelve(max_references=1) == (2, (0,), (1.0,))


def test_those_that_stay_share_in_proportion():
    """The last of 36 views has two at each of 10, 20 ... 120 degrees, of which the nearest seven stay."""
    last = schedule(ring(36), FusionRules(max_references=8))[-1]
    # Views 14 and 22 are equally near, and 14 was made before.
    assert set(last.references) == {0, *range(14, 18), 19, 20, 21}
    share = math.exp(-35 / 36 / 0.5)
    nearness = {view: math.exp(-abs(view - 18) / 12) for view in last.references[1:]}
    expected = [(1 - share) * each / sum(nearness.values()) for each in nearness.values()]
    assert last.weights == pytest.approx((share, *expected))


def test_what_a_spin_costs_does_not_grow_with_the_views():
    """The first targets have one reference, two, ... and from the eighth on each has eight."""
    for views in (8, 16, 36, 72):
        counts = [len(target.references) for target in schedule(ring(views), FusionRules(max_references=8))]
        assert max(counts) <= 8
        if views >= 36:
            assert counts == [*range(1, 8), *[8] * (views - 8)]


def test_several_inputs_all_stay():
    inputs = (deg(0), deg(90), deg(200))
    for rules in (FusionRules(max_references=2), FusionRules(min_weight=0.99)):
        for target in schedule(ring_around(inputs, 6), rules):
            assert target.references == (0, 1, 2)
            assert sum(target.weights) == pytest.approx(1)


PAIRED = FusionRules(paired=True)


def test_a_paired_ring_of_six():
    """The second of a pair sees, and weighs the input as, the first: both are number 2j - 1."""
    first, mirror_first, second, mirror_second, last = rows(ring(6), PAIRED)
    assert (first, mirror_first) == ((1, (0,), (1.0,)), (5, (0,), (1.0,)))
    share = math.exp(-3 / 6 / 0.5)
    assert second == (2, (0, 1), pytest.approx((share, 1 - share)))
    assert mirror_second == (4, (0, 5), pytest.approx((share, 1 - share)))
    # 180 degrees: views 1 and 5 are 120 away, 2 and 4 are 60.
    share, near = math.exp(-5 / 6 / 0.5), sigmoid(0.5) / 2
    assert last[:2] == (3, (0, 1, 5, 2, 4))
    assert last[2] == pytest.approx((share, *(w * (1 - share) for w in (0.5 - near, 0.5 - near, near, near))))


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("views", [2, 3, 4, 5, 16, 35, 36])
def test_the_two_of_a_pair_are_mirror_images(views, rules):
    def mirrored(view):
        return -view % views

    paired = FusionRules(**{**vars(rules), "paired": True})
    targets = {target.view: target for target in schedule(ring(views), paired)}
    for view, target in targets.items():
        other = targets[mirrored(view)]
        assert mirrored(view) not in target.references or mirrored(view) == view
        assert dict(zip(map(mirrored, target.references), target.weights, strict=True)) == pytest.approx(
            dict(zip(other.references, other.weights, strict=True))
        )
        assert sum(target.weights) == pytest.approx(1, abs=1e-12)


def test_a_pair_costs_the_reference_it_is_to_itself():
    """Of 36 views those up to 60 degrees and from 120 on lie within 125 degrees of their mirror images."""
    counts = [len(target.references) for target in schedule(ring(36), PAIRED)]
    assert sum(counts) == 443 - 6 - 6


def test_pairs_are_a_rings():
    path = path_to(deg(0), deg(60, 50))
    assert schedule(path, PAIRED) == schedule(path)
    two = ring_around((deg(0), deg(90, 75)), 6)
    assert rows(two, PAIRED)[0] == rows(two)[0]
    second = rows(two, PAIRED)[1]
    assert second[1] == (0, 1)  # no made view: its only one is its mirror image
    assert [target.references for target in schedule(ring(4), PAIRED)] == [(0,), (0,), (0, 1, 3)]


def test_what_can_be_made_at_once():
    def views(targets, most):
        return [tuple(target.view for target in group) for group in groups(targets, most)]

    assert views(schedule(ring(6), PAIRED), 2) == [(1, 5), (2, 4), (3,)]
    assert views(schedule(ring(6), PAIRED), 9) == [(1, 5), (2, 4), (3,)]
    assert views(schedule(ring(6), PAIRED), 1) == [(1,), (5,), (2,), (4,), (3,)]
    # One after another those do not see each other that lie more than 125 degrees apart.
    assert views(schedule(ring(6)), 2) == [(1,), (5, 2), (4,), (3,)]
    assert views(schedule(ring(5)), 2) == [(1, 4), (2,), (3,)]
    assert [group for group in views(schedule(ring(16)), 2) if len(group) == 2] == [(3, 13), (4, 12), (5, 11)]
    pairs = [group for group in views(schedule(ring(36)), 2) if len(group) == 2]
    assert pairs == [(36 - k, k + 1) for k in range(6, 12)]  # -60 and 70 degrees, ... -110 and 120
    alone = schedule(ring(6), FusionRules(variant="zero123"))
    assert views(alone, 3) == [(1, 5, 2), (4, 3)]
    assert views(schedule(path_to(deg(0), deg(30))), 2) == [(1,), (2,), (3,)]
    assert groups([], 2) == []
