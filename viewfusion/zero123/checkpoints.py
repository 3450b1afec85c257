"""Any checkpoint in, a frozen Zero123 out.

Enters: a name, a folder of ours or of diffusers, or an original ``.ckpt`` with its YAML; all untrusted.
Leaves: an :class:`OpenCheckpoint` of which only headers were read, or a loaded :class:`Zero123`; or a
:class:`ViewFusionError` of one line. Nothing in a checkpoint is ever run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import FAMILIES, Family
from viewfusion.untrusted import shown
from viewfusion.yaml_files import read_yaml

from .catalogue import CATALOGUE
from .devices import usable_device
from .diffusers_folders import INDEX, read_diffusers
from .families import decide_family
from .folders import CONFIG, read_folder, read_own_file, read_safetensors
from .ldm_configs import FULL_SIZE, is_full_size, ldm_config
from .ldm_keys import ldm_weights
from .lightning import read_state_dict
from .model import Zero123, alphas_cumprod
from .names import find_checkpoint
from .safetensors_files import read_header
from .weights import FLOATS, WeightSource, load_weights


@dataclass(frozen=True)
class OpenCheckpoint:
    """A checkpoint whose weights lie still on disk.

    Args:
        path: the file or folder.
        format: in words.
        config: of a :class:`Zero123`.
        weights: under our names.
        family_known_by: who says so: "its metadata", "--family", ..., or "assumed".
        ema: whether the UNet's weights are running averages; None where the format does not tell.
    """

    path: Path
    format: str
    config: dict[str, Any]
    weights: WeightSource
    family_known_by: str
    ema: bool | None = None


def load_zero123(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    use_ema: bool = True,
    family: Family | None = None,
) -> Zero123:
    """A frozen model in eval mode on ``device`` in ``dtype``; of float16 the autoencoder in float32.

    A file loaded to the CPU in its own dtype stays memory-mapped: do not write into it meanwhile.
    The other arguments are those of :func:`open_checkpoint`.

    Raises:
        ViewFusionError: the checkpoint is missing, damaged, hostile, of another model, or the device
            is not there or too small; one line that names the file and the remedy.
    """
    where = usable_device(device)
    opened = open_checkpoint(checkpoint, config, use_ema, family)
    return load_weights(opened.weights, opened.config, where, dtype)


def open_checkpoint(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    use_ema: bool = True,
    family: Family | None = None,
) -> OpenCheckpoint:
    """What a checkpoint is, its weights not yet read.

    Args:
        checkpoint: a name such as "zero123-nano" (see :func:`find_checkpoint`), a folder of
            :func:`save_zero123` or of diffusers, an original Lightning ``.ckpt``, or weights as one
            ``.safetensors`` under original names or ours.
        config: the model YAML published beside an original file; not needed for the released full-size
            models, whose shapes are known, and refused where a checkpoint has its own.
        use_ema: take an original file's averaged UNet weights, where it has them, as its sampler does.
        family: what it is told of a move (see ``pose_embedding``), where nothing else says: nothing in
            original weights tells Stable Zero123 apart. Naming another one than is known is refused.

    Warns:
        ViewFusionWarning: nobody says which family it is of; "zero123" is assumed.

    Raises:
        ViewFusionError: the checkpoint is missing, damaged, hostile or of another model.
    """
    path = find_checkpoint(checkpoint)
    if family is not None and family not in FAMILIES:
        raise ViewFusionError(f"family must be one of {', '.join(FAMILIES)}, got {shown([family])}")
    opened, stated = _opened(path, config, use_ema)
    entry = None if path == Path(checkpoint) else CATALOGUE.get(str(checkpoint))
    decided, witness = decide_family(path, stated, entry, family)
    return replace(opened, config={**opened.config, "family": decided}, family_known_by=witness)


def _opened(
    path: Path, config: str | os.PathLike[str] | None, use_ema: bool
) -> tuple[OpenCheckpoint, Family | None]:
    """The checkpoint, and the family that it states itself."""
    own = path.is_dir()
    if not own and not path.is_file():
        raise ViewFusionError(f"{path}: neither a file nor a folder; give --checkpoint one of these")
    if not own and path.suffix == ".safetensors":
        own = any(name.startswith("unet.") for name in read_header(path).shapes)
    if not own:
        return _original(path, config, use_ema), None
    if config is not None:
        raise ViewFusionError(f"{path}: has its own {CONFIG}; leave --config out")
    stated: Family | None
    if (path / INDEX).exists():
        settings, source, stated = read_diffusers(path)
        return OpenCheckpoint(path, "diffusers folder", settings, source, ""), stated
    settings, source = read_folder(path) if path.is_dir() else read_own_file(path)
    kind = "viewfusion folder" if path.is_dir() else "viewfusion safetensors"
    return OpenCheckpoint(path, kind, settings, source, ""), settings["family"]


def _original(path: Path, config: str | os.PathLike[str] | None, use_ema: bool) -> OpenCheckpoint:
    if path.suffix == ".safetensors":
        state, kind = read_safetensors(path), "safetensors, original names"
    else:
        state, kind = read_state_dict(path), "original .ckpt"
    settings = _original_config(path, config, state)
    _check_schedule(settings, state.get("alphas_cumprod"), path)
    source = ldm_weights(state, settings, path, use_ema)
    averaged = use_ema and any(name.startswith("model_ema.diffusion_model") for name in state)
    return OpenCheckpoint(path, kind, settings, source, "", averaged)


def _original_config(
    path: Path, config: str | os.PathLike[str] | None, state: dict[str, torch.Tensor]
) -> dict[str, Any]:
    if config is not None:
        return ldm_config(read_yaml(Path(config), "model YAML", "--config"), state, str(config))
    if not is_full_size(state):
        raise ViewFusionError(
            f"{path}: not of the released full-size Zero123's shapes; "
            "give --config the model's YAML, or this is a checkpoint of another model"
        )
    return ldm_config(FULL_SIZE, state, str(path))


def _check_schedule(config: dict[str, Any], stored: torch.Tensor | None, path: Path) -> None:
    """The noise schedule a file was trained with must be the one its config states."""
    if stored is None:
        return
    expected = alphas_cumprod(config["scheduler"])
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
