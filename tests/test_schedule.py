"""Order, window and weights: against the recorded tables and against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from viewfusion.fusion.schedule import FusionRules, schedule
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
