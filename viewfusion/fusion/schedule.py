"""The order of generation and what each target sees: the autoregressive half of the method.

Enters: a :class:`~viewfusion.geometry.Trajectory`. Leaves: one :class:`Target` per view to make, each with
its references and their weights, in the order they are made. No network is needed to know it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from viewfusion.geometry import Trajectory, angular_distance, azimuth_distance

from .weights import path_input_share, ring_input_share, softmax_of_distances

SCHEDULES = ("sequential", "paired")
"""Each target sees all before it (the released code), or those before it that are not its mirror image."""


@dataclass(frozen=True)
class FusionRules:
    """The method's own constants; the defaults are those of the released code.

    Args:
        window: radians; a generated view this far from the target or farther is no reference for it.
        input_temperature: how slowly the input fades along the order (tau_c).
        reference_temperature: how evenly generated views count (tau_g).
        weight_form: see :data:`~viewfusion.fusion.weights.WEIGHT_FORMS`.
        variant: see :data:`~viewfusion.fusion.variants.VARIANTS`; the first is the method.
        min_weight: a generated view that weighs less is no reference.
        max_references: of a target, the inputs among them; the heaviest generated views fill the room that
            the inputs leave. None: any number.
        paired: the targets +k and -k of a ring do not refer to each other, so that they can be made at once.
    """

    window: float = math.radians(125.0)
    input_temperature: float = 0.5
    reference_temperature: float = 1.0
    weight_form: str = "max"
    variant: str = "viewfusion"
    min_weight: float = 0.0
    max_references: int | None = None
    paired: bool = False


@dataclass(frozen=True)
class Target:
    """One view to make.

    Args:
        view: its index in the trajectory.
        references: indices of the views it is denoised from; all are made before it.
        weights: theirs, summing to 1.
    """

    view: int
    references: tuple[int, ...]
    weights: tuple[float, ...]


def schedule(trajectory: Trajectory, rules: FusionRules | None = None) -> tuple[Target, ...]:
    """Every target of ``trajectory`` with its references and weights, in the order of generation."""
    rules = rules or FusionRules()
    if rules.variant == "zero123":
        rules = replace(rules, window=0.0)  # no generated view is near enough
    if rules.variant == "autoregressive":
        # It goes by distance; what views would weigh beside others is nothing to drop them for.
        rules = replace(rules, min_weight=0.0, max_references=None)
    targets = tuple(_target(trajectory, place, rules) for place in range(1, len(trajectory.order) + 1))
    if rules.variant == "autoregressive":
        return tuple(_from_nearest(trajectory, target) for target in targets)
    if rules.variant == "stochastic":
        return tuple(_at_equal_odds(target) for target in targets)
    return targets


def groups(targets: Sequence[Target], most: int) -> list[tuple[Target, ...]]:
    """``targets`` in their order, up to ``most`` together where none refers to another one of its group."""
    found: list[tuple[Target, ...]] = []
    for target in targets:
        last = found[-1] if found else ()
        if 0 < len(last) < most and not {other.view for other in last} & set(target.references):
            found[-1] = (*last, target)
        else:
            found.append((target,))
    return found


def _target(trajectory: Trajectory, place: int, rules: FusionRules) -> Target:
    """The ``place``-th target, counted from 1."""
    views, count = trajectory.views, trajectory.num_inputs
    view = trajectory.order[place - 1]
    before = place - 1
    if rules.paired and trajectory.kind == "ring":
        before -= before % 2  # a ring goes +1, -1, +2, -2, ...: the second of a pair sees what the first sees
    distance = azimuth_distance if trajectory.kind == "ring" else angular_distance
    to_made = {other: distance(views[view], views[other]) for other in trajectory.order[:before]}
    # A view exactly at the window is outside, whichever way its azimuths were rounded.
    usable = {other: d for other, d in to_made.items() if d < rules.window - 1e-9}
    share = _input_share(trajectory, view, before, rules) if usable else 1.0
    among_inputs = softmax_of_distances(
        [angular_distance(views[view], pose) for pose in trajectory.inputs],
        rules.reference_temperature,
        rules.weight_form,
    )
    among_made = softmax_of_distances(list(usable.values()), rules.reference_temperature, rules.weight_form)
    made, kept = list(usable), _kept((1 - share) * among_made, count, rules)
    if len(kept) < len(made):  # what the dropped weigh goes to the other generated views, or to the inputs
        made, among_made = [made[place] for place in kept], among_made[kept] / among_made[kept].sum()
        share = share if made else 1.0
    weights = np.concatenate([share * among_inputs, (1 - share) * among_made])
    return Target(view, (*range(count), *made), tuple(weights.tolist()))


def _kept(weights: np.ndarray, num_inputs: int, rules: FusionRules) -> np.ndarray:
    """The places of the generated views that stay references, rising; ``weights`` (N,) are theirs."""
    room = None if rules.max_references is None else max(0, rules.max_references - num_inputs)
    # Rounded: views equally near on both sides may differ in the last bit. Of those the first made stays.
    heaviest = np.argsort(-weights.round(9), kind="stable")[:room]
    return np.sort(heaviest[weights[heaviest] >= rules.min_weight - 1e-9])


def _input_share(trajectory: Trajectory, view: int, before: int, rules: FusionRules) -> float:
    """Of the target ``view``, which ``before`` others are made before."""
    if trajectory.kind == "ring":
        views = len(trajectory.order) + 1
        return ring_input_share(before + 1, views, rules.input_temperature, trajectory.num_inputs)
    distance = angular_distance(trajectory.views[view], trajectory.inputs[0])
    return path_input_share(distance, rules.input_temperature)


def _from_nearest(trajectory: Trajectory, target: Target) -> Target:
    """Its nearest reference alone; of those equally near the one that was there first."""
    pose = trajectory.views[target.view]

    def distance(other: int) -> float:
        # Rounded: two references equally near on both sides may differ in the last bit.
        return round(angular_distance(pose, trajectory.views[other]), 9)

    return Target(target.view, (min(target.references, key=distance),), (1.0,))


def _at_equal_odds(target: Target) -> Target:
    count = len(target.references)
    return replace(target, weights=(1 / count,) * count)
