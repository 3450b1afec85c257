"""Any checkpoint in, a frozen Zero123 out.

Enters: a name, the project's own folder, or an original ``.ckpt`` with its YAML; all untrusted. Leaves:
a loaded :class:`Zero123`, or a :class:`ViewFusionError` of one line. Nothing in a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FAMILIES, Family
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import read_yaml

from .folders import CONFIG, read_folder, read_safetensors
from .ldm_configs import FULL_SIZE, is_full_size, ldm_config
from .ldm_keys import ldm_weights
from .lightning import read_state_dict
from .model import Zero123
from .untrusted import shown
from .weights import FLOATS, load_weights

_CHUNK = 2**20


def load_zero123(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    use_ema: bool = True,
    family: Family | None = None,
) -> Zero123:
    """A frozen model in eval mode on ``device`` in ``dtype``.

    A ``.ckpt`` loaded to the CPU in its own dtype stays memory-mapped: do not write into it meanwhile.

    Args:
        checkpoint: a name such as "zero123-nano", a folder of :func:`save_zero123`, or an original
            Lightning ``.ckpt`` (or its weights as one ``.safetensors``, under the same names).
        config: the model YAML published beside a ``.ckpt``; not needed for the released full-size
            models, whose shapes are known, and refused for a folder, which has its own.
        use_ema: take a ``.ckpt``'s averaged UNet weights, where it has them, as the original sampler does.
        family: what a ``.ckpt`` is told of a move (see ``pose_embedding``): "zero123" where None; pass
            "stable-zero123" for Stable Zero123, which nothing in the file tells apart. A folder states
            its own; naming another one is refused.

    Raises:
        ViewFusionError: the checkpoint is missing, damaged, hostile, of another model, or the device
            is not there; one line that names the file and the remedy.
    """
    path = find_checkpoint(checkpoint)
    if family is not None and family not in FAMILIES:
        raise ViewFusionError(f"family must be one of {', '.join(FAMILIES)}, got {shown([family])}")
    where = _usable_device(device)
    if path.is_dir():
        if config is not None:
            raise ViewFusionError(f"{path}: a folder has its own {CONFIG}; leave --config out")
        settings, source = read_folder(path)
        if family not in (None, settings["family"]):
            raise ViewFusionError(f"{path}: is of family {settings['family']!r}, not {family!r}")
        return load_weights(source, settings, where, dtype)
    if not path.is_file():
        raise ViewFusionError(f"{path}: neither a file nor a folder; give --checkpoint one of these")
    state = read_safetensors(path) if path.suffix == ".safetensors" else read_state_dict(path)
    settings = _original_config(path, config, state, family or "zero123")
    model = load_weights(ldm_weights(state, settings, path, use_ema), settings, where, dtype)
    _check_schedule(model, state.get("alphas_cumprod"), path)
    return model


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """The path of a checkpoint given by path or by the name of one that ships with viewfusion.

    Raises:
        ViewFusionError: neither; lists the names that are there.
    """
    path = Path(name_or_path).expanduser()
    try:
        if path.exists():
            return path
    except (OSError, ValueError) as error:  # too long, or with a null byte
        raise ViewFusionError(f"{shown([name_or_path])}: not a usable path; check it") from error
    shipped = _shipped()
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    names = ", ".join(sorted(shipped)) or "none is installed"
    raise ViewFusionError(
        f"{shown([name_or_path])}: no such file, folder or shipped checkpoint (shipped: {names}); "
        "give --checkpoint one of these names or the path of a .ckpt file or checkpoint folder"
    )


def _shipped() -> dict[str, Path]:
    """Name -> folder of the checkpoints that travel with viewfusion."""
    parent = resource_folder("zero123_ckpts")
    folders = parent.iterdir() if parent.is_dir() else ()
    return {folder.name: folder for folder in folders if (folder / CONFIG).is_file()}


def checkpoint_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 (hex) of a checkpoint's bytes, to name it in manifests.

    Of a file: its bytes. Of a folder: the lines ``"{filename} {sha256 of its bytes}\\n"`` of
    ``config.json`` and every ``*.safetensors``, sorted by filename.

    Raises:
        ViewFusionError: there is nothing to read.
    """
    path = find_checkpoint(path)
    try:
        if path.is_file():
            return _file_hash(path)
        files = sorted([path / CONFIG, *path.glob("*.safetensors")], key=lambda file: file.name)
        for file in files:
            if file.exists() and not file.is_file():  # a pipe would be waited for
                raise ViewFusionError(f"{file}: is no file; fetch the folder again")
        lines = "".join(f"{file.name} {_file_hash(file)}\n" for file in files)
    except OSError as error:
        raise ViewFusionError(
            f"{path}: {Path(error.filename or '').name} cannot be read ({error.strerror})"
        ) from error
    return hashlib.sha256(lines.encode()).hexdigest()


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _usable_device(device: str | torch.device) -> torch.device:
    try:
        where = torch.device(device)
        torch.empty(1, device=where)
    except Exception as error:  # RuntimeError, AssertionError, NotImplementedError by backend
        raise ViewFusionError(
            f"the device {shown([device])} is not there; use --device cpu, or install a torch that knows it"
        ) from error
    return where


def _original_config(
    path: Path, config: str | os.PathLike[str] | None, state: dict[str, torch.Tensor], family: Family
) -> dict[str, Any]:
    if config is not None:
        return ldm_config(read_yaml(Path(config), "model YAML", "--config"), state, str(config), family)
    if not is_full_size(state):
        raise ViewFusionError(
            f"{path}: not of the released full-size Zero123's shapes; "
            "give --config the model's YAML, or this is a checkpoint of another model"
        )
    return ldm_config(FULL_SIZE, state, str(path), family)


def _check_schedule(model: Zero123, stored: torch.Tensor | None, path: Path) -> None:
    """The noise schedule a file was trained with must be the one its config states."""
    if stored is None:
        return
    expected = model.alphas_cumprod.cpu()
    # Wide enough for half-precision exports; another schedule differs by much more.
    if (
        stored.dtype not in FLOATS
        or stored.shape != expected.shape
        or not torch.allclose(stored.float(), expected, atol=2e-3)
    ):
        raise ViewFusionError(
            f"{path}: was trained with another noise schedule than its config states; "
            "give --config the YAML published beside it"
        )
