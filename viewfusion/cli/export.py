"""``export``: a finished run to a file or folder that other tools open."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from .progress import say


def export_run(
    folder: Path,
    to: str,
    out: Path | None,
    *,
    fps: float | None,
    seconds: float | None,
    loop: int | None,
    bounce: bool,
    size: int | None,
) -> None:
    """Read the run in ``folder`` and write it as ``to`` to ``out``, by default below ``folder/exports``.

    Raises:
        ViewFusionError: bad options, a folder that holds no finished run, or a file that cannot be written.
    """
    from viewfusion.outputs import Playback, export, find_format, read_run

    from .posed_views import read_posed_views

    console = Console(stderr=True, highlight=False)
    path = out or folder / "exports" / find_format(to).file
    playback = Playback(fps, seconds, loop, bounce, size)
    alphas = None
    with console.status("reading the views"):
        views = read_run(folder)
        if find_format(to).needs_alphas:
            alphas = read_posed_views(folder, layout="run").alphas_for(to)
    with console.status(f"writing {len(views)} views"):
        export(views, to, path, playback, alphas)
    say(console, f"{len(views)} views as {to} in {path}")
