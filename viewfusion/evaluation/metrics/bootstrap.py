"""Bootstrap intervals: one number for each object goes in, a mean and its confidence interval come out.

Objects are the unit: views of one object are not independent, so average over its views first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from viewfusion.errors import ViewFusionError

_AT_ONCE = 2**22
"""Numbers drawn at once: 10 000 draws of 10 000 objects would take a gigabyte."""


@dataclass(frozen=True)
class Interval:
    """A mean over objects and where it would lie with other objects of the kind.

    Args:
        low, high: the ends of the percentile interval.
        level: the share of bootstrap means between them.
    """

    mean: float
    low: float
    high: float
    level: float

    @property
    def excludes_zero(self) -> bool:
        """Of differences: whether their sign is settled at this level."""
        return self.low > 0 or self.high < 0


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    weights: Sequence[float] | np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of ``values`` (O,) and its percentile bootstrap interval; the same for the same ``seed``.

    Of one object the interval has no width, and says nothing.

    Args:
        weights: (O,) how much each object counts, more than 0; each as much by default. With the means of
            objects as ``values`` and how many views each has, this is the plain mean of all views.

    Raises:
        ViewFusionError: there are no values, or some are not finite.
    """
    each = np.asarray(values, np.float64)
    if each.ndim != 1 or not each.size or not np.isfinite(each).all():
        raise ViewFusionError(
            f"an interval wants one finite number for each object, got {each.shape} with "
            f"{int((~np.isfinite(each)).sum())} that are not finite"
        )
    share = np.ones(each.size) if weights is None else np.asarray(weights, np.float64)
    if share.shape != each.shape or not (np.isfinite(share) & (share > 0)).all():
        raise ViewFusionError(f"weights must be {each.size} finite numbers above 0, one for each object")
    rng, means = np.random.default_rng(seed), []
    rows = max(1, _AT_ONCE // each.size)
    for start in range(0, draws, rows):
        drawn = rng.choice(each.size, (min(rows, draws - start), each.size))
        means.append((each * share)[drawn].sum(1) / share[drawn].sum(1))
    low, high = np.percentile(np.concatenate(means), [50 * (1 - level), 50 * (1 + level)])
    return Interval(float((each * share).sum() / share.sum()), float(low), float(high), level)


def paired_interval(
    ours: Sequence[float] | np.ndarray,
    others: Sequence[float] | np.ndarray,
    *,
    weights: Sequence[float] | np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 10_000,
    seed: int = 0,
) -> Interval:
    """:func:`bootstrap_interval` of ``ours - others``, which are of the same objects in the same order."""
    a, b = np.asarray(ours, np.float64), np.asarray(others, np.float64)
    if a.shape != b.shape:
        raise ViewFusionError(f"pairs want as many numbers on both sides, got {a.shape} and {b.shape}")
    return bootstrap_interval(a - b, weights=weights, level=level, draws=draws, seed=seed)
