"""The frozen Zero123: checkpoints in, a model behind a few small methods out."""

from .checkpoints import available_checkpoints, checkpoint_hash, find_checkpoint, load_zero123
from .folders import save_zero123
from .model import Zero123

__all__ = [
    "Zero123",
    "available_checkpoints",
    "checkpoint_hash",
    "find_checkpoint",
    "load_zero123",
    "save_zero123",
]
