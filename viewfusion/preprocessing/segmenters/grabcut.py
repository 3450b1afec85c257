"""Segmenter "grabcut": OpenCV's GrabCut finds the object on any ground, from what stands out or a hint.

GrabCut (Rother et al., SIGGRAPH 2004) parts a picture into two mixtures of colours with a short outline; what
it finds depends on where it starts. So it starts from three guesses, and what agrees best with the others is
taken: on a small copy, then drawn finer, and at the edge the photo's own pixels decide. It knows colours, not
things: of an object in front of something as striking it may take both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from ...errors import ViewFusionError
from ..edges import Nearby, refined
from ..pieces import components, piece_at, reduced, shrunk, whole_box
from ..starts import Starts, starts
from . import Hints, Segmentation

COARSE_SIDE = 192
"""Pixels a side where the object is looked for."""

FINE_SIDE = 512
"""Pixels a side where its outline is drawn."""

REACH = 2
"""Pixels of that copy by which the drawn outline may be wrong."""

ROUNDS = 2
"""Times that colours and outline are fitted to each other; more of them forget where they started, and lose
thin parts of pale objects."""

PIECE_SHARE = 0.2
"""Pieces smaller than this share of the largest one are taken for parts of the ground."""

HOLE_SHARE = 0.01
"""Holes smaller than this share of the object are taken for parts of it."""

LEAST_SHARE = 0.002
"""Of the photo; GrabCut shrinks to less where it finds nothing that holds together."""

FLAT = 8
"""Levels of 255; a picture that does not vary by more shows nothing, and takes GrabCut very long."""

BOX_MARGIN = 0.4
"""How much around a box is looked at as ground, as a share of the box."""

MOST_CONFIDENCE = 0.9
"""However clear an outline is, it may be that of the wrong thing."""

CLEAR = 0.5
"""Trust in the colours along an outline from which on it is as clear as any."""

LEAST_CONFIDENCE = 0.1
"""Below it, what was found without a hint is no object but grain of the ground."""

_NOTHING = (
    "no object stands out from the background; supply an RGBA image with it removed, a mask (--mask), a box "
    "around the object (--box), or a photo of it on a plain ground"
)


def segment(rgb: np.ndarray, hints: Hints) -> Segmentation:
    """The object that stands out, is clicked on or lies in the box.

    Args:
        rgb: (H, W, 3) uint8.
        hints: a point, a box, both or none.

    Raises:
        ViewFusionError: nothing stands out, or nothing does at the point or in the box.
    """
    # Its clustering draws random numbers, which OpenCV keeps for each thread and cannot put back. In a thread
    # of its own they are the same every time, and those of whoever calls go on as they were.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_segment, rgb, hints).result()


def _segment(rgb: np.ndarray, hints: Hints) -> Segmentation:
    import cv2

    cv2.setRNGSeed(0)
    rows, columns = _looked_at(rgb.shape[:2], hints.box)
    view = np.ascontiguousarray(rgb[rows, columns])
    coarse = reduced(view, Image.Resampling.BOX, COARSE_SIDE)
    if np.ptp(coarse, axis=(0, 1)).max() < FLAT:
        raise ViewFusionError(_NOTHING)
    down, across = coarse.shape[0] / view.shape[0], coarse.shape[1] / view.shape[1]
    moved = hints.moved(columns.start, rows.start, across, down)
    mask, agreement = _agreed(coarse, starts(coarse, moved.point, moved.box), moved.point)
    confidence = MOST_CONFIDENCE * agreement * _plausibility(coarse, mask)
    hinted = hints.point is not None or hints.box is not None
    if confidence < LEAST_CONFIDENCE and not hinted:
        raise ViewFusionError(_NOTHING)
    alpha = np.zeros(rgb.shape[:2], np.uint8)
    alpha[rows, columns] = refined(_finer(mask, view), view, REACH)
    remarks = () if hinted else ("the object was found by its colours alone; check preview.png",)
    return Segmentation(alpha, "grabcut", confidence, remarks)


def _looked_at(shape: tuple[int, int], box: tuple[float, float, float, float] | None) -> tuple[slice, slice]:
    """Rows and columns of the photo: all, or those of a box and what is around it."""
    if box is None:
        return slice(0, shape[0]), slice(0, shape[1])
    left, top, right, bottom = whole_box(box)
    across, down = 2 + round(BOX_MARGIN * (right - left)), 2 + round(BOX_MARGIN * (bottom - top))
    return (
        slice(max(0, top - down), min(shape[0], bottom + down)),
        slice(max(0, left - across), min(shape[1], right + across)),
    )


def _agreed(rgb: np.ndarray, found: Starts, point: tuple[float, float] | None) -> tuple[np.ndarray, float]:
    """(h, w) bool: the object that cuts from different guesses agree on best, and how well, 0 to 1."""
    cuts = [_cut_from(rgb, guess, found, point) for guess in found.guesses]
    least = max(LEAST_SHARE * cuts[0].size, 3 * int(found.surely.sum()))
    whole = [cut for cut in cuts if cut.sum() >= least]
    if not whole:
        raise ViewFusionError(_NOTHING)
    # Guesses that came to nothing agree with no other.
    agreements = [sum(_overlap(cut, other) for other in whole if other is not cut) / 2 for cut in whole]
    best = int(np.argmax(agreements))
    return whole[best], agreements[best]


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def _cut_from(
    rgb: np.ndarray, guess: np.ndarray, found: Starts, point: tuple[float, float] | None
) -> np.ndarray:
    """(h, w) bool: what GrabCut makes of one guess, less what hardly belongs to it, its pinholes filled."""
    import cv2

    labels = np.where(guess, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[found.never], labels[found.surely] = cv2.GC_BGD, cv2.GC_FGD
    mask = _cut(rgb, labels, ROUNDS)
    if not mask.any():
        return mask
    pieces = components(mask)
    if point is not None:
        kept = piece_at(mask, *point)
    else:
        areas = np.bincount(pieces.ravel())
        areas[0] = 0
        kept = np.take(areas >= PIECE_SHARE * areas.max(), pieces)
    gaps = components(~kept)
    holes = np.bincount(gaps.ravel()) < HOLE_SHARE * kept.sum()
    holes[0] = False
    filled: np.ndarray = kept | np.take(holes, gaps)
    return filled


def _cut(rgb: np.ndarray, labels: np.ndarray, rounds: int) -> np.ndarray:
    """(h, w) bool: object by GrabCut from its ``labels`` (h, w) uint8, which are overwritten."""
    import cv2

    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if min(mask.sum(), (~mask).sum()) < 5:  # too few to make a mixture of colours of
        return mask
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(rgb, labels, None, *models, rounds, cv2.GC_INIT_WITH_MASK)
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


def _finer(mask: np.ndarray, view: np.ndarray) -> np.ndarray:
    """(h, w) bool: ``mask`` on a larger copy of ``view``, its outline cut anew within two of its pixels."""
    import cv2

    fine = reduced(view, Image.Resampling.BOX, FINE_SIDE)
    if fine.shape[:2] == mask.shape:
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    larger = np.asarray(image.resize(fine.shape[1::-1], Image.Resampling.BILINEAR)) >= 128
    reach = 2 * round(fine.shape[1] / mask.shape[1])
    labels = np.where(larger, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[shrunk(larger, reach)], labels[shrunk(~larger, reach)] = cv2.GC_FGD, cv2.GC_BGD
    return _cut(fine, labels, 1)


def _plausibility(rgb: np.ndarray, mask: np.ndarray) -> float:
    """How much ``mask`` (h, w) bool is like an object in ``rgb`` (h, w, 3), 0 to 1.

    An object has a clear outline, which colours on both sides tell apart; it is one piece; and the border of
    the photo is not its own.
    """
    outline = ~shrunk(mask, 1) & ~shrunk(~mask, 1)
    trust = float(Nearby.of(rgb, mask, 1).trust[outline].mean()) if outline.any() else 0.0
    largest = int(np.bincount(components(mask)[mask]).max())
    border = np.concatenate([mask[[0, -1]].ravel(), mask[:, [0, -1]].ravel()])
    return min(1.0, trust / CLEAR) * largest / int(mask.sum()) * (1 - float(border.mean()))
