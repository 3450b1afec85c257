"""Posed views from anywhere: a path goes in, views and alphas to reconstruct an object from come out.

A run, one object of any layout that :mod:`viewfusion.datasets.reading` knows, a strip, a transforms.json, or
numbered pictures whose cameras the user states.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from viewfusion.errors import ViewFusionError
from viewfusion.geometry import DEFAULT_ELEVATION, DEFAULT_RADIUS, FOV, Pose

if TYPE_CHECKING:
    from viewfusion.datasets.reading import DatasetObject
    from viewfusion.reconstruction.scene import Scene, SceneSettings
    from viewfusion.views import ViewSet

MAX_PIXELS = 2**25
"""Of all views together: 512 of 256 x 256, 128 of 512 x 512. A mesh of them takes about 100 bytes each."""

_SAME = 3.0
"""Levels by which a run's first view may differ on average from its input.png over white."""


@dataclass(frozen=True, eq=False)
class PosedViews:
    """What a path holds.

    Args:
        views: over white.
        alphas: (H, W) float32 in [0, 1] for each view; None: its file says nothing.
        inputs: places of the views that were given where the others were generated; none: not known.
        names: of the views, for messages.
        notes: what was assumed, a line each.
    """

    views: ViewSet
    alphas: tuple[np.ndarray | None, ...]
    inputs: tuple[int, ...]
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def scene(self, settings: SceneSettings | None = None) -> Scene:
        """What is reconstructed from; errors as of ``scene_from_views``."""
        from viewfusion.reconstruction.scene import scene_from_views

        return scene_from_views(
            self.views, self.alphas, inputs=self.inputs, settings=settings, names=self.names
        )

    def complete_alphas(self) -> list[np.ndarray]:
        """(H, W) for each view, from white where its file says nothing.

        Raises:
            ViewFusionError: such a view is not over white.
        """
        from viewfusion.reconstruction.masks import cut_out

        images = [((view.image + 1) / 2).permute(1, 2, 0).numpy() for view in self.views]
        return list(cut_out(images, self.alphas, self.names)[1])

    def alphas_for(self, to: str) -> Sequence[np.ndarray | None] | None:
        """What ``viewfusion.outputs.export`` is given for the format ``to``: of all views, or None."""
        from viewfusion.outputs import find_format

        if find_format(to).needs_alphas:
            return self.complete_alphas()
        return self.alphas if all(alpha is not None for alpha in self.alphas) else None


def read_posed_views(
    path: str | Path,
    *,
    layout: str = "auto",
    fov_deg: float | None = None,
    elevation_deg: float | None = None,
    distance: float | None = None,
    side: int | None = None,
) -> PosedViews:
    """The views of one object.

    Args:
        path: a run's folder, an object's, a strip of 16 views, or a transforms.json.
        layout: a key of ``datasets.reading.READERS``, or "auto": what the files say.
        fov_deg: horizontal; by default what the data says, else Zero123's.
        elevation_deg: of all views, and
        distance: of all cameras; for numbered pictures without cameras, which are taken to stand evenly
            around the object, counter-clockwise.
        side: larger pictures are reduced to so many pixels on the longer side.

    Raises:
        ViewFusionError: there is nothing of the kind, several objects, or options that contradict the data.
    """
    path = Path(path)
    if fov_deg is not None and not 0 < fov_deg < 180:
        raise ViewFusionError(f"--fov must lie between 0 and 180 degrees, got {fov_deg:g}")
    if side is not None and side < 16:
        raise ViewFusionError(f"pictures must keep 16 pixels a side or more, got {side}")
    found = _object(path, layout)
    inputs: tuple[int, ...] = () if found.input_index is None else (found.input_index,)
    run = (path / "cameras.json").is_file() and layout in ("auto", "run")
    if run:
        inputs = _given_to(path, len(found.pictures)) or inputs
    poses, notes = _poses(found, elevation_deg, distance)
    if fov_deg is None and found.fov is None:
        notes.append(f"the field of view is in no file; taken for {math.degrees(FOV):g} degrees (--fov)")
    fov = math.radians(fov_deg) if fov_deg is not None else found.fov or FOV
    pictures = _pixels(found, side)
    if run and pictures[inputs[0]][1] is None:
        pictures[inputs[0]] = _with_alpha_of_the_photo(path, pictures[inputs[0]])
    return PosedViews(
        views=_view_set([rgb for rgb, _ in pictures], poses, fov),
        alphas=tuple(alpha for _, alpha in pictures),
        inputs=inputs,
        names=tuple(_name(found, place) for place in range(len(poses))),
        notes=tuple(notes),
    )


def _object(path: Path, layout: str) -> DatasetObject:
    """The one object at ``path``."""
    from viewfusion.datasets.reading import open_dataset

    if path.is_file():
        return _object_of_file(path)
    if layout == "auto" and (path / ".resume").is_dir():
        from viewfusion.outputs.reader import read_cameras

        read_cameras(path)  # says that it is not finished, where it is not
    dataset = open_dataset(path, layout)
    if dataset.problems:
        first, more = dataset.problems[0].what, len(dataset.problems) - 1
        raise ViewFusionError(
            first + (f" (and {more} more; `viewfusion dataset check` lists them)" if more else "")
        )
    if len(dataset.objects) != 1:
        names = ", ".join(each.name for each in dataset.objects[:4])
        raise ViewFusionError(
            f"{path}: {len(dataset.objects)} objects ({names}{', ...' if len(dataset.objects) > 4 else ''}); "
            "give the folder of one of them"
        )
    (found,) = dataset.objects
    if not found.pictures:
        raise ViewFusionError(f"{path}: a mesh without pictures; `viewfusion render-object` makes them")
    return found


