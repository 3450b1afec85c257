"""What a finished run leaves: its views go in, the files people asked for come out.

:class:`Turn` is a whole sequence with its videos, :class:`SingleView` one picture. A run folder knows nothing
more of them than :class:`Products` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .cameras import cameras_json, view_file
from .contact_sheet import contact_sheet
from .files import write_json, write_png
from .roles import turntable_frames
from .video import turn_fps, write_gif, write_mp4

if TYPE_CHECKING:
    from viewfusion.views import ViewSet


class Products(Protocol):
    """The files of a run besides its manifest, all inside its folder."""

    @property
    def kind(self) -> str:
        """In words: runs that differ in it do not share a folder."""

    @property
    def names(self) -> tuple[str, ...]:
        """Files that stand for all views together, and the photo's."""

    @property
    def folder(self) -> str | None:
        """Where pictures of single views lie, if they have a folder of their own."""

    def view_file(self, index: int) -> str | None:
        """The picture of a view; None for one whose picture is not kept."""

    def write(self, path: Path, views: ViewSet, title: str) -> None:
        """Make the files that need all views, in the folder ``path``."""


@dataclass(frozen=True)
class Turn:
    """Every view, the framed photo, its preview and elevation, GIF, MP4, contact sheet and cameras."""

    kind = "turn"
    names = (
        *("input.png", "preview.png", "elevation.json", "elevation.png"),
        *("turntable.gif", "turntable.mp4", "contact_sheet.png", "cameras.json"),
    )
    folder = "views"

    def view_file(self, index: int) -> str:
        return view_file(index)

    def write(self, path: Path, views: ViewSet, title: str) -> None:
        frames = turntable_frames(views)
        fps = turn_fps(len(frames))
        write_gif(path / "turntable.gif", frames, fps)
        write_mp4(path / "turntable.mp4", frames, fps)
        write_png(path / "contact_sheet.png", contact_sheet(views, title))
        write_json(path / "cameras.json", cameras_json(views))


@dataclass(frozen=True)
class SingleView:
    """``view.png``, the photo's preview and elevation, and on request the views on the way in ``path/``.

    Args:
        index: the view that was asked for.
        keep_path: keep the others' pictures too.
    """

    index: int
    keep_path: bool = False
    names = ("view.png", "preview.png", "elevation.json", "elevation.png")

    @property
    def kind(self) -> str:
        return "view and path" if self.keep_path else "view"

    @property
    def folder(self) -> str | None:
        return "path" if self.keep_path else None

    def view_file(self, index: int) -> str | None:
        if index == self.index:
            return "view.png"
        return f"path/{index:03d}.png" if self.keep_path else None

    def write(self, path: Path, views: ViewSet, title: str) -> None:
        """Nothing is made of all views together."""


FILES = tuple(dict.fromkeys((*Turn.names, *SingleView.names)))
"""Every name of this kind that some run makes."""
FOLDERS = ("views", "path")
"""Every folder in which some run keeps its views."""
