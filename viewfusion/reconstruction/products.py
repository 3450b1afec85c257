"""What a mesh is judged by: views and pictures of it go in, a turntable, a comparison and scores come out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from viewfusion.outputs.contact_sheet import labelled_grid
from viewfusion.outputs.files import write_png
from viewfusion.outputs.video import turn_fps, write_mp4

from .looking import Look, colours, difference, levels, look_at, mask_iou, normals, psnr, reduced
from .turns import direction, shown_views, turn

if TYPE_CHECKING:
    from .pictures import Picture
    from .scene import Scene

TURN_SIDE = 256
"""Pixels on the longer side of each of the two pictures in the turntable, at most."""

_DIGITS = 4


def write_turntable(path: Path, scene: Scene, look: Look) -> None:
    """A video: on the left the view nearest to where the camera is, on the right what the camera sees.

    Raises:
        ViewFusionError: it cannot be written.
    """
    matrix, size = reduced(scene.intrinsics.numpy(), scene.size, TURN_SIDE)
    frames = []
    for camera, nearest in turn(scene):
        seen = colours(look(camera, matrix, size))
        frames.append(np.concatenate([resized(view(scene, nearest), size), seen], axis=1))
    write_mp4(path, frames, turn_fps(len(frames)))


def write_comparison(path: Path, scene: Scene, look: Look, title: str) -> None:
    """A picture with a row for each of some views: render, view, difference, normals.

    Raises:
        ViewFusionError: it cannot be written.
    """
    pictures: list[np.ndarray] = []
    labels: list[str] = []
    rows: list[str] = []
    for index in shown_views(scene):
        seen, wanted = look_at(scene, look, index), view(scene, index)
        pictures += [colours(seen), wanted, difference(colours(seen), wanted), normals(seen)]
        decibels = psnr(seen.image, scene.images[index].numpy())
        labels += [f"render, {decibels:.1f} dB", f"view {index}, {direction(scene, index)}"]
        labels += ["difference", "normals"]
        rows.append(role(scene, index))
    write_png(path, labelled_grid(pictures, labels, 4, title, rows))


def write_preview(path: Path, scene: Scene, index: int, seen: Picture, title: str) -> None:
    """A small picture of how far it is: render, view, normals.

    Args:
        seen: from the camera of view ``index``, of any size.

    Raises:
        ViewFusionError: it cannot be written.
    """
    pictures = [colours(seen), resized(view(scene, index), seen.mask.shape[:2]), normals(seen)]
    labels = ["render", f"view {index}, {role(scene, index)}", "normals"]
    write_png(path, labelled_grid(pictures, labels, 3, title), quick=True)


def scores(scene: Scene, look: Look, most: int, longest: int | None = None) -> dict[str, Any]:
    """PSNR in dB of what ``look`` sees against the views, and how far the masks agree; held-out ones all.

    Args:
        most: so many of the views that were trained on, spread evenly.
        longest: pixels on the longer side, to which views are reduced where they are larger.
    """
    trained = scene.trained[:: max(1, -(-len(scene.trained) // most))] if most else ()
    each = {index: _score(scene, look, index, longest) for index in (*scene.held_out, *trained)}
    return {
        "pixels": min(longest or max(scene.size), max(scene.size)),
        "held_out": _mean([each[index] for index in scene.held_out]),
        "trained": _mean([each[index] for index in trained]),
        "views": {str(index): score for index, score in sorted(each.items())},
    }


def _score(scene: Scene, look: Look, index: int, longest: int | None) -> dict[str, float]:
    seen = look_at(scene, look, index, longest)
    wanted = _shrunk(scene.images[index].numpy(), seen.mask.shape)
    mask = _shrunk(scene.masks[index, None].numpy(), seen.mask.shape)[0]
    return {
        "psnr": round(psnr(seen.image, wanted), _DIGITS),
        "mask_iou": round(mask_iou(seen.mask, mask), _DIGITS),
    }


def _shrunk(planes: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """(C, H, W) float32 planes at another height and width, by the mean over each pixel."""
    if planes.shape[1:] == size:
        return planes
    height, width = size
    each = (Image.fromarray(plane).resize((width, height), Image.Resampling.BOX) for plane in planes)
    return np.stack([np.asarray(plane) for plane in each])


def _mean(each: Sequence[dict[str, float]]) -> dict[str, float] | None:
    if not each:
        return None
    return {name: round(float(np.mean([score[name] for score in each])), _DIGITS) for name in each[0]}


def view(scene: Scene, index: int) -> np.ndarray:
    """(H, W, 3) uint8 of a view."""
    return levels(scene.images[index].numpy())


def role(scene: Scene, index: int) -> str:
    """What a view is to the training, in a word or two."""
    return "held out" if index in scene.held_out else "input" if index == scene.input_index else "trained"


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 of that height and width."""
    if picture.shape[:2] == size:
        return picture
    height, width = size
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
