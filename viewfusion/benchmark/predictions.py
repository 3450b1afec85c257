"""Predictions of any system: two datasets go in; matched views come out, or what does not match is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfusion.datasets.reading import DatasetObject, Picture, read_rgba
from viewfusion.errors import ViewFusionError
from viewfusion.geometry import wrap_angle
from viewfusion.preprocessing import over_white

from .truth import Truth, same_camera

MOST_NAMED = 8


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

    Predictions have the numbers of the true views, all or all but the input's. Where they have poses, these
    must be the true ones, seen from the input.

    Raises:
        ViewFusionError: other numbers, sizes or poses.
    """
    count = len(truth.poses)
    order = truth.order if len(truth.order) == count else tuple(range(count))
    given = order[truth.input]
    by_number = _numbered(each, count, given)
    _check_poses(each, truth, order, by_number, given)
    pictures = []
    for place in range(count):
        picture = by_number.get(order[place])
        pixels = over_white(truth.input_rgba) if picture is None else over_white(read_rgba(picture))
        if picture is not None:
            _check_size(picture, pixels, size, resize)
        pictures.append(pixels)
    return pictures


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


def _check_poses(
    each: DatasetObject, truth: Truth, order: Sequence[int], made: Mapping[int, Picture], given: int
) -> None:
    poses = {number: picture.pose for number, picture in made.items()}
    zero = poses.get(given)
    if zero is None:  # without the input's there is nothing to turn the others by
        return
    true = dict(zip(order, truth.poses, strict=True))
    for number, pose in poses.items():
        if pose is None:
            continue
        turned = replace(pose, azimuth=wrap_angle(pose.azimuth - zero.azimuth))
        if not same_camera(turned, true[number]):
            wanted = true[number]
            raise ViewFusionError(
                f"{each.name}: prediction {number} is at azimuth {turned.azimuth_deg:.1f} from the input, "
                f"elevation {turned.elevation_deg:.1f}, radius {turned.radius:.2f}; the true view is at "
                f"{wanted.azimuth_deg:.1f}, {wanted.elevation_deg:.1f}, {wanted.radius:.2f}"
            )


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
