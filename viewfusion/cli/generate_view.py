"""``generate-view``: each photo to a picture of one other view, or of many, each reached on its own."""

from __future__ import annotations

from pathlib import Path

from .session import Options, Photo, Session, each_photo
from .wanted import Wanted


def generate_view(
    photos: list[Path], options: Options, wanted: list[Wanted], numbered: bool, keep_path: bool
) -> None:
    """Make every photo's folder below ``options.out``.

    Args:
        wanted: the single targets.
        numbered: whether each has a folder of its own, 000 and so on, inside the photo's.
        keep_path: keep the pictures on the way to each.

    Raises:
        ViewFusionError: bad options or checkpoint (nothing was started), or at the end some photo failed.
    """

    def make(session: Session, photo: Photo, folder: Path) -> None:
        for number, one in enumerate(wanted):
            place = folder / f"{number:03d}" if numbered else folder
            name = f"{photo.name}, view {number + 1} of {len(wanted)}" if numbered else photo.name
            _view(session, photo, place, one, keep_path, name)

    each_photo(photos, options, make)


def _view(session: Session, photo: Photo, folder: Path, wanted: Wanted, keep_path: bool, name: str) -> None:
    from viewfusion.outputs import SingleView

    wanted = session.settled(photo, wanted, folder)
    target = len(wanted.trajectory.views) - 1
    if session.run(photo, wanted, folder, SingleView(target, keep_path), name):
        session.say(f"{folder / 'view.png'}")
