"""Interpolated denoising: the ViewFusion method, and only the method. Knows torch and numpy only.

:func:`schedule` says which views a target is made from and with which weights, :class:`FusedDenoiser` turns
their noise predictions into one, :func:`sample` runs a solver on it, :class:`ViewNoise` is its randomness.
:func:`together` has several of them under way at once, with one call of the network a step.
:data:`VARIANTS` are what it is compared with; the method is readable without them.
"""

from .denoiser import Conditions, FusedDenoiser, Interval, NoisePredictor, Rows, Turns, fuse, scale_at
from .noise import NOISE_SHARING, NoiseSource, ViewNoise, view_generator
from .questions import Asking, Question, answered, together
from .sampling import AfterStep, Denoiser, sample, sampling
from .schedule import SCHEDULES, FusionRules, Target, groups, schedule
from .variants import VARIANTS, evaluations_a_step, latent_rows, make_denoiser, predictions_a_step
from .weights import WEIGHT_FORMS, path_input_share, ring_input_share, softmax_of_distances

__all__ = [
    "NOISE_SHARING",
    "SCHEDULES",
    "VARIANTS",
    "WEIGHT_FORMS",
    "AfterStep",
    "Asking",
    "Conditions",
    "Denoiser",
    "FusedDenoiser",
    "FusionRules",
    "Interval",
    "NoisePredictor",
    "NoiseSource",
    "Question",
    "Rows",
    "Target",
    "Turns",
    "ViewNoise",
    "answered",
    "evaluations_a_step",
    "fuse",
    "groups",
    "latent_rows",
    "make_denoiser",
    "path_input_share",
    "predictions_a_step",
    "ring_input_share",
    "sample",
    "sampling",
    "scale_at",
    "schedule",
    "softmax_of_distances",
    "together",
    "view_generator",
]
