"""The frozen Zero123: checkpoints in, a model behind a few small methods out."""

from .batching import BatchedPredictor
from .checkpoints import OpenCheckpoint, load_zero123, open_checkpoint
from .conditioned import Conditioned
from .converting import convert_checkpoint
from .devices import usable_device, usable_dtype
from .diffusers_folders import save_diffusers
from .folders import save_zero123
from .hashes import checkpoint_hash
from .memory import check_loading, check_working, out_of_memory_told
from .model import Zero123
from .names import find_checkpoint, installed

__all__ = [
    "BatchedPredictor",
    "Conditioned",
    "OpenCheckpoint",
    "Zero123",
    "check_loading",
    "check_working",
    "checkpoint_hash",
    "convert_checkpoint",
    "find_checkpoint",
    "installed",
    "load_zero123",
    "open_checkpoint",
    "out_of_memory_told",
    "save_diffusers",
    "save_zero123",
    "usable_device",
    "usable_dtype",
]
