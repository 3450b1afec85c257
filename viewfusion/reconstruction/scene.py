"""The scene: views of any system go in, pictures, masks, cameras and trust of one scale and size come out.

Scene units are those of viewfusion.geometry (z up, azimuth 0 the input view) scaled so that the cameras'
median distance to the origin is 1.5; the object lies in the cube of half side 0.6. What is wrong with the
views is found here and said in one line, so that what follows trusts them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import Pose, angular_distance, camera_to_world, intrinsics
from viewfusion.views import ViewSet

from .masks import cut_out
from .view_checks import check_masks, check_numbers, check_poses

DISTANCE = 1.5
"""Median distance of the cameras to the origin, in scene units."""

HALF_SIDE = 0.6
"""Of the cube around the origin that the object lies in, in scene units."""


@dataclass(frozen=True)
class SceneSettings:
    """How views become a scene.

    Args:
        hold_out: every so-many-th view is not trained on and tells how good the result is; 0: none. Never a
            given view, and none of fewer than eight.
        trust_near: how far a generated view right beside the input is trusted; the input is by 1.
        trust_far: and one from the other side; between them it falls evenly with the angle.
        largest_gap_deg: wider gaps between the azimuths of neighbouring views are refused.
    """

    hold_out: int = 9
    trust_near: float = 0.9
    trust_far: float = 0.5
    largest_gap_deg: float = 150.0

    def __post_init__(self) -> None:
        if self.hold_out < 0 or self.hold_out in (1, 2):
            raise ViewFusionError(f"hold_out must be 0 (none) or 3 and more, got {self.hold_out}")
        if not 0 < self.trust_far <= self.trust_near <= 1:
            raise ViewFusionError(
                f"wanted 0 < trust_far <= trust_near <= 1, got {self.trust_far:g} and {self.trust_near:g}"
            )
        if not 0 < self.largest_gap_deg <= 360:
            raise ViewFusionError(f"largest_gap_deg must be 0 to 360, got {self.largest_gap_deg:g}")


FEWEST_TO_HOLD_OUT = 8


@dataclass(frozen=True, eq=False)
class Scene:
    """Views as a reconstruction wants them; tensors on the CPU.

    Args:
        images: (V, 3, H, W) float32 in [0, 1], exactly white where the mask is 0.
        masks: (V, H, W) float32 in [0, 1].
        cameras: (V, 4, 4) float64 OpenGL camera-to-world, scene units.
        intrinsics: (3, 3) float64 in pixels, the first pixel covering 0 to 1.
        weights: (V,) float32: how far each view is trusted; that of the input is 1, the highest.
        held_out: indices of views that are not trained on.
        scale: world units in a scene unit.
        input_index: the first view that was given, where the others were generated; else None.
    """

    images: torch.Tensor
    masks: torch.Tensor
    cameras: torch.Tensor
    intrinsics: torch.Tensor
    weights: torch.Tensor
    held_out: tuple[int, ...]
    scale: float
    input_index: int | None

    @property
    def trained(self) -> tuple[int, ...]:
        """Indices of the views that are trained on."""
        return tuple(index for index in range(len(self.images)) if index not in self.held_out)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every picture."""
        height, width = self.images.shape[2:]
        return height, width


def scene_from_views(
    views: ViewSet,
    alphas: Sequence[np.ndarray | None] | None = None,
    *,
    inputs: Sequence[int] | None = None,
    settings: SceneSettings | None = None,
    names: Sequence[str] | None = None,
) -> Scene:
    """A scene of the views, which lie over white.

    Args:
        views: at least four, around the object.
        alphas: (H, W) for each view, in [0, 1]; None for one whose mask is taken from white.
        inputs: which of them were given, the others being generated. By default those that nothing says
            were made; where that is all, no view is trusted less than another.
        settings: by default those of :class:`SceneSettings`.
        names: of the views, for errors; by default their numbers.

    Raises:
        ViewFusionError: views that no object can be reconstructed from; see :mod:`.view_checks`.
    """
    settings = settings or SceneSettings()
    names = names or [f"view {index}" for index in range(len(views))]
    poses = [view.pose for view in views]
    check_poses(poses, settings.largest_gap_deg)
    images = [((view.image.float() + 1) / 2).permute(1, 2, 0).numpy() for view in views]
    check_numbers(images, alphas, names)
    pictures, masks = cut_out(images, alphas, names)
    scale = float(np.median([pose.radius for pose in poses])) / DISTANCE
    cameras = np.stack([camera_to_world(pose) for pose in poses])
    cameras[:, :3, 3] /= scale
    matrix = intrinsics(masks.shape[1:], views.fov)
    check_masks(masks, cameras, matrix, HALF_SIDE, names)
    given = _given(views) if inputs is None else tuple(inputs)
    if any(not 0 <= place < len(views) for place in given):
        raise ViewFusionError(f"inputs must be places of views, 0 to {len(views) - 1}, got {list(given)[:8]}")
    return Scene(
        images=torch.from_numpy(pictures),
        masks=torch.from_numpy(masks),
        cameras=torch.from_numpy(cameras),
        intrinsics=torch.from_numpy(matrix),
        weights=torch.tensor(view_weights(poses, given, settings), dtype=torch.float32),
        held_out=held_out_views(len(views), given, settings.hold_out),
        scale=scale,
        input_index=given[0] if given else None,
    )


def _given(views: ViewSet) -> tuple[int, ...]:
    """Places of the views that were not made, where some were."""
    made = [view.record is not None or view.latents is not None for view in views]
    return tuple(place for place, each in enumerate(made) if not each) if any(made) else ()


def view_weights(poses: Sequence[Pose], given: Sequence[int], settings: SceneSettings) -> list[float]:
    """1 for the views that were given, less for the others the farther they are from the nearest of these."""
    weights = []
    for place, pose in enumerate(poses):
        if not given or place in given:
            weights.append(1.0)
            continue
        far = min(1.0, min(angular_distance(pose, poses[each]) for each in given) / math.pi)
        weights.append(settings.trust_near + (settings.trust_far - settings.trust_near) * far)
    return weights


def held_out_views(count: int, given: Sequence[int], every: int) -> tuple[int, ...]:
    """Every so-many-th of ``count`` views, from the middle of the first so many; none of those given."""
    if not every or count < FEWEST_TO_HOLD_OUT:
        return ()
    return tuple(place for place in range(every // 2, count, every) if place not in given)
