"""A training's state on disk: tensors and a few numbers go in, one safetensors file comes out, and back.

Nothing in such a file is ever run: it holds numbers, and a JSON text about them in its header.
"""

from __future__ import annotations

import errno
import hashlib
import inspect
import json
import math
import os
import re
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

_MOST_BYTES = 2**33
"""Of a file; a grid of 512 cells a side with all that belongs to it takes less than 4 GB."""


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
            if not all(is_finite(value) for value in self.field.values()):
                raise ValueError("what was learned is no finite number")
            field.load_state_dict(self.field)
            parameters = [each for group in optimiser.param_groups for each in group["params"]]
            _check_moments(self.optimiser, parameters, _moments_of(optimiser))
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": self.optimiser, "param_groups": groups})
        except (RuntimeError, ValueError, IndexError, KeyError) as error:
            raise _damaged(path, error) from error


def is_finite(values: Tensor) -> bool:
    """Whether ``values`` has neither NaN nor infinity; whole numbers have not."""
    return not values.is_floating_point() or bool(values.isfinite().all())


def _moments_of(optimiser: torch.optim.Optimizer) -> set[str]:
    """Names of what an optimiser of that kind keeps of a parameter, once it has made a step."""
    number = nn.Parameter(torch.zeros(1))
    number.grad = torch.ones(1)
    known = inspect.signature(type(optimiser)).parameters
    settings = {name: value for name, value in optimiser.defaults.items() if name in known}
    other = type(optimiser)([number], **settings)
    other.step()
    return {name for name, value in other.state[number].items() if value is not None}


def _check_moments(
    states: dict[int, dict[str, Any]], parameters: list[nn.Parameter], names: set[str]
) -> None:
    """Raise ValueError or IndexError unless an optimiser can make a step with the ``states`` of a file."""
    for index, state in states.items():
        if index < 0 or set(state) != names:
            raise ValueError(f"optimiser state {index} lacks a part or has others")
        for name, value in state.items():
            shape = () if name == "step" else parameters[index].shape
            if value.shape != shape or not value.is_floating_point() or not is_finite(value):
                raise ValueError(f"{name} of optimiser state {index} has another shape or kind")
        if "step" in state and float(state["step"]) < 1:
            raise ValueError(f"optimiser state {index} has made no step")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """One file, whole or not at all.

    Raises:
        ViewFusionError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"field/{name}": value for name, value in checkpoint.field.items()}
    for index, state in checkpoint.optimiser.items():
        for name, value in state.items():
            if value is not None:  # a momentum that has not begun
                tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    about = {key: value for key, value in vars(checkpoint).items() if key not in ("field", "optimiser")}
    ready = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(ready, temporary, {"viewfusion": json.dumps({"version": _VERSION, **about})})
        except SafetensorError as error:  # what a full disk is told by, and no OSError
            raise _as_os_error(error) from error


def _as_os_error(error: Exception) -> OSError:
    """The error of the system that safetensors tells in words, as "... (os error 28)"."""
    found = re.search(r"os error (\d+)", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number))


def read_checkpoint(path: Path) -> Checkpoint:
    """What :func:`write_checkpoint` wrote.

    Raises:
        ViewFusionError: there is no such file, it is damaged, or something else.
    """
    from safetensors import safe_open

    try:
        if not path.is_file():  # a pipe would be waited for
            raise ValueError("no file")
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("larger than any training's state")
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
    if not 0 <= checkpoint.seconds < math.inf:
        raise ValueError("seconds are no finite number")
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
