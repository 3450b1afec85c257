"""Segmenters: a photo goes in, the alpha of its object comes out.

Each is a module with a function ``segment(rgb, hints) -> Segmentation``, which imports heavy packages when
it runs; this one says what they share, and which of them ``auto`` takes. It goes from what somebody knows to
what has to be guessed, and from exact to likely:

1. a mask: whoever gives one says where the object is, whatever else the file holds;
2. the file's own transparency: somebody cut the object out;
3. GrabCut, if there is a point or a box: they are given where the rest failed, and it is made for them;
4. a network whose weights are on this machine: it knows things, where the others know colours. Nothing is
   fetched for it, and one that cannot be run is passed over with a remark;
5. the rule for plain light grounds, which refuses others;
6. GrabCut, on any ground and anywhere, with its doubts said.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import ViewFusionError, did_you_mean, printable
from ..images import over_white
from ..pieces import inside_box, only_piece_at

NETWORKS = (
    "birefnet-general",
    "birefnet-general-lite",
    "isnet-general-use",
    "carvekit",
    "u2net",
    "u2netp",
)
"""Segmenters that want weights, in the order in which ``auto`` looks whether they are here: best first."""

SEGMENTERS = ("auto", "alpha", "mask", "plain", "grabcut", *NETWORKS)
"""Names of all."""

ALIASES = {"birefnet": "birefnet-general", "isnet": "isnet-general-use"}
"""Short names of networks."""


@dataclass(frozen=True)
class Hints:
    """What a person said about where the object is, in pixels of the upright photo.

    Attributes:
        mask: a picture of the photo's size, light where the object is.
        point: (x, y) on the object.
        box: (left, top, right, bottom) around it.
    """

    mask: Path | None = None
    point: tuple[float, float] | None = None
    box: tuple[float, float, float, float] | None = None

    def moved(self, left: float, top: float, across: float, down: float) -> Hints:
        """The same in pixels of a part of the photo that begins at (left, top) and is then resized.

        Args:
            across, down: by these factors; they differ where the sides of a copy are rounded.
        """

        def place(x: float, y: float) -> tuple[float, float]:
            return (x - left) * across, (y - top) * down

        point = None if self.point is None else place(*self.point)
        box = None if self.box is None else (*place(*self.box[:2]), *place(*self.box[2:]))
        return replace(self, point=point, box=box)


NO_HINTS = Hints()


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Where the object is.

    Attributes:
        alpha: (H, W) uint8, 255 on the object.
        method: the segmenter's name, for manifests and messages.
        confidence: 0 (a guess) to 1 (somebody says so), by the segmenter's own light.
        remarks: whole phrases a person should see.
        background: (3,) colour of the ground where it is one colour, else None.
    """

    alpha: np.ndarray
    method: str
    confidence: float
    remarks: tuple[str, ...] = ()
    background: np.ndarray | None = None


class NoObjectError(ViewFusionError):
    """A network has looked, and nothing in the photo stands out: an answer, no failure to give one."""


Segmenter = Callable[[np.ndarray, Hints], Segmentation]
"""(H, W, 3) uint8 and hints to a :class:`Segmentation`; raises ViewFusionError where it cannot."""


def segment(rgba: np.ndarray, segmenter: str = "auto", hints: Hints = NO_HINTS) -> Segmentation:
    """Where the object of a photo is, by whichever ``segmenter``; of what it finds, hints say which is meant.

    Args:
        rgba: (H, W, 4) uint8.
        segmenter: a name of :data:`SEGMENTERS` or :data:`ALIASES`, or an ONNX file of such a network.
        hints: where the object is. Whoever finds it, a point keeps the piece it lies in, and a box what is
            inside.

    Raises:
        ViewFusionError: no such segmenter, it finds nothing, or the hints do not fit the photo.
    """
    name = known_segmenter(segmenter)
    _check(hints, rgba.shape[1], rgba.shape[0])
    if hints.mask is not None and name not in ("auto", "mask"):
        raise ViewFusionError(f"--segmenter {name} looks at no mask; leave it out, or the mask")
    found = _automatic(rgba, hints) if name == "auto" else _by(name, rgba, hints)
    alpha = found.alpha
    if hints.box is not None:
        alpha = inside_box(alpha, hints.box)
    if hints.point is not None:
        alpha = only_piece_at(alpha, *hints.point)
    return found if alpha is found.alpha else replace(found, alpha=alpha)


