"""What is compared: the name of a study goes in, its systems come out.

A system is which views are reconstructed, and with which options of the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TRUE, SMALL, FUSED, INDEPENDENT = "true", "small", "fused", "independent"
"""Views: true ones; true ones at the size that the model makes; those that it makes of one of them, by the
method and, each by itself, of the input alone."""

PAPER, IN_TIME = "paper", ("--yes", "resolution=128")
"""The preset that takes tens of hours on a CPU, with options for it there: a surface at 512 takes an hour."""

ON_ALL_VIEWS = "scene.hold_out=0"
"""Judged by others, so none is held out."""

VARIANTS = {FUSED: "viewfusion", INDEPENDENT: "zero123"}


@dataclass(frozen=True)
class System:
    """One way to a mesh.

    Args:
        views: :data:`TRUE`, :data:`SMALL`, :data:`FUSED` or :data:`INDEPENDENT`.
        options: of the command ``reconstruct``.
        minutes: so long it may train; None: until it is finished.
    """

    views: str
    options: tuple[str, ...]
    minutes: float | None = None


@dataclass(frozen=True)
class Study:
    """A question.

    Args:
        kinds: of objects, of :data:`.subjects.KINDS`.
        systems: by name; the first is what others are compared with.
        objects: their names, where not all of the kinds.
    """

    kinds: tuple[str, ...]
    systems: dict[str, System]
    objects: tuple[str, ...] = ()


def study(name: str, presets: Sequence[str], minutes: float, options: Sequence[str] = ()) -> Study:
    """``views``: is a shape found from true views? ``spins``: are fused views better to reconstruct from?
    ``presets``: what is each preset worth, in the same time?

    Args:
        presets: of the command; ``spins`` takes the first.
        minutes: that the preset ``paper`` may train in ``presets``.
        options: for all of them.

    Raises:
        KeyError: no such study.
    """

    def system(views: str, preset: str) -> System:
        return System(views, ("--preset", preset, *options))

    if name == "views":
        return Study(("analytic", "solid"), {preset: system(TRUE, preset) for preset in presets})
    if name == "spins":
        made = {views: system(views, presets[0]) for views in (FUSED, INDEPENDENT, SMALL)}
        return Study(("procedural", "furniture", "solid"), made)
    if name == "presets":
        options = (ON_ALL_VIEWS, *options)
        timed = {preset: system(TRUE, preset) for preset in presets if preset != PAPER}
        if PAPER in presets:
            timed[PAPER] = System(TRUE, ("--preset", PAPER, *IN_TIME, *options), minutes)
        return Study(("analytic",), timed, ("analytic/chair", "analytic/mug"))
    raise KeyError(name)


STUDIES = ("views", "spins", "presets")
