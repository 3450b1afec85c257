"""Points found again: pictures from nearby cameras go in, where each sees the same points comes out.

Two kinds of points are treated alike: SIFT features with a match that stands out, and corners followed by
Lucas and Kanade's method, of which small and plain pictures have more. Both start from each picture in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..pieces import from_border, grown, shrunk

SIDE = 256
"""Pixels a side at which points are looked for, whatever the model's; what is in pixels below is of these."""

NEARLY_WHITE = 235
"""A pixel whose darkest colour is at least this belongs to the ground if the border's white reaches it."""

RATIO = 0.75
"""A match counts if its distance is below this share of the second best one's (Lowe)."""

FARTHEST = 0.25
"""Share of the frame that a point moves at most; 20 degrees move one at the rim of the object by 0.13."""

CORNERS = 200
"""At most, of one picture; they are at least 4 pixels apart."""

_RIM = 4  # pixels: what is seen this near to the outline slides along it instead of turning with the object
_WINDOW = (21, 21)


@dataclass(frozen=True, eq=False)
class _Looked:
    """A picture as points are looked for in it: (SIDE, SIDE) uint8 greys, and bool where the object is."""

    grey: np.ndarray
    mask: np.ndarray

    @classmethod
    def at(cls, rgb: np.ndarray) -> _Looked:
        resized = Image.fromarray(rgb).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels = np.asarray(resized)
        mask = ~from_border(pixels.min(axis=2) >= NEARLY_WHITE)
        grey = np.rint(pixels.mean(axis=2)).astype(np.uint8)
        return cls(grey, mask)


def points_found_again(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """(T, V, 2) of T points x to the right and y down, in shares of the frame; NaN where one is not seen.

    Every point is seen in two pictures or more. One place of the object may appear several times.

    Args:
        pictures: V of (H, H, 3) uint8, over white.
    """
    looked = [_Looked.at(picture) for picture in pictures]
    found = [*_matched(looked), *_followed(looked)]
    points = np.concatenate([np.zeros((0, len(looked), 2)), *found])
    return points[np.isfinite(points[..., 0]).sum(axis=1) >= 2] / SIDE


def _matched(looked: Sequence[_Looked]) -> list[np.ndarray]:
    """Of each picture, its SIFT features with their matches in the others."""
    cv2 = _cv2()
    sift, matcher = cv2.SIFT_create(), cv2.BFMatcher(cv2.NORM_L2)
    described = [sift.detectAndCompute(each.grey, grown(each.mask, 3).astype(np.uint8)) for each in looked]
    places = [np.array([key.pt for key in keys]).reshape(-1, 2) + 0.5 for keys, _ in described]
    found = []
    for start, (_, ours) in enumerate(described):
        points = _starting(places[start], start, len(looked))
        for other, (_, theirs) in enumerate(described):
            if other == start or not len(places[start]) or len(places[other]) < 2:
                continue
            for best, second in matcher.knnMatch(ours, theirs, k=2):
                there = places[other][best.trainIdx]
                near = np.linalg.norm(there - places[start][best.queryIdx]) < FARTHEST * SIDE
                if near and best.distance < RATIO * second.distance:
                    points[best.queryIdx, other] = there
        found.append(points)
    return found


def _followed(looked: Sequence[_Looked]) -> list[np.ndarray]:
    """Of each picture, its corners and where they went, if from there one comes back to within a pixel."""
    cv2, found = _cv2(), []
    for start, first in enumerate(looked):
        inner = shrunk(first.mask, _RIM).astype(np.uint8)
        corners = cv2.goodFeaturesToTrack(first.grey, CORNERS, 0.01, 4, mask=inner)
        if corners is None:
            continue
        points = _starting(corners[:, 0] + 0.5, start, len(looked))
        for other, second in enumerate(looked):
            if other != start:
                there, good = _flow(first.grey, second.grey, corners)
                back, good_back = _flow(second.grey, first.grey, there)
                good &= good_back & (np.linalg.norm(back - corners, axis=2)[:, 0] < 1)
                good &= _inside(there[:, 0], grown(second.mask, 3))
                points[good, other] = there[good, 0] + 0.5
        found.append(points)
    return found


def _flow(before: np.ndarray, after: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where ``corners`` (K, 1, 2) went, and (K,) whether they could be followed."""
    there, status, _ = _cv2().calcOpticalFlowPyrLK(before, after, corners, None, winSize=_WINDOW, maxLevel=3)
    return there, status[:, 0] > 0


def _starting(places: np.ndarray, start: int, views: int) -> np.ndarray:
    """(K, V, 2) pixels, known in picture ``start`` only."""
    points = np.full((len(places), views, 2), np.nan)
    points[:, start] = places
    return points


def _inside(places: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(K,) whether (K, 2) pixels lie on ``mask``."""
    column, row = np.rint(np.clip(places, -1, SIDE)).astype(int).T
    there = (column >= 0) & (row >= 0) & (column < SIDE) & (row < SIDE)
    return there & mask[np.clip(row, 0, SIDE - 1), np.clip(column, 0, SIDE - 1)]


def _cv2() -> Any:
    """OpenCV, whose types are not told."""
    import cv2

    return cv2
