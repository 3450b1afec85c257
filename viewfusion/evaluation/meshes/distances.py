"""Distances between surfaces: samples of two go in; Chamfer distance, F-score, agreement of normals come out.

d1 are the distances from each sample of the prediction to the nearest of the truth, d2 those back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from viewfusion.errors import ViewFusionError

from .samples import Samples


@dataclass(frozen=True, eq=False)
class Matches:
    """The nearest sample of the other surface, for each of P samples of the prediction and T of the truth.

    Args:
        to_truth, to_prediction: (P,) and (T,) Euclidean distances, d1 and d2.
        cosines_to_truth, cosines_to_prediction: (P,) and (T,) |cosine| of the normals of the two samples.
    """

    to_truth: np.ndarray
    to_prediction: np.ndarray
    cosines_to_truth: np.ndarray
    cosines_to_prediction: np.ndarray


def matched(prediction: Samples, truth: Samples) -> Matches:
    """Needs SciPy, whose k-d tree finds the exact nearest neighbours.

    Raises:
        ViewFusionError: SciPy is missing.
    """
    tree = _kd_tree()
    to_truth, there = tree(truth.points).query(prediction.points)
    to_prediction, back = tree(prediction.points).query(truth.points)
    return Matches(
        to_truth,
        to_prediction,
        _cosines(prediction.normals, truth.normals[there]),
        _cosines(truth.normals, prediction.normals[back]),
    )


def sum_of_squares(matches: Matches) -> float:
    """Chamfer distance, mean d1^2 + mean d2^2: from 0, lower is better; in squares of the unit of length."""
    return float(np.square(matches.to_truth).mean() + np.square(matches.to_prediction).mean())


def mean_of_distances(matches: Matches) -> float:
    """Chamfer distance, (mean d1 + mean d2) / 2: from 0, lower is better; in the unit of length."""
    return float(matches.to_truth.mean() + matches.to_prediction.mean()) / 2


CHAMFERS = {"sum_of_squares": sum_of_squares, "mean_of_distances": mean_of_distances}


def f_score(matches: Matches, squared_distance: float) -> tuple[float, float, float]:
    """(F, precision, recall), each from 0 to 1, higher is better.

    Precision is the share of d1 with d1^2 < ``squared_distance``, recall that of d2; F = 2PR / (P + R), and
    0 where both are (Knapitsch et al., Tanks and Temples, 2017, section 4).
    """
    precision = float((np.square(matches.to_truth) < squared_distance).mean())
    recall = float((np.square(matches.to_prediction) < squared_distance).mean())
    both = precision + recall
    return (2 * precision * recall / both if both else 0.0), precision, recall


def normal_consistency(matches: Matches) -> float:
    """Mean |cosine| of the normals of nearest samples, averaged over both ways: 0 to 1, higher is better.

    Mescheder et al., Occupancy Networks, 2019, section 4. Directions drawn at random would give 0.5.
    """
    return float(matches.cosines_to_truth.mean() + matches.cosines_to_prediction.mean()) / 2


def _cosines(normals: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs((normals * others).sum(axis=1)), 1.0)


def _kd_tree() -> Any:
    try:
        from scipy.spatial import cKDTree
    except ImportError as error:
        raise ViewFusionError(
            f"distances between meshes need SciPy ({error}); run `pip install 'viewfusion[evaluation]'`"
        ) from None
    return cKDTree
