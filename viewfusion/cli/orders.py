"""What is wanted of a photo: one run folder is an :class:`Order`; those made at once share their rounds.

A round is what is denoised together, of one run or of several. A batch of another size rounds differently
in the last bits, so a round is kept as a whole or made anew as a whole: what the same command continues ends
with the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from viewfusion.fusion import Target
    from viewfusion.outputs import Products

    from .session import Photo
    from .wanted import Wanted

Rounds = Sequence[tuple["Target", ...]]
"""The targets of a run, those made at once together; see :func:`viewfusion.fusion.groups`."""


@dataclass(frozen=True)
class Order:
    """One run folder that is wanted.

    Args:
        wanted: at the photo's elevation, where that was left open.
        told: what a person is told once it is made.
        name: what progress calls it, if not the photo's name.
    """

    photo: Photo
    wanted: Wanted
    folder: Path
    products: Products
    told: str
    name: str = ""


def whole_rounds(
    rounds: Sequence[Rounds], finished: Sequence[Mapping[int, torch.Tensor]]
) -> list[dict[int, torch.Tensor]]:
    """Of each run's ``finished`` latents those to go on from: of rounds that no run lacks anything of."""
    kept: list[dict[int, Any]] = [{} for _ in rounds]
    for number in range(max(map(len, rounds), default=0)):
        at_once = [
            (run, target.view)
            for run, those in enumerate(rounds)
            for target in (those[number] if number < len(those) else ())
        ]
        if all(view in finished[run] for run, view in at_once):
            for run, view in at_once:
                kept[run][view] = finished[run][view]
    return kept
