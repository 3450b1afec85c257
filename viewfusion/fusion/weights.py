"""How much each reference view counts in the prediction of a target (ViewFusion, section 3.2).

Enters: distances between views and a target's place in the order. Leaves: weights that sum to 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

WEIGHT_FORMS = ("max", "pi")
"""What distances are measured against: their maximum (the released code) or pi (the paper)."""


def softmax_of_distances(
    distances: Sequence[float], temperature: float = 1.0, form: str = "max"
) -> np.ndarray:
    """softmax(-distance / scale / temperature): the nearer, the heavier.

    Args:
        distances: (N,) radians, >= 0.
        temperature: > 0; the smaller, the more the nearest view dominates.
        form: one of :data:`WEIGHT_FORMS`.

    Returns:
        (N,) float64, summing to 1 (empty for N = 0).
    """
    values = np.asarray(distances, dtype=np.float64)
    if not values.size:
        return values
    scale = math.pi if form == "pi" else float(values.max())
    if scale == 0:  # all references stand where the target stands
        return np.full(values.shape, 1 / values.size)
    scores = -values / scale / temperature
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def ring_input_share(place: int, num_views: int, temperature: float = 0.5, num_inputs: int = 1) -> float:
    """What the input view(s) weigh in the ``place``-th target (1 .. V-1) of a ring of V views.

    One input: exp(-k / V / temperature), and 1 for k = 1, which has no other reference.
    Several: exp(-(k - 1) / (V - 1) / temperature), shared among them.
    """
    if place == 1:
        return 1.0
    passed = place / num_views if num_inputs == 1 else (place - 1) / (num_views - 1)
    return math.exp(-passed / temperature)


def path_input_share(distance: float, temperature: float = 0.5) -> float:
    """What the input weighs in a target ``distance`` radians away on a path: exp(-d / pi / temperature)."""
    return math.exp(-distance / math.pi / temperature)
