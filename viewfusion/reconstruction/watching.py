"""Who is told how far a mesh is: what happens goes in, nothing comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .training import Progress


class Watcher:
    """What is told while a mesh is made; this one listens to nothing."""

    def on_estimate(self, seconds: float) -> None:
        """Training will take about so long. May raise, and then nothing is made."""

    def on_stage(self, name: str) -> None:
        """What is done next, in a word or two."""

    def on_step(self, progress: Progress) -> None:
        """A step is made."""

    def on_preview(self, decibels: float) -> None:
        """A preview was written; its PSNR, of a view that is held out where one is."""
