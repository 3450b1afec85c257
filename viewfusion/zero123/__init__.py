"""The frozen Zero123: checkpoints in, a model behind a few small methods out."""

from .checkpoints import OpenCheckpoint, load_zero123, open_checkpoint
from .conditioned import Conditioned
from .converting import convert_checkpoint
from .diffusers_folders import save_diffusers
from .folders import save_zero123
from .hashes import checkpoint_hash
from .model import Zero123
from .names import find_checkpoint, installed

__all__ = [
    "Conditioned",
    "OpenCheckpoint",
    "Zero123",
    "checkpoint_hash",
    "convert_checkpoint",
    "find_checkpoint",
    "installed",
    "load_zero123",
    "open_checkpoint",
    "save_diffusers",
    "save_zero123",
]
