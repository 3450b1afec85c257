"""Saliency: a small copy of a photo goes in, how much each pixel stands out from the border comes out.

Two signs of an object, neither of which needs it to be anything in particular. Its colours are not the
border's: two sides at least must show a colour for it to be ground, so that an object reaching one side still
stands out. And it is closed off: every way to it from the border crosses an edge (the minimum barrier
distance, Zhang et al., ICCV 2015), so that a ground that changes slowly, or has one patch of an odd colour at
a side, is no object.
"""

from __future__ import annotations

import numpy as np

BAND = 0.04
"""Thickness of the border, as a share of the shorter side."""

COLOURS = 4
"""Colours that one side of the border is described by."""

SWEEPS = 3
"""Times that barriers are looked for in all four directions; ways that wind more often are overlooked."""

NOISE = 4.0
"""Units of CIE L*a*b* (one is hardly seen) that colours differ by without meaning it."""


def saliency(lab: np.ndarray) -> np.ndarray:
    """(h, w) float32, 0 to 1: how much each pixel of ``lab`` (h, w, 3) float32 stands out from the border."""
    unlike = _unlike_the_border(lab)
    start = np.zeros(lab.shape[:2], bool)
    start[[0, -1]] = start[:, [0, -1]] = True
    # What is unlike the rest of the border there is no ground to start from.
    start &= unlike <= max(0.5 * float(unlike.max()), 3.0)
    both = _scaled(unlike) + _scaled(barrier(lab, start))
    return _scaled(both * _centred(*lab.shape[:2]))


def border_band(height: int, width: int) -> int:
    """Pixels."""
    return max(2, round(BAND * min(height, width)))


def _unlike_the_border(lab: np.ndarray) -> np.ndarray:
    """(h, w) float32: distance from the colours of the side of the border that is second most alike."""
    band = border_band(*lab.shape[:2])
    sides = (lab[:band], lab[-band:], lab[:, :band], lab[:, -band:])
    return np.sort([_distance(lab, side.reshape(-1, 3)) for side in sides], axis=0)[1]


def _distance(lab: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """(h, w) float32: distance to the nearest of a few colours of ``samples``, in units of their spread."""
    import cv2

    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 0.5)
    count = min(COLOURS, len(samples))
    _, labels, centres = cv2.kmeans(
        np.ascontiguousarray(samples), count, None, criteria, 1, cv2.KMEANS_PP_CENTERS
    )
    nearest = np.full(lab.shape[:2], np.inf, np.float32)
    for index, centre in enumerate(centres):
        members = samples[labels[:, 0] == index]
        if len(members) < 0.02 * len(samples):
            continue  # a speck at the border says nothing of the ground
        spread = np.sqrt(((members - centre) ** 2).sum(axis=1).mean()) + NOISE
        nearest = np.minimum(nearest, np.linalg.norm(lab - centre, axis=2) / spread)
    return nearest


def barrier(lab: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(h, w) float32: the least range of values that a way to each pixel from ``start`` goes through.

    Ways go along rows and columns. Each sweep takes the best way on by one row or column at a time.
    """
    cost = np.where(start[..., None], 0, np.full(lab.shape, np.inf)).astype(np.float32)
    state = np.stack([cost, lab, lab])  # the cost of the best way, its highest and its lowest value
    turned = state.transpose(0, 2, 1, 3), lab.transpose(1, 0, 2)
    for _ in range(SWEEPS):
        for ways, values in ((state, lab), turned):
            _sweep(ways, values)
            _sweep(ways[:, ::-1], values[::-1])
    return np.asarray(np.minimum(state[0], 255).sum(axis=2))


def _sweep(state: np.ndarray, values: np.ndarray) -> None:
    """Take ways on from each row to the next, in place: ``state`` (3, h, w, 3), ``values`` (h, w, 3)."""
    for row in range(1, len(values)):
        high = np.maximum(state[1, row - 1], values[row])
        low = np.minimum(state[2, row - 1], values[row])
        way = np.where(np.isinf(state[0, row - 1]), np.inf, high - low)
        better = way < state[0, row]
        state[0, row][better], state[1, row][better], state[2, row][better] = (
            way[better],
            high[better],
            low[better],
        )


def _centred(height: int, width: int) -> np.ndarray:
    """(h, w) float32, 1 in the middle: people put what they photograph there."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    return np.exp(-(x**2 + y**2) / 1.2)


def _scaled(values: np.ndarray) -> np.ndarray:
    """From 0 to 1; the topmost hundredth counts as 1, so that one odd pixel does not set the scale."""
    low, high = np.percentile(values, [1, 99])
    return np.clip((values - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
