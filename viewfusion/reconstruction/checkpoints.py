"""A training's state on disk: tensors and a few numbers go in, one safetensors file comes out, and back.

Nothing in such a file is ever run: it holds numbers, and a JSON text about them in its header.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viewfusion.errors import ViewFusionError
from viewfusion.outputs.files import atomic_path

from .scene import Scene

_VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What going on needs.

    Args:
        recipe: name and numbers of the recipe.
        scene: :func:`digest` of what is trained on.
        seed: of all chance.
        done: steps made.
        seconds: that they took.
        losses: of the last one.
        field: its state by name.
        optimiser: its state by parameter's number and name.
    """

    recipe: dict[str, object]
    scene: str
    seed: int
    done: int
    seconds: float
    losses: dict[str, float]
    field: dict[str, Tensor]
    optimiser: dict[int, dict[str, Any]]

    def restore(self, field: nn.Module, optimiser: torch.optim.Optimizer, path: Path) -> None:
        """Put the state into a field and an optimiser of the right shapes; ``path`` is for messages."""
        try:
            field.load_state_dict(self.field)
            groups = optimiser.state_dict()["param_groups"]
            parameters = [each for group in optimiser.param_groups for each in group["params"]]
            for index, state in self.optimiser.items():
                shape = parameters[index].shape
                if any(value.ndim and value.shape != shape for value in state.values()):
                    raise ValueError(f"optimiser state {index} has another shape")
            if len({frozenset(state) for state in self.optimiser.values()}) > 1:
                raise ValueError("optimiser states of several kinds")
            optimiser.load_state_dict({"state": self.optimiser, "param_groups": groups})
        except (RuntimeError, ValueError, IndexError, KeyError) as error:
            raise _damaged(path, error) from error


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """One file, whole or not at all."""
    from safetensors.torch import save_file

    tensors = {f"field/{name}": value for name, value in checkpoint.field.items()}
    for index, state in checkpoint.optimiser.items():
        for name, value in state.items():
            if value is not None:  # a momentum that has not begun
                tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    about = {key: value for key, value in vars(checkpoint).items() if key not in ("field", "optimiser")}
    ready = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(ready, temporary, {"viewfusion": json.dumps({"version": _VERSION, **about})})


def read_checkpoint(path: Path) -> Checkpoint:
    """What :func:`write_checkpoint` wrote.

    Raises:
        ViewFusionError: there is no such file, it is damaged, or something else.
    """
    from safetensors import safe_open

    try:
        if not path.is_file():  # a pipe would be waited for
            raise ValueError("no file")
        with safe_open(path, framework="pt", device="cpu") as file:
            about = json.loads((file.metadata() or {})["viewfusion"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about.pop("version") != _VERSION:
            raise ValueError("written by another version")
        field: dict[str, Tensor] = {}
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            part, _, rest = name.partition("/")
            if part == "field":
                field[rest] = value
            else:
                index, _, entry = rest.partition("/")
                optimiser.setdefault(int(index), {})[entry] = value
        checkpoint = Checkpoint(field=field, optimiser=optimiser, **about)
        _check(checkpoint)
    except Exception as error:  # SafetensorError is none of the usual ones; JSON has its own
        raise _damaged(path, error) from error
    return checkpoint


def _check(checkpoint: Checkpoint) -> None:
    """Raise TypeError or ValueError unless the plain values are of their kinds."""
    kinds = {"recipe": dict, "scene": str, "seed": int, "done": int, "seconds": float, "losses": dict}
    for name, kind in kinds.items():
        if not isinstance(getattr(checkpoint, name), kind):
            raise TypeError(f"{name} is no {kind.__name__}")
    if checkpoint.done < 0:
        raise ValueError("steps below 0")
    if not all(isinstance(value, float) for value in checkpoint.losses.values()):
        raise TypeError("losses are no numbers")


def _damaged(path: Path, error: Exception) -> ViewFusionError:
    reason = str(error).partition("\n")[0][:100] or type(error).__name__
    return ViewFusionError(f"{path}: no checkpoint to go on from ({reason}); remove it to begin anew")


def digest(scene: Scene) -> str:
    """What tells scenes apart: pictures, masks, cameras, trust, and which are trained on."""
    hashed = hashlib.sha256()
    parts = (scene.images, scene.masks, scene.cameras, scene.intrinsics, scene.weights)
    for part in (*parts, np.array(scene.held_out, dtype=np.int64)):
        array = np.ascontiguousarray(part)
        hashed.update(f"{array.dtype}{array.shape}".encode())
        hashed.update(array.tobytes())
    return hashed.hexdigest()
