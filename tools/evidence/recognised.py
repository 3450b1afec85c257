"""Whose views are these, and from which side: the pictures of a study go in, shares of views come out.

No network judges. A view is taken for the true one that its pixels differ least from, on average of squares.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from viewfusion.evaluation.metrics import Interval, bootstrap_interval

from .results import Results
from .subjects import KINDS
from .tables import SYSTEMS, number, table


def recognised(results: Results) -> str:
    """A table: the share of views closest to their own object among all of a kind, seen from the same side;
    and of those closer to their own side of it than to the mirrored one."""
    rows = []
    for kind, objects in results.objects.items():
        truth = turns(results, kind, "truth")
        for system in ("fused", "independent", "repeated", "colour"):
            made = turns(results, kind, system)
            shares = [share.mean(1) for share in (own_object(made, truth), own_side(made, truth))]
            rows.append(
                [f"{KINDS[kind]}, {SYSTEMS[system]}", *(_told(bootstrap_interval(s)) for s in shares)]
            )
        rows.append([f"{KINDS[kind]}, by chance", number(1 / len(objects), 2), number(0.5, 2)])
    heads = ["share of views (95 % interval)", "closest to its own object", "closer to its own side"]
    return table(heads, rows)


def turns(results: Results, kind: str, system: str) -> np.ndarray:
    """(O, V, S, S, 3) float32 pixels of a system's views, the input first."""
    strips = []
    for each in results.objects[kind]:
        with Image.open(each.folder / f"{system}.png") as image:
            strips.append(np.asarray(image.convert("RGB"), np.float32))
    views = results.about["views"]
    return np.stack([np.stack(np.split(strip, views, axis=1)) for strip in strips])


def own_object(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(O, V - 1) 1 where a view is closest to the true view of its own object from there, else 0.

    Args:
        made, truth: (O, V, S, S, 3).
    """
    errors = np.stack(
        [_errors(made, np.broadcast_to(other, made.shape)) for other in truth]
    )  # [other, own, view]
    return (errors.argmin(0) == np.arange(len(made))[:, None])[:, 1:].astype(float)


def own_side(made: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(O, V - 1 or V - 2) 1 where a view is closer to the true one from there than to that from the mirrored
    azimuth, 1/2 where it is as close; the view from behind is its own mirror and left out."""
    count = made.shape[1]
    sides = [view for view in range(1, count) if 2 * view != count]
    own = _errors(made[:, sides], truth[:, sides])
    mirrored = _errors(made[:, sides], truth[:, [count - view for view in sides]])
    return (own < mirrored) + 0.5 * (own == mirrored)


def _errors(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.square(one - other).mean((-3, -2, -1))


def _told(found: Interval) -> str:
    return f"{number(found.mean, 2)} ({number(found.low, 2)} to {number(found.high, 2)})"
