"""Interpolated denoising: the ViewFusion method, and only the method. Knows torch and numpy only.

:func:`schedule` says which views a target is made from and with which weights, :class:`FusedDenoiser` turns
their noise predictions into one, :func:`sample` runs a solver on it, :class:`ViewNoise` is its randomness.
"""

from .denoiser import Conditions, FusedDenoiser, NoisePredictor, fuse
from .noise import NOISE_SHARING, NoiseSource, ViewNoise, view_generator
from .sampling import AfterStep, Denoiser, sample
from .schedule import FusionRules, Target, schedule
from .weights import WEIGHT_FORMS, path_input_share, ring_input_share, softmax_of_distances

__all__ = [
    "NOISE_SHARING",
    "WEIGHT_FORMS",
    "AfterStep",
    "Conditions",
    "Denoiser",
    "FusedDenoiser",
    "FusionRules",
    "NoisePredictor",
    "NoiseSource",
    "Target",
    "ViewNoise",
    "fuse",
    "path_input_share",
    "ring_input_share",
    "sample",
    "schedule",
    "softmax_of_distances",
    "view_generator",
]
