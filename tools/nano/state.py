"""What training keeps between its runs: the stages' checkpoints, the scale of the latents, the latents.

Enters: STATE, a folder of our own; pickles are read from it, so it must not be anybody else's. Leaves: a
model with whatever STATE, or a checkpoint given to begin with, holds.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from viewfusion.zero123 import load_zero123
from viewfusion.zero123.model import Zero123

from .views import encode_all

SCALE = "scaling_factor.txt"
STAGES = {
    "autoencoder": ("vae.",),
    "tower": ("image_encoder.",),
    "diffusion": ("unet.", "image_encoder.", "cc_projection."),
}
"""Which weights each stage trains, by the beginnings of their names."""


def trained_model(config: DictConfig, state: Path, begin_with: str | None = None) -> Zero123:
    """The model of ``config`` with the weights that STATE holds, else those of ``begin_with``, else random.

    Args:
        begin_with: name or path of a checkpoint in the project's own format, such as the shipped one.

    Raises:
        SystemExit: weights that are not the configuration's, or a checkpoint that cannot be read.
    """
    model = Zero123.from_config(OmegaConf.to_container(config.model, resolve=True))
    begin_projection(model)
    if begin_with:
        shipped = load_zero123(begin_with)
        take(model, shipped.state_dict(), ("",), begin_with)
        set_scale(model, shipped.vae.config["scaling_factor"])
    for name, prefixes in STAGES.items():
        path = state / name / "last.ckpt"
        if path.exists():
            # Our own file; EMAWeightAveraging stores the averaged weights as the state_dict.
            take(model, read(path)["state_dict"], prefixes, str(path))
    scale = state / SCALE
    if scale.exists():
        set_scale(model, float(scale.read_text()))
    return model


@torch.no_grad()
def begin_projection(model: Zero123) -> None:
    """Let the camera move be heard beside the embedding.

    The move is 4 of the projection's some hundred inputs; begun as all the others, its part of a token is
    small, and the network learns to turn more slowly.
    """
    weight = model.cc_projection.weight
    weight[:, -4:].normal_()
    weight[:, :-4] *= 0.3


def read(path: Path) -> dict:
    """A Lightning checkpoint of our own."""
    try:
        return torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise SystemExit(f"{path} cannot be read ({error}); remove it to begin that stage anew") from error


def is_finished(state: Path, stage: str, minutes: float) -> bool:
    """Whether a stage was trained for so long, and the autoencoder's latents measured."""
    path = state / stage / "last.ckpt"
    if not path.exists() or (stage == "autoencoder" and not (state / SCALE).exists()):
        return False
    return float(read(path)["state_dict"]["trained_seconds"]) >= 60 * minutes


def take(model: Zero123, weights: dict, prefixes: tuple[str, ...], source: str) -> None:
    """Put the weights under ``prefixes`` into ``model``, if they are exactly the ones it has there."""
    own = {name: value for name, value in model.state_dict().items() if name.startswith(prefixes)}
    given = {name: value for name, value in weights.items() if name in own or name.startswith(prefixes)}
    given.pop("trained_seconds", None)
    for name in sorted(own.keys() | given.keys()):
        ours, theirs = (tuple(w[name].shape) if name in w else "absent" for w in (own, given))
        if ours != theirs:
            raise SystemExit(
                f"{source} does not fit the configuration: {name} is {theirs} there and {ours} in it; "
                "give the configuration it was trained with, or another --state"
            )
    model.load_state_dict(given, strict=False)


def set_scale(model: Zero123, factor: float) -> None:
    model.config["vae"]["scaling_factor"] = factor
    model.vae.register_to_config(scaling_factor=factor)


def cached_latents(model: Zero123, images: torch.Tensor, state: Path) -> torch.Tensor:
    """:func:`encode_all`, kept in STATE for as long as autoencoder and images stay the same."""
    path, made_of = state / "latents.pt", fingerprint(model, images)
    if path.exists():
        kept = read(path)
        if isinstance(kept, dict) and kept["made_of"] == made_of:
            return kept["latents"]
    latents = encode_all(model, images)
    partial = path.with_suffix(".partial")
    torch.save({"made_of": made_of, "latents": latents}, partial)
    partial.replace(path)
    return latents


def fingerprint(model: Zero123, images: torch.Tensor) -> int:
    """A checksum of the autoencoder's weights and of the images."""
    total = 0
    for tensor in (*model.vae.state_dict().values(), images):
        total = zlib.crc32(tensor.detach().cpu().contiguous().numpy(), total)
    return total
