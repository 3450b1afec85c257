"""SIFT matches: pictures go in, how many points are found again in the other one comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from viewfusion.errors import ViewFusionError

from .pictures import check_pair, resized

RATIO = 0.75
"""A match counts if its distance is below this share of the second best one's."""


def sift_matches(images: torch.Tensor, others: torch.Tensor, size: int = 256) -> torch.Tensor:
    """(B,) counts, 0 or more, of matches from each of ``images`` to its partner in ``others``; needs OpenCV.

    Of the points of the first, those whose nearest descriptor in the second is closer than 0.75 of the second
    nearest (Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", 2004). Pictures of another
    size are resized to ``size`` first: the protocol says 256, and in 64 pixels SIFT finds less than half.
    Grey is the mean of the three colours, rounded to 8 bits; OpenCV's SIFT as it comes, Euclidean distances
    by brute force. Not symmetric.

    Args:
        images: (B, 3, H, W) in [0, 1].
        others: the same.
    """
    check_pair(images, others)
    ours, theirs = described(images, size), described(others, size)
    return torch.tensor([len(matched(a, b)) for a, b in zip(ours, theirs, strict=True)])


def sift_matches_around(images: torch.Tensor, size: int = 256) -> torch.Tensor:
    """(V,) :func:`sift_matches` of the pairs (i, i + 1 mod V) of a turn, each picture described once."""
    check_pair(images, images)
    found = described(images, size)
    return torch.tensor([len(matched(a, b)) for a, b in zip(found, [*found[1:], found[0]], strict=True)])


@dataclass(frozen=True)
class Points:
    """What SIFT finds in a picture.

    Args:
        places: (K, 2) x to the right and y down in pixels, the first of which covers 0 to 1.
        descriptors: (K, 128).
    """

    places: np.ndarray
    descriptors: np.ndarray


def described(images: torch.Tensor, size: int) -> list[Points]:
    """The points of each picture (B, 3, H, W), resized to ``size``."""
    sift = _cv2().SIFT_create()
    grey = (resized(images, size).mean(1) * 255).round().byte().cpu().numpy()
    found = []
    for picture in grey:
        points, descriptors = sift.detectAndCompute(picture, None)
        # OpenCV's origin is the middle of the first pixel.
        places = np.array([point.pt for point in points], np.float64).reshape(-1, 2) + 0.5
        found.append(Points(places, np.zeros((0, 128), np.float32) if descriptors is None else descriptors))
    return found


def matched(ours: Points, theirs: Points) -> np.ndarray:
    """(M, 2) numbers of those of ``ours`` that have a match among ``theirs`` that stands out, and of that."""
    # Without a second best there is no ratio.
    if not len(ours.descriptors) or len(theirs.descriptors) < 2:
        return np.zeros((0, 2), np.int64)
    cv2 = _cv2()
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(ours.descriptors, theirs.descriptors, k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    return np.array([(each.queryIdx, each.trainIdx) for each in good], np.int64).reshape(-1, 2)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ViewFusionError("SIFT matches need OpenCV; run `pip install opencv-python-headless`") from error
    return cv2
