"""``generate-view``: each photo to a picture of one other view, or of many, each reached on its own."""

from __future__ import annotations

from pathlib import Path

from .orders import Order
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

    def orders(session: Session, photo: Photo, folder: Path) -> list[Order]:
        def order(number: int, one: Wanted) -> Order:
            place = folder / f"{number:03d}" if numbered else folder
            name = f"{photo.name}, view {number + 1} of {len(wanted)}" if numbered else ""
            return _order(photo, session.settled(photo, one, place), place, keep_path, name)

        return [order(number, one) for number, one in enumerate(wanted)]

    each_photo(photos, options, orders)


def _order(photo: Photo, wanted: Wanted, folder: Path, keep_path: bool, name: str) -> Order:
    from viewfusion.outputs import SingleView

    products = SingleView(len(wanted.trajectory.views) - 1, keep_path)
    return Order(photo, wanted, folder, products, str(folder / "view.png"), name)
