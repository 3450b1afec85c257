"""Cameras around an object, as Zero123 saw its training objects: radius 1.4 to 1.8, looking at the middle."""

from __future__ import annotations

import math

import numpy as np

from viewfusion.geometry import Pose


def random_poses(rng: np.random.Generator, views: int) -> list[Pose]:
    """Cameras of one object: most share an elevation, as the views of a turntable do."""
    base = rng.uniform(0, 45)
    radius = rng.uniform(1.4, 1.8)
    poses = []
    for _ in range(views):
        elevation = base + rng.normal(0, 3) if rng.random() < 0.75 else rng.uniform(-10, 70)
        distance = max(1.3, radius + rng.normal(0, 0.05))
        poses.append(Pose(rng.uniform(-math.pi, math.pi), math.radians(elevation), distance))
    return poses
