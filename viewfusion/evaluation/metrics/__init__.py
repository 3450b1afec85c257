"""Metrics: pictures in [0, 1] go in, one number for each comes out. What each means: docs/metrics.md."""

from __future__ import annotations

from .bootstrap import Interval, bootstrap_interval, paired_interval
from .clip import Clip, load_clip
from .closure import loop_closure
from .epipolar import epipolar_consistency
from .flow import flow_warp_error, visible_pixels, warp
from .lpips import Lpips, load_lpips
from .matches import sift_matches, sift_matches_around
from .outlines import mask_overlap, outline_overlap
from .pictures import each_with_next, resized, unit_images
from .pixels import psnr, ssim
from .raft import Raft, load_raft
from .rife import Rife, load_rife
from .weights import WEIGHTS, find_weights

__all__ = [
    "WEIGHTS",
    "Clip",
    "Interval",
    "Lpips",
    "Raft",
    "Rife",
    "bootstrap_interval",
    "each_with_next",
    "epipolar_consistency",
    "find_weights",
    "flow_warp_error",
    "load_clip",
    "load_lpips",
    "load_raft",
    "load_rife",
    "loop_closure",
    "mask_overlap",
    "outline_overlap",
    "paired_interval",
    "psnr",
    "resized",
    "sift_matches",
    "sift_matches_around",
    "ssim",
    "unit_images",
    "visible_pixels",
    "warp",
]
