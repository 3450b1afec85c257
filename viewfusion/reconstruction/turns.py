"""Turns for people: a scene's cameras go in, a ring of cameras and the view nearest to each come out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from viewfusion.geometry import Pose, camera_to_world

if TYPE_CHECKING:
    from .scene import Scene

FEWEST, MOST = 24, 120
"""A turn has as many frames as there are views, if these are so many; else :data:`USUAL`."""
USUAL = 36


def turn(scene: Scene) -> list[tuple[np.ndarray, int]]:
    """(camera (4, 4), index of the view that is nearest to it) of each frame of a turn.

    It begins at the input view and goes round at the median elevation and distance of the cameras.
    """
    places = positions(scene)
    count = len(places) if FEWEST <= len(places) <= MOST else USUAL
    radii = np.linalg.norm(places, axis=1)
    radius = float(np.median(radii))
    elevation = float(np.median(np.arcsin(np.clip(places[:, 2] / radii, -1, 1))))
    first = places[scene.input_index or 0]
    start = math.atan2(first[1], first[0])
    frames = []
    for place in range(count):
        camera = camera_to_world(Pose(start + 2 * math.pi * place / count, elevation, radius))
        apart = (places / radii[:, None]) @ (camera[:3, 3] / radius)
        frames.append((camera, int(apart.argmax())))
    return frames


def shown_views(scene: Scene, most: int = 6) -> list[int]:
    """Views worth a look: the input, held-out ones, and others spread around; in order of azimuth."""
    first = [scene.input_index] if scene.input_index is not None else []
    held = _spread(list(scene.held_out), most // 2)
    rest = [index for index in scene.trained if index not in first]
    chosen = {*first, *held}
    chosen |= set(_spread(rest, max(0, most - len(chosen))))
    places = positions(scene)
    angles = np.arctan2(places[:, 1], places[:, 0]) % (2 * math.pi)
    return sorted(chosen, key=lambda index: (round(float(angles[index]), 6), index))


def direction(scene: Scene, index: int) -> str:
    """Where a view's camera stands: "+40°", or "+40°, 30° up" where views differ in that."""
    places = positions(scene)
    heights = np.degrees(np.arctan2(places[:, 2], np.hypot(places[:, 0], places[:, 1])))
    azimuth = math.degrees(math.atan2(places[index, 1], places[index, 0]))
    up = f", {round(heights[index])}° up" if np.ptp(heights) > 1 else ""
    return f"{round(azimuth):+d}°{up}"


def positions(scene: Scene) -> np.ndarray:
    """(V, 3) where the cameras stand."""
    places: np.ndarray = scene.cameras.numpy()[:, :3, 3]
    return places


def _spread(values: list[int], most: int) -> list[int]:
    """Some of them, evenly."""
    if len(values) <= most:
        return values
    return [values[math.floor((place + 0.5) * len(values) / most)] for place in range(most)]
