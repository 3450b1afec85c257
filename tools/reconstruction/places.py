"""Cameras: where objects are seen from to be reconstructed, to be judged and to be looked at."""

from __future__ import annotations

import math

from viewfusion.datasets import ring_poses
from viewfusion.geometry import DEFAULT_ELEVATION, DEFAULT_RADIUS, Pose

VIEWS, SIZE = 36, 256
RING = ring_poses(VIEWS, DEFAULT_ELEVATION, DEFAULT_RADIUS)
"""What is reconstructed from."""

UNSEEN = tuple(Pose.from_degrees(5 + 30 * place, 30, DEFAULT_RADIUS) for place in range(12))
"""Half-way between neighbours of the ring."""

ELSEWHERE = tuple(
    Pose.from_degrees(start + 90 * place, elevation, DEFAULT_RADIUS)
    for elevation, start in ((0, 20), (60, 65))
    for place in range(4)
)
"""From the height of the object and from high above, where no view of the ring is."""

SIDES = tuple(
    Pose.from_degrees(azimuth, elevation, DEFAULT_RADIUS)
    for azimuth, elevation in ((0, 30), (115, 30), (235, 30), (30, 75), (60, -35))
)
"""What a person looks at; the last is from below, where no camera was."""

SHAPE_FROM = Pose(math.radians(40), math.radians(20), DEFAULT_RADIUS)
"""Where the shape without colours is seen from."""
