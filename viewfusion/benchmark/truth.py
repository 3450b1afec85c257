"""True views: an object of a dataset and a protocol go in, its views in scoring order come out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from viewfusion.datasets.reading import DatasetObject, read_rgba
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.measures import Turn
from viewfusion.evaluation.metrics import resized, unit_images
from viewfusion.evaluation.protocols import Protocol
from viewfusion.geometry import FOV, Pose, wrap_angle
from viewfusion.preprocessing import over_white

NEAR_DEG, NEAR = 1.0, 0.02
"""Cameras closer than that, and radii whose ratio is as near to 1, are the same: files round."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What an object really looks like.

    Args:
        rgba: of each view (H, W, 4) uint8; only the input's where a protocol wants no truth.
        poses: of each view that is wanted, turned so that the input lies at azimuth 0.
        input: the input's place among them.
        order: for each place, which picture of the object it is.
        posed: whether the data say where the input was seen from.
    """

    rgba: tuple[np.ndarray, ...]
    poses: tuple[Pose, ...]
    input: int
    order: tuple[int, ...]
    fov: float
    posed: bool = True

    @property
    def input_rgba(self) -> np.ndarray:
        return self.rgba[self.input if len(self.rgba) > 1 else 0]

    @property
    def scored(self) -> tuple[int, ...]:
        """Places of all but the input, which is given and not made."""
        return tuple(place for place in range(len(self.poses)) if place != self.input)

    @property
    def sha256(self) -> str:
        """Hex digest of the pixels."""
        digest = hashlib.sha256()
        for pixels in self.rgba:
            digest.update(repr(pixels.shape).encode() + pixels.tobytes())
        return digest.hexdigest()

    def turn(self, ours: Sequence[np.ndarray], size: int) -> Turn:
        """These views beside ``ours`` (H, W, 3) uint8, all ``size`` pixels a side."""
        whole = len(self.rgba) == len(self.poses)
        truth = sized([over_white(pixels) for pixels in self.rgba], size) if whole else None
        return Turn(sized(ours, size), self.poses, self.scored, truth, self.fov)


def read_truth(protocol: Protocol, each: DatasetObject, inputs: Mapping[str, int]) -> Truth:
    """The true views of ``each``.

    Args:
        inputs: which picture is the input, by object, where the protocol says that a list tells.

    Raises:
        ViewFusionError: a picture or pose is missing or not as the protocol wants it.
    """
    first = input_index(protocol, each, inputs)
    if protocol.task == "spin":
        return _spun(protocol, each, first)
    if protocol.views is not None and len(each.pictures) != protocol.views:
        raise ViewFusionError(
            f"{each.name}: {protocol.name} wants {protocol.views} views, there are {len(each.pictures)}"
        )
    poses = _turned(each, first)
    order = _around(each.name, poses, first) if protocol.task == "ring" else tuple(range(len(poses)))
    rgba = tuple(read_rgba(each.pictures[place]) for place in order)
    _check_sizes(each.name, rgba)
    fov = FOV if each.fov is None else each.fov
    return Truth(rgba, tuple(poses[place] for place in order), order.index(first), order, fov)


def input_index(protocol: Protocol, each: DatasetObject, inputs: Mapping[str, int]) -> int:
    """Which picture of an object is the input: a list, where the protocol wants one, goes before the data.

    Raises:
        ViewFusionError: the list does not say, or names one that is not there.
    """
    index = each.input_index
    if protocol.input == "listed":
        index = inputs.get(each.name, index)
        if index is None:
            raise ViewFusionError(
                f"{each.name}: {protocol.name} wants a list of input views, and none names it; give --inputs "
                "a JSON file {object: index}"
            )
    index = index or 0
    if not 0 <= index < len(each.pictures):
        raise ViewFusionError(f"{each.name}: its input is view {index}, there are {len(each.pictures)} views")
    return index


def sized(pictures: Sequence[np.ndarray], size: int) -> torch.Tensor:
    """(V, 3, size, size) float32 in [0, 1], rounded to 8 bits, as a file would hold them."""
    scaled = torch.cat([resized(unit_images(pixels[None]), size) for pixels in pictures])
    return (scaled * 255).round() / 255


def _spun(protocol: Protocol, each: DatasetObject, first: int) -> Truth:
    """The input alone, and where the views of a spin are seen from."""
    count = protocol.views or 0
    pose = each.pictures[first].pose
    source = Pose.from_degrees(0.0, 30.0, 1.5) if pose is None else replace(pose, azimuth=0.0)
    poses = tuple(replace(source, azimuth=2 * math.pi * place / count) for place in range(count))
    fov = FOV if each.fov is None else each.fov
    return Truth((read_rgba(each.pictures[first]),), poses, 0, (first,), fov, posed=pose is not None)


def _turned(each: DatasetObject, first: int) -> list[Pose]:
    """The poses of all pictures, with the input at azimuth 0."""
    poses = [picture.pose for picture in each.pictures]
    zero = poses[first]
    known = [pose for pose in poses if pose is not None]
    if zero is None or len(known) < len(poses):
        raise ViewFusionError(f"{each.name}: its views have no poses; a protocol with true views wants them")
    return [replace(pose, azimuth=wrap_angle(pose.azimuth - zero.azimuth)) for pose in known]


def _around(name: str, poses: Sequence[Pose], first: int) -> tuple[int, ...]:
    """Which picture is at each place of the ring, counter-clockwise from the input.

    Raises:
        ViewFusionError: they do not form one.
    """
    count, zero = len(poses), poses[first]
    step = 2 * math.pi / count
    places: dict[int, int] = {}
    for index, pose in enumerate(poses):
        place = round(pose.azimuth / step) % count
        ideal = replace(zero, azimuth=place * step)
        if not same_camera(pose, ideal) or place in places:
            raise ViewFusionError(
                f"{name}: its {count} views are no ring: view {index} is at azimuth {pose.azimuth_deg:.1f}, "
                f"elevation {pose.elevation_deg:.1f}, radius {pose.radius:.2f}"
            )
        places[place] = index
    return tuple(places[place] for place in range(count))


def same_camera(pose: Pose, other: Pose) -> bool:
    """Whether two poses differ by no more than files round."""
    apart = (wrap_angle(pose.azimuth - other.azimuth), pose.elevation - other.elevation)
    near = all(abs(math.degrees(angle)) <= NEAR_DEG for angle in apart)
    return near and abs(pose.radius / other.radius - 1) <= NEAR


def _check_sizes(name: str, rgba: Sequence[np.ndarray]) -> None:
    shapes = {pixels.shape[:2] for pixels in rgba}
    if len(shapes) > 1 or any(height != width for height, width in shapes):
        listed = ", ".join(f"{width} x {height}" for height, width in sorted(shapes))
        raise ViewFusionError(f"{name}: its views must be square and of one size, got {listed}")
