"""Predictions of any system: two datasets go in; matched views come out, or what does not match is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfusion.datasets.reading import DatasetObject, Picture, read_rgba
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, angular_distance, wrap_angle
from viewfusion.preprocessing import over_white

from .truth import Truth, same_camera, sized

MOST_NAMED = 8
_ALIKE = 8.0
"""Levels of 255 by which one picture framed or resized by two systems may differ on average."""


def check_same_objects(pred: tuple[Path, Iterable[str]], ref: tuple[Path, Iterable[str]]) -> None:
    """Refuse sets of which one has an object that the other has not.

    Args:
        pred, ref: a folder and the names of the objects in it.

    Raises:
        ViewFusionError: the objects are listed.
    """
    ours, theirs = set(pred[1]), set(ref[1])
    parts = [
        f"{option} {folder} lacks {_listed(sorted(missing))}"
        for option, folder, missing in (("--pred", pred[0], theirs - ours), ("--ref", ref[0], ours - theirs))
        if missing
    ]
    if parts:
        raise ViewFusionError(f"predictions and references do not match: {'; '.join(parts)}")


def predicted(each: DatasetObject, truth: Truth, size: int, resize: bool) -> list[np.ndarray]:
    """A picture (H, W, 3) uint8 for each place of ``truth``.

    Predictions are of all true views, or of all but the input's. Where both have poses, these tell which is
    which, in whatever order they are stored; else their numbers, which are those of the true views.

    Raises:
        ViewFusionError: other numbers, sizes or poses.
    """
    count = len(truth.poses)
    order = truth.order if len(truth.order) == count else tuple(range(count))
    by_number = _numbered(each, count, order[truth.input])
    by_place = {order.index(number): picture for number, picture in by_number.items()}
    if truth.posed and all(picture.pose for picture in each.pictures):
        by_place = _by_pose(each, truth, by_place, order)
    pictures = []
    for place in range(count):
        picture = by_place.get(place)
        pixels = over_white(truth.input_rgba) if picture is None else over_white(read_rgba(picture))
        if picture is not None:
            _check_size(picture, pixels, size, resize)
        pictures.append(pixels)
    return pictures


def other_input(each: DatasetObject, truth: Truth, size: int) -> list[str]:
    """A note where the predictions say which picture was their input and it is not the true one's: what was
    made from another side is then compared with the views of this one."""
    if each.input_index is None:
        return []
    theirs = over_white(read_rgba(each.pictures[each.input_index]))
    one, other = sized([theirs, over_white(truth.input_rgba)], size) * 255
    levels = float((one - other).abs().mean())
    if levels <= _ALIKE:
        return []
    return [f"the picture they were made from is {levels:.0f} levels off the input; is it the same view?"]


def _numbered(each: DatasetObject, count: int, given: int) -> dict[int, Picture]:
    """The predictions by the number of the true view that they are of; ``given`` is the input's."""
    made = len(each.pictures)
    if made not in (count, count - 1):
        raise ViewFusionError(
            f"{each.name}: {made} predictions, wanted {count} (or {count - 1}, without the input)"
        )
    numbers = [number for number in range(count) if made == count or number != given]
    stems = [picture.path.stem for picture in each.pictures]
    if made == count or not all(stem.isdecimal() for stem in stems):
        return dict(zip(numbers, each.pictures, strict=True))
    named = dict(zip(map(int, stems), each.pictures, strict=True))
    if lacking := sorted(set(numbers) - named.keys()):
        raise ViewFusionError(
            f"{each.name}: of {count} predictions {lacking[0]:03d} is missing, where only the input's, "
            f"{given:03d}, may be; number them like the true views"
        )
    return named


def _check_size(picture: Picture, pixels: np.ndarray, size: int, resize: bool) -> None:
    height, width = pixels.shape[:2]
    if height != width:
        raise ViewFusionError(f"{picture.path}: {width} x {height} pixels, wanted a square")
    if width != size and not resize:
        raise ViewFusionError(
            f"{picture.path}: {width} x {height} pixels, the protocol wants {size} x {size}; --resize has "
            "them resized"
        )


def _by_pose(
    each: DatasetObject, truth: Truth, numbered: Mapping[int, Picture], order: Sequence[int]
) -> dict[int, Picture]:
    """The predictions by the place whose camera is theirs; the worlds may be turned to each other.

    Args:
        numbered: by the place that their numbers say, which decides how the worlds are turned: by the input,
            or where it is not among them by the first.
        order: the number of each place.
    """
    place, picture = truth.input, numbered.get(truth.input)
    if each.input_index is not None:
        picture = each.pictures[each.input_index]
    if picture is None:
        place, picture = next(iter(numbered.items()))
    turn = _pose(picture).azimuth - truth.poses[place].azimuth
    free = set(numbered)
    found: dict[int, Picture] = {}
    for own, picture in numbered.items():
        pose = _pose(picture)
        pose = replace(pose, azimuth=wrap_angle(pose.azimuth - turn))
        near = [place for place in free if same_camera(pose, truth.poses[place])]
        if not near:
            raise ViewFusionError(_nowhere(f"{each.name}: prediction {order[own]}", pose, truth.poses[own]))
        place = min(near, key=lambda place: (_apart(pose, truth.poses[place]), place != own))
        free.remove(place)
        found[place] = picture
    return found


def _apart(pose: Pose, other: Pose) -> float:
    """0 for one camera, but for what files round."""
    return round(angular_distance(pose, other) + abs(pose.radius / other.radius - 1), 6)


def _pose(picture: Picture) -> Pose:
    assert picture.pose is not None
    return picture.pose


def _nowhere(which: str, pose: Pose, wanted: Pose) -> str:
    return (
        f"{which} is at azimuth {pose.azimuth_deg:.1f} from the input, elevation {pose.elevation_deg:.1f}, "
        f"radius {pose.radius:.2f}, where no true view is left; by its number it is that at "
        f"{wanted.azimuth_deg:.1f}, {wanted.elevation_deg:.1f}, {wanted.radius:.2f}"
    )


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
