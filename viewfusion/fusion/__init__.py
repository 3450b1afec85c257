"""Interpolated denoising: the ViewFusion method, and only the method. Knows torch and numpy only.

:func:`schedule` says which views a target is made from and with which weights, :class:`FusedDenoiser` turns
their noise predictions into one, :func:`sample` runs a solver on it, :class:`ViewNoise` is its randomness.
:data:`VARIANTS` are what it is compared with; the method is readable without them.
"""

from .denoiser import Conditions, FusedDenoiser, NoisePredictor, Rows, fuse
from .noise import NOISE_SHARING, NoiseSource, ViewNoise, view_generator
from .sampling import AfterStep, Denoiser, sample
from .schedule import FusionRules, Target, schedule
from .variants import VARIANTS, evaluations_a_step, latent_rows, make_denoiser, predictions_a_step
from .weights import WEIGHT_FORMS, path_input_share, ring_input_share, softmax_of_distances

__all__ = [
    "NOISE_SHARING",
    "VARIANTS",
    "WEIGHT_FORMS",
    "AfterStep",
    "Conditions",
    "Denoiser",
    "FusedDenoiser",
    "FusionRules",
    "NoisePredictor",
    "NoiseSource",
    "Rows",
    "Target",
    "ViewNoise",
    "evaluations_a_step",
    "fuse",
    "latent_rows",
    "make_denoiser",
    "path_input_share",
    "predictions_a_step",
    "ring_input_share",
    "sample",
    "schedule",
    "softmax_of_distances",
    "view_generator",
]