def _object_of_file(path: Path) -> DatasetObject:
    from viewfusion.datasets.reading import READERS
    from viewfusion.datasets.reading.folders import Folder
    from viewfusion.datasets.reading.records import Faults

    if path.name == "transforms.json":
        return _object(path.parent, "nerfstudio")
    strip, folder = READERS["syncdreamer-strip"], Folder(path.parent, frozenset([path.name]), frozenset())
    if not strip.knows(folder):
        raise ViewFusionError(
            f"{path}: wanted a folder of views, transforms.json, or a strip of 16 square views side by side"
        )
    return strip.read(path.stem, folder, Faults())


def _given_to(run: Path, count: int) -> tuple[int, ...]:
    """Places of the photos among the ``count`` views of a run; none where its manifest does not say it."""
    from viewfusion.datasets.reading.folders import read_json

    try:
        content = read_json(run / "manifest.json", run)
    except ViewFusionError:  # cameras and pictures are enough
        return ()
    entries = content.get("views") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        return ()
    sources = [each.get("source") if isinstance(each, dict) else None for each in entries[:count]]
    return tuple(place for place, source in enumerate(sources) if source == "input")


def _poses(
    found: DatasetObject, elevation_deg: float | None, distance: float | None
) -> tuple[list[Pose], list[str]]:
    """The pose of each picture, and what was assumed."""
    known = [picture.pose for picture in found.pictures if picture.pose is not None]
    if len(known) == len(found.pictures):
        if elevation_deg is not None or distance is not None:
            raise ViewFusionError(
                f"{found.name}: its cameras are in its files; leave out --elevation-deg and --distance"
            )
        return known, []
    numbers = [int(picture.path.stem) for picture in found.pictures]
    count = max(numbers) + 1
    elevation = math.degrees(DEFAULT_ELEVATION) if elevation_deg is None else elevation_deg
    radius = DEFAULT_RADIUS if distance is None else distance
    try:
        poses = [Pose.from_degrees(360 * number / count, elevation, radius) for number in numbers]
    except ValueError as error:
        raise ViewFusionError(f"--elevation-deg and --distance: {error}") from None
    note = (
        f"no cameras in the folder; taken for {count} evenly around, counter-clockwise, at elevation "
        f"{elevation:g} degrees and distance {radius:g} (--elevation-deg, --distance)"
    )
    return poses, [note]


def _pixels(found: DatasetObject, side: int | None) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """(H, W, 3) uint8 over white and (H, W) float32 alpha, where there is one, of each picture."""
    from viewfusion.datasets.reading import read_rgba
    from viewfusion.preprocessing.images import over_white

    pictures: list[tuple[np.ndarray, np.ndarray | None]] = []
    size = found.size
    for place, picture in enumerate(found.pictures):
        rgba = read_rgba(picture)
        height, width = rgba.shape[:2]
        size = size or (width, height)
        if (width, height) != size:
            why = "its cameras are made for" if found.size else "the first view has"
            raise ViewFusionError(
                f"{_name(found, place)}: wanted {size[0]} x {size[1]} pixels, as {why}, got {width} x "
                f"{height}"
            )
        to = _reduced(size, side)
        if len(found.pictures) * to[0] * to[1] > MAX_PIXELS:
            fits = math.floor(math.sqrt(MAX_PIXELS / len(found.pictures) * max(to) / min(to)))
            raise ViewFusionError(
                f"{found.name}: {len(found.pictures)} views of {to[0]} x {to[1]} pixels are too many to read "
                f"at once; give fewer, or --size {fits}"
            )
        alpha = rgba[..., 3] if rgba[..., 3].min() < 255 else None
        rgb = _resized(over_white(rgba), to)
        pictures.append((rgb, None if alpha is None else _resized(alpha, to).astype(np.float32) / 255))
    return pictures


def _reduced(size: tuple[int, int], side: int | None) -> tuple[int, int]:
    """Width and height with at most ``side`` pixels on the longer one."""
    share = 1.0 if side is None else min(1.0, side / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _with_alpha_of_the_photo(
    run: Path, picture: tuple[np.ndarray, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The first view of a run with the alpha of ``input.png``, if that is the same picture."""
    from viewfusion.datasets.reading import Picture, read_rgba
    from viewfusion.preprocessing.images import over_white

    rgb = picture[0]
    try:
        rgba = read_rgba(Picture(run / "input.png", None))
    except ViewFusionError:  # removed since; its view is over white
        return picture
    photo, alpha = (_resized(each, rgb.shape[1::-1]) for each in (over_white(rgba), rgba[..., 3].copy()))
    if alpha.min() == 255 or np.abs(photo.astype(np.float32) - rgb).mean() > _SAME:
        return picture
    return rgb, alpha.astype(np.float32) / 255


def _view_set(pictures: Sequence[np.ndarray], poses: Sequence[Pose], fov: float) -> ViewSet:
    import torch

    from viewfusion.views import View, ViewSet

    images = [torch.from_numpy(rgb.copy()).permute(2, 0, 1).float() / 127.5 - 1 for rgb in pictures]
    return ViewSet(
        tuple(View(place, *each) for place, each in enumerate(zip(poses, images, strict=True))), fov
    )


def _name(found: DatasetObject, place: int) -> str:
    picture = found.pictures[place]
    return picture.path.name if picture.box is None else f"view {place} of {picture.path.name}"