def known_segmenter(name: str) -> str:
    """The full name of a segmenter; the name of an ONNX file stays. Raises ViewFusionError for any other."""
    name = ALIASES.get(name, name)
    if name not in SEGMENTERS and Path(name).suffix != ".onnx":
        known = [*SEGMENTERS, *ALIASES]
        raise ViewFusionError(
            f"no segmenter {name[:80]!r}; use one of {', '.join(known)}, or an .onnx file"
            f"{did_you_mean(name, known)}"
        )
    return name


def _check(hints: Hints, width: int, height: int) -> None:
    photo = f"the upright photo has {width} x {height} pixels"
    if hints.point is not None:
        x, y = hints.point
        if not (0 <= x < width and 0 <= y < height):
            raise ViewFusionError(f"the point {x:g},{y:g} is not in the photo; {photo}")
    if hints.box is not None:
        left, top, right, bottom = hints.box
        across, down = min(right, width) - max(left, 0), min(bottom, height) - max(top, 0)
        if not (math.isfinite(sum(hints.box)) and across >= 2 and down >= 2):
            raise ViewFusionError(
                f"the box {left:g},{top:g},{right:g},{bottom:g} holds none of the photo; it is left, top, "
                f"right, bottom, and {photo}"
            )
        if hints.point is not None and not (left <= x <= right and top <= y <= bottom):
            raise ViewFusionError("the point is not in the box; give one of them, or a point inside")


def _automatic(rgba: np.ndarray, hints: Hints) -> Segmentation:
    """By the order that the module's text gives reasons for."""
    from . import alpha

    if hints.mask is not None:
        return _by("mask", rgba, hints)
    if alpha.is_cutout(rgba[..., 3]):
        return alpha.segment(rgba)
    if hints.point is not None or hints.box is not None:
        return _by("grabcut", rgba, hints)
    return _first_to_run([*filter(ready, NETWORKS)], rgba, hints)


def _first_to_run(networks: Sequence[str], rgba: np.ndarray, hints: Hints) -> Segmentation:
    """By the first that can be run, or by rules; why those before it cannot is said with what comes of it."""
    if not networks:
        return _by_rules(rgba, hints)
    first, *others = networks
    try:
        return _by(first, rgba, hints)
    except NoObjectError:
        raise
    except ViewFusionError as error:
        passed_over = f"{first} was passed over: {_without_folders(str(error))}"
    try:
        found = _first_to_run(others, rgba, hints)
    except ViewFusionError as error:
        raise ViewFusionError(f"{error}; {passed_over}") from None
    return replace(found, remarks=(passed_over, *found.remarks))


def _by_rules(rgba: np.ndarray, hints: Hints) -> Segmentation:
    with suppress(ViewFusionError):  # it refuses all but its own kind of photo
        return _by("plain", rgba, hints)
    return _by("grabcut", rgba, hints)


def _without_folders(text: str) -> str:
    """Files of weights by their names alone, as remarks go into manifests, which tell no folders."""
    from .weights import WEIGHTS, here

    for path in filter(None, map(here, WEIGHTS)):
        text = text.replace(printable(f"{path.parent}{os.sep}"), "")
    return text


def _by(name: str, rgba: np.ndarray, hints: Hints) -> Segmentation:
    if name == "alpha":
        from . import alpha

        return alpha.segment(rgba)
    return _segmenter(name)(over_white(rgba), hints)


def _segmenter(name: str) -> Segmenter:
    """Any but those that look at the file's alpha."""
    from . import carvekit, grabcut, mask, onnx, plain

    here: dict[str, Segmenter] = {"mask": mask.segment, "plain": plain.segment, "grabcut": grabcut.segment}
    if name in here:
        return here[name]
    if name == "carvekit":
        return carvekit.segmenter()
    return onnx.segmenter(name if name in SEGMENTERS else Path(name))


def ready(name: str) -> bool:
    """Whether what the network called ``name`` wants is here; none of it is looked into."""
    from . import carvekit, onnx

    return carvekit.available() if name == "carvekit" else onnx.available(name)
