"""Exports: views and the name of a format go in, the file or folder that other tools open comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from viewfusion.errors import ViewFusionError

from .colmap import write_colmap
from .files import explained
from .instant_ngp import write_instant_ngp
from .nerfstudio import write_nerfstudio
from .numbered import write_numbered
from .playback import Playback, play_gif, play_mp4
from .syncdreamer import write_syncdreamer

if TYPE_CHECKING:
    import numpy as np

    from viewfusion.views import ViewSet


@dataclass(frozen=True)
class Format:
    """Something views can be exported as.

    Args:
        file: what it is called where nobody says; a suffix is part of the format.
        write: (path, views), where ``plays`` a :class:`Playback`, and where it takes them the alphas too.
        plays: whether it moves.
        takes_alphas: whether it has a place for what of a picture is the object.
        needs_alphas: whether it makes no sense without.
    """

    file: str
    write: Callable[..., None]
    plays: bool = False
    takes_alphas: bool = False
    needs_alphas: bool = False


FORMATS = {
    "nerfstudio": Format("nerfstudio", write_nerfstudio, takes_alphas=True),
    "colmap": Format("colmap", write_colmap, takes_alphas=True),
    "instant-ngp": Format("instant-ngp", write_instant_ngp, takes_alphas=True, needs_alphas=True),
    "syncdreamer": Format("syncdreamer.png", write_syncdreamer),
    "viewfusion": Format("viewfusion", write_numbered),
    "gif": Format("turn.gif", play_gif, plays=True),
    "mp4": Format("turn.mp4", play_mp4, plays=True),
}


def export(
    views: ViewSet,
    to: str,
    path: str | Path,
    playback: Playback | None = None,
    alphas: Sequence[np.ndarray | None] | None = None,
) -> None:
    """Write ``views`` in the format named ``to`` to ``path``; folders above it are made.

    Args:
        views: at least one.
        to: a key of :data:`FORMATS`.
        path: the file or folder to make; nothing may be there.
        playback: for the formats that move.
        alphas: (H, W) in [0, 1] for each view, None where one has none; for the formats that take them, the
            others have the pictures over white.

    Raises:
        ViewFusionError: an unknown format, a path that is taken or has the wrong suffix, options or views the
            format cannot take, or it cannot be written.
    """
    path, format_ = Path(path), find_format(to)
    suffix = Path(format_.file).suffix
    if suffix and path.suffix.lower() != suffix:
        raise ViewFusionError(f"{path}: the name of a {to} file ends in {suffix}; choose another --out")
    if playback and playback != Playback() and not format_.plays:
        raise ViewFusionError(
            f"--fps, --seconds, --loop, --bounce and --size are for gif and mp4, not for {to}"
        )
    if path.exists() or path.is_symlink():
        raise ViewFusionError(f"{path} is there already; choose another --out or remove it")
    with explained(path.parent, "cannot be made"):
        path.parent.mkdir(parents=True, exist_ok=True)
    if format_.plays:
        format_.write(path, views, playback or Playback())
    elif format_.takes_alphas:
        format_.write(path, views, alphas)
    else:
        format_.write(path, views)


def find_format(to: str) -> Format:
    """The format of that name.

    Raises:
        ViewFusionError: there is none.
    """
    if to not in FORMATS:
        raise ViewFusionError(f"unknown format {to!r}; known: {', '.join(FORMATS)}")
    return FORMATS[to]
