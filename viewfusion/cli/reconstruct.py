"""``reconstruct``: posed views of objects to a folder with a mesh each, or to what other reconstructors read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from viewfusion.errors import ViewFusionError, did_you_mean, printable

from .batch import Failures
from .progress import say

if TYPE_CHECKING:
    import torch

    from viewfusion.reconstruction.settings import Settings

METHODS = ("neus", "none")
EXPORTS = ("nerfstudio", "colmap", "instant-ngp")


@dataclass(frozen=True)
class Options:
    """What the command is told; None where nothing was said.

    Args:
        method: one of :data:`METHODS`.
        preset: a name or a YAML file.
        overrides: ``key=value`` each.
        device: "auto", or one of torch's.
        out: the folder to make, or in which one is made for each of several objects.
        export: one of :data:`EXPORTS`, for the method none.
        force: start anew where a folder is another mesh's.
        yes: do not ask before training that takes long.
    """

    method: str = "neus"
    preset: str | None = None
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    out: Path | None = None
    export: str | None = None
    force: bool = False
    yes: bool = False

    def __post_init__(self) -> None:
        for option, value, known in (("method", self.method, METHODS), ("export", self.export, EXPORTS)):
            if value is not None and value not in known:
                hint = did_you_mean(value, known)
                raise ViewFusionError(f"--{option} must be one of {', '.join(known)}, got {value[:80]!r}{hint}")
        if self.method == "none" and self.export is None:
            raise ViewFusionError(f"--method none wants --export, one of {', '.join(EXPORTS)}")
        if self.method != "none" and self.export is not None:
            raise ViewFusionError(f"--export {self.export} goes with --method none; leave one of them out")
