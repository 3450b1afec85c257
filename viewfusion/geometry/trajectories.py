"""Which views a run makes, and in which order.

Enters: the input pose(s) and what is wanted. Leaves: a :class:`Trajectory`, poses in output order with the
inputs first, and the order of generation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .poses import DEFAULT_ELEVATION, DEFAULT_RADIUS, Pose, angular_distance, wrap_angle

PATH_STEP = math.radians(10.0)
"""Longest step of a path to a single target, in azimuth and in elevation (ViewFusion, section 3.3)."""


@dataclass(frozen=True)
class Trajectory:
    """Poses to have at the end, the inputs among them.

    Args:
        kind: "ring" or "path"; the two measure distance and fade the input differently.
        views: poses in output order; the first ``num_inputs`` are the inputs.
        order: indices into ``views`` of the targets, in the order they are generated.
        num_inputs: how many views are given rather than made.
    """

    kind: Literal["ring", "path"]
    views: tuple[Pose, ...]
    order: tuple[int, ...]
    num_inputs: int = 1

    @property
    def inputs(self) -> tuple[Pose, ...]:
        return self.views[: self.num_inputs]


def ring(num_views: int, elevation: float = DEFAULT_ELEVATION, radius: float = DEFAULT_RADIUS) -> Trajectory:
    """360 degrees in ``num_views`` equal steps, the input being view 0.

    Views are in azimuth order, counter-clockwise; they are generated outwards on both sides of the input.

    Raises:
        ValueError: fewer than 2 views.
    """
    return ring_around((Pose(0.0, elevation, radius),), num_views)


def ring_around(inputs: tuple[Pose, ...], num_views: int) -> Trajectory:
    """A ring at the first input's elevation and radius, given one or more posed input views.

    Azimuths are turned so that the first input lies at 0. The views are the inputs, then the ring without
    its first place, which the first input holds.
    """
    if num_views < 2:
        raise ValueError(f"a ring needs at least 2 views (the input and one more), got {num_views}")
    zero = inputs[0].azimuth
    turned = tuple(replace(pose, azimuth=pose.azimuth - zero) for pose in inputs)
    step = 2 * math.pi / num_views
    targets = tuple(replace(turned[0], azimuth=i * step) for i in range(1, num_views))
    first = len(inputs)
    order = tuple(first + place - 1 for place in _outwards(num_views))
    return Trajectory("ring", turned + targets, order, first)


def _outwards(num_views: int) -> list[int]:
    """Places 1 .. V-1 of a ring in the order +1, -1, +2, -2, ... up to the far side."""
    places: list[int] = []
    for distance in range(1, num_views // 2 + 1):
        places.append(distance)
        if distance != num_views - distance:
            places.append(num_views - distance)
    return places


def path_to(source: Pose, target: Pose, step: float = PATH_STEP) -> Trajectory:
    """From the input to one target in the fewest equal steps of at most ``step`` radians, at least one.

    The azimuth goes the short way round. The last view is the target.
    """
    turn = wrap_angle(target.azimuth - source.azimuth)
    rise = target.elevation - source.elevation
    # The slack keeps a move of exactly n steps from needing n + 1 through rounding.
    count = max(1, math.ceil(max(abs(turn), abs(rise)) / step - 1e-9))
    move = target.radius - source.radius
    made = tuple(
        Pose(
            source.azimuth + turn * i / count,
            source.elevation + rise * i / count,
            source.radius + move * i / count,
        )
        for i in range(1, count + 1)
    )
    return Trajectory("path", (source, *made), tuple(range(1, count + 1)))


def around(source: Pose, targets: Sequence[Pose]) -> Trajectory:
    """Any targets around one input; views are the input, then the targets as given.

    They are generated in order of growing angular distance from the input, those equally far as given.
    So, as on a ring and on a path, what is made first is what the network knows best, a small move from
    the photo, and a far target finds the views on the way to it made already.

    Raises:
        ValueError: no targets.
    """
    if not targets:
        raise ValueError("a trajectory needs at least one target")
    # Rounded: two targets equally far on both sides may differ in the last bit.
    distances = [round(angular_distance(source, target), 9) for target in targets]
    order = sorted(range(1, len(targets) + 1), key=lambda view: distances[view - 1])
    return Trajectory("path", (source, *targets), tuple(order))


def elevation_sweep(source: Pose, low: float, high: float, num_views: int) -> Trajectory:
    """The camera rises from ``low`` to ``high`` (radians) at the input's azimuth and radius.

    Of the ``num_views`` views one is the input. Where it stands between the two ends it is part of the sweep,
    and the steps below it and above it are as nearly equal as their whole numbers allow; where it stands
    outside, the other views are evenly spaced. Both ends are always among the views. Generated as by
    :func:`around`; output order is the input, then upwards.

    Raises:
        ValueError: fewer than 3 views, or ``low`` is not below ``high``.
    """
    if num_views < 3:
        raise ValueError(f"a sweep needs at least 3 views (the input and both ends), got {num_views}")
    if not low < high:
        raise ValueError("a sweep goes from a lower to a higher elevation")
    count, middle, near = num_views - 1, source.elevation, 1e-9
    if not low - near <= middle <= high + near:
        heights = [low + (high - low) * i / (count - 1) for i in range(count)]
    else:
        # An end at which the input does not stand needs a view of its own.
        least, most = int(middle - low > near), count - int(high - middle > near)
        below = min(max(round(count * (middle - low) / (high - low)), least), most)
        above = count - below
        heights = [low + (middle - low) * i / below for i in range(below)]
        heights += [middle + (high - middle) * i / above for i in range(1, above + 1)]
    return around(source, [replace(source, elevation=height) for height in heights])
