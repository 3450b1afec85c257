"""What is wrong with views: poses, pictures and masks go in, one line that says what to do comes out."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np

from viewfusion.errors import ViewFusionError, ViewFusionWarning
from viewfusion.geometry import Pose

FEWEST_VIEWS = 4

NEAREST = 0.6
"""Of the median distance: then it is 0.9 in scene units, and the cube's faces are 0.6 from the middle."""

EMPTY, FULL = 0.0005, 0.98
"""Shares of a picture: less object than the one is none, more than the other is no background."""

STEEPEST_DEG = 80
"""Elevation above which, or below, a view shows no side of the object."""

MOST_OUTSIDE = 0.02
"""Share of the object's pixels that may miss the cube: what is left of specks."""

TOUCHING = 0.02
"""Share of a side of the frame that the object covers: less is a wisp or a tip."""

MOST_CUT = 0.25
"""Share of the views in which the object may reach the frame."""


def check_poses(poses: Sequence[Pose], largest_gap_deg: float) -> None:
    """Refuse views that are too few, too near or do not surround the object."""
    if len(poses) < FEWEST_VIEWS:
        raise ViewFusionError(
            f"wanted {FEWEST_VIEWS} views or more, got {len(poses)}; make more, "
            "`viewfusion generate-360 PHOTO` makes a ring of them"
        )
    radii = np.array([pose.radius for pose in poses])
    if radii.min() < NEAREST * np.median(radii):
        raise ViewFusionError(
            f"view {int(radii.argmin())} is {radii.min():.3g} from the object, half of the views "
            f"{np.median(radii):.3g} and farther; wanted {NEAREST:g} of that at least, leave it out"
        )
    level = [pose for pose in poses if abs(pose.elevation) < math.radians(STEEPEST_DEG)]
    if not level:
        raise ViewFusionError(
            f"the {len(poses)} views do not surround the object: all look from above or below, at "
            f"{STEEPEST_DEG} degrees and more; add views from its sides"
        )
    start, gap = largest_gap(level)
    if math.degrees(gap) > largest_gap_deg:
        raise ViewFusionError(
            f"the {len(poses)} views do not surround the object: none between azimuth "
            f"{math.degrees(start):.0f} and {math.degrees(start + gap):.0f} degrees, a gap of "
            f"{math.degrees(gap):.0f} (at most {largest_gap_deg:.0f}); add views from that side, or raise "
            "largest_gap_deg and take what shows there as it comes"
        )


def largest_gap(poses: Sequence[Pose]) -> tuple[float, float]:
    """Where the widest gap between neighbouring azimuths begins, and how wide it is; radians."""
    azimuths = np.sort(np.mod([pose.azimuth for pose in poses], 2 * math.pi))
    gaps = np.diff(azimuths, append=azimuths[0] + 2 * math.pi)
    widest = int(gaps.argmax())
    return float(azimuths[widest]), float(gaps[widest])


def check_numbers(
    images: Sequence[np.ndarray], alphas: Sequence[np.ndarray | None] | None, names: Sequence[str]
) -> None:
    """Refuse NaN, infinity, and alphas that do not fit."""
    if alphas is not None and len(alphas) != len(images):
        raise ViewFusionError(f"wanted an alpha for each of {len(images)} views, got {len(alphas)}")
    broken = []
    for place, image in enumerate(images):
        alpha = None if alphas is None else alphas[place]
        if alpha is not None and alpha.shape != image.shape[:2]:
            raise ViewFusionError(
                f"{names[place]}: wanted an alpha of {image.shape[1]} x {image.shape[0]} pixels, as its "
                f"picture has, got {' x '.join(map(str, reversed(alpha.shape)))}"
            )
        if not np.isfinite(image).all() or (alpha is not None and not np.isfinite(alpha).all()):
            broken.append(place)
    if broken:
        raise refuse_views(broken, names, "NaN or infinity in the picture", "make them again")


def check_masks(
    masks: np.ndarray, cameras: np.ndarray, matrix: np.ndarray, half_side: float, names: Sequence[str]
) -> None:
    """Refuse masks without object or without background, and an object that is larger than what is seen.

    Args:
        masks: (V, H, W).
        cameras: (V, 4, 4), as those of :class:`~viewfusion.reconstruction.scene.Scene`.
        matrix: (3, 3) intrinsics.
        half_side: of the cube the object must lie in.
    """
    shares = masks.mean(axis=(1, 2))
    if empty := _places(shares < EMPTY):
        raise refuse_views(empty, names, "no object to be seen", "leave them out")
    if full := _places(shares > FULL):
        raise refuse_views(full, names, "no background", "cut them out (`viewfusion preprocess`)")
    _check_frame(masks, names)
    _check_cube(masks, cameras, matrix, half_side)


def _check_frame(masks: np.ndarray, names: Sequence[str]) -> None:
    sides = (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1])
    touching = np.max([side.mean(axis=1) for side in sides], axis=0)
    cut = _places(touching > TOUCHING)
    if len(cut) > MOST_CUT * len(masks):
        raise refuse_views(
            cut,
            names,
            "an object that reaches the frame",
            "what is cut off cannot be made up: take wider ones",
        )
    if len(cut):
        warnings.warn(
            ViewFusionWarning(
                f"{_listing(cut, names)}: the object reaches the frame; the mesh may lack a part"
            ),
            stacklevel=4,
        )


def _check_cube(masks: np.ndarray, cameras: np.ndarray, matrix: np.ndarray, half_side: float) -> None:
    object_pixels = missing = 0
    for mask, camera in zip(masks, cameras, strict=True):
        y, x = np.nonzero(mask > 0.5)
        object_pixels += len(x)
        missing += int((~meets_cube(camera, matrix, x + 0.5, y + 0.5, half_side)).sum())
    if missing > MOST_OUTSIDE * object_pixels:
        raise ViewFusionError(
            f"{missing / object_pixels:.0%} of the object lie outside the cube that is reconstructed, "
            f"{2 * half_side / 1.5:g} camera distances wide; check the cameras' distance and field of view"
        )


def meets_cube(
    camera: np.ndarray, matrix: np.ndarray, x: np.ndarray, y: np.ndarray, half_side: float
) -> np.ndarray:
    """(P,) bool: whether the ray through each pixel position meets the cube around the origin."""
    within = np.stack(
        [(x - matrix[0, 2]) / matrix[0, 0], (matrix[1, 2] - y) / matrix[1, 1], np.full(len(x), -1.0)], axis=1
    )
    directions = within @ camera[:3, :3].T
    with np.errstate(divide="ignore"):
        to_faces = (np.array([[-half_side], [half_side]]) - camera[:3, 3])[:, None] / directions
    near, far = to_faces.min(axis=0).max(axis=1), to_faces.max(axis=0).min(axis=1)
    return np.asarray((near < far) & (far > 0))


def refuse_views(places: Sequence[int], names: Sequence[str], what: str, remedy: str) -> ViewFusionError:
    """The error about some of the views, which it names."""
    return ViewFusionError(f"{_listing(places, names)}: {what}; {remedy}")


def _places(wrong: np.ndarray) -> list[int]:
    return [int(place) for place in np.flatnonzero(wrong)]


def _listing(places: Sequence[int], names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(names[place] for place in places[:most])
    return shown + (f" and {len(places) - most} more" if len(places) > most else "")
