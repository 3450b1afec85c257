"""Predictions of any system: two datasets go in; matched views come out, or what does not match is listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from viewfusion.datasets.reading import DatasetObject, read_rgba
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

    Predictions are told apart by their numbers, as are the true views; there may be one for each of these, or
    for each but the input. Where they have poses, these must be the true ones, seen from the input.

    Raises:
        ViewFusionError: other numbers, sizes or poses.
    """
    count, made = len(truth.poses), len(each.pictures)
    given = truth.order[truth.input] if len(truth.order) == count else truth.input
    if made == count - 1:  # all but the input, in order
        numbers = [index for index in range(count) if index != given]
    elif made == count:
        numbers = list(range(count))
    else:
        raise ViewFusionError(
            f"{each.name}: {made} predictions, wanted {count} (or {count - 1}, without the input)"
        )
    order = truth.order if len(truth.order) == count else tuple(range(count))
    by_number = dict(zip(numbers, each.pictures, strict=True))
    _check_poses(each, truth, order, numbers, given)
    pictures = []
    for place in range(count):
        picture = by_number.get(order[place])
        pixels = over_white(truth.input_rgba) if picture is None else over_white(read_rgba(picture))
        if picture is not None and pixels.shape[:2] != (size, size) and not resize:
            raise ViewFusionError(
                f"{picture.path}: {pixels.shape[1]} x {pixels.shape[0]} pixels, the protocol wants {size} x "
                f"{size}; --resize has them resized"
            )
        pictures.append(pixels)
    return _of_one_size(pictures, size)


def _check_poses(
    each: DatasetObject, truth: Truth, order: Sequence[int], numbers: Sequence[int], given: int
) -> None:
    poses = {number: picture.pose for number, picture in zip(numbers, each.pictures, strict=True)}
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


def _of_one_size(pictures: list[np.ndarray], size: int) -> list[np.ndarray]:
    """All of them can be stacked: those of another size are resized."""
    from .truth import sized

    if len({picture.shape for picture in pictures}) == 1:
        return pictures
    scaled = [sized([picture], size)[0] for picture in pictures]
    return [(each.permute(1, 2, 0) * 255).round().byte().numpy() for each in scaled]


def _listed(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + rest
