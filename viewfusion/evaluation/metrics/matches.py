"""SIFT matches: pictures go in, how many points are found again in the other one comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from viewfusion.errors import ViewFusionError

from .pictures import check_pair, resized

RATIO = 0.75
"""A match counts if its distance is below this share of the second best one's."""


def sift_matches(images: torch.Tensor, others: torch.Tensor, size: int = 256) -> torch.Tensor:
    """(B,) numbers of matches from each of ``images`` to its partner in ``others``; needs OpenCV.

    Pictures of another size are resized to ``size`` first: the protocol says 256, and in 64 pixels SIFT finds
    less than half. Grey is the mean of the three colours, rounded to 8 bits; OpenCV's SIFT as it comes,
    Euclidean distances by brute force, the two nearest, Lowe's ratio test at 0.75. Not symmetric.

    Args:
        images: (B, 3, H, W) in [0, 1].
        others: the same.
    """
    check_pair(images, others)
    ours, theirs = described(images, size), described(others, size)
    return torch.tensor([count_matches(a, b) for a, b in zip(ours, theirs, strict=True)])


def sift_matches_around(images: torch.Tensor, size: int = 256) -> torch.Tensor:
    """(V,) :func:`sift_matches` of the pairs (i, i + 1 mod V) of a turn, each picture described once."""
    check_pair(images, images)
    found = described(images, size)
    return torch.tensor([count_matches(a, b) for a, b in zip(found, [*found[1:], found[0]], strict=True)])


def described(images: torch.Tensor, size: int) -> list[np.ndarray]:
    """The SIFT descriptors (K, 128) of each picture."""
    sift = _cv2().SIFT_create()
    grey = (resized(images, size).mean(1) * 255).round().byte().cpu().numpy()
    found = [sift.detectAndCompute(picture, None)[1] for picture in grey]
    return [np.zeros((0, 128), np.float32) if each is None else each for each in found]


def count_matches(ours: np.ndarray, theirs: np.ndarray) -> int:
    """How many of ``ours`` (K, 128) have a match among ``theirs`` (L, 128) that stands out."""
    if not len(ours) or len(theirs) < 2:  # without a second best there is no ratio
        return 0
    cv2 = _cv2()
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(ours, theirs, k=2)
    return sum(best.distance < RATIO * second.distance for best, second in pairs)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ViewFusionError("SIFT matches need OpenCV; run `pip install opencv-python-headless`") from error
    return cv2
