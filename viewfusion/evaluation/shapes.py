"""Shapes of JSON: parsed values of anybody go in, what is wrong and where comes out.

A shape is a function that looks at a value and raises :class:`Misfit`; larger ones are put together from
smaller. Keys that a :func:`record` does not name may hold any plain data, so that a newer file can say more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], None]

_DEEPEST = 16
"""Levels of plain data: more would exhaust the stack of whoever walks it."""


class Misfit(Exception):  # noqa: N818 (a finding, raised only to come out of the depth)
    """What is wrong with a value, and step by step where it stands."""

    def __init__(self, what: str, *steps: object) -> None:
        super().__init__(what)
        self.what, self.steps = what, [str(step)[:80] for step in steps]

    def __str__(self) -> str:
        return f"{'.'.join(self.steps)} {self.what}" if self.steps else self.what


def inside(shape: Shape, value: Any, step: object) -> None:
    """``shape`` of what stands at ``step`` of something."""
    try:
        shape(value)
    except Misfit as misfit:
        raise Misfit(misfit.what, step, *misfit.steps) from None


def text(most: int, least: int = 0) -> Shape:
    """Of so many characters."""

    def check(value: Any) -> None:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise Misfit(f"must be a text of {least} to {most} characters, got {brief(value)}")

    return check


def pattern(expression: str, what: str) -> Shape:
    """A text that matches as a whole."""

    def check(value: Any) -> None:
        if not isinstance(value, str) or not re.fullmatch(expression, value):
            raise Misfit(f"must be {what}, got {brief(value)}")

    return check


def one_of(*values: str) -> Shape:
    def check(value: Any) -> None:
        if not isinstance(value, str) or value not in values:
            raise Misfit(f"must be one of {', '.join(values)}, got {brief(value)}")

    return check


def number(value: Any) -> None:
    """Finite, and no larger than what can be squared and summed."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e15:
        raise Misfit(f"must be a finite number, got {brief(value)}")


def count(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**9:
        raise Misfit(f"must be a whole number from 0, got {brief(value)}")


def or_null(shape: Shape) -> Shape:
    def check(value: Any) -> None:
        if value is not None:
            shape(value)

    return check


def items(shape: Shape, most: int, least: int = 0) -> Shape:
    """A list of so many, each of ``shape``."""

    def check(value: Any) -> None:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise Misfit(f"must be a list of {least} to {most}, got {brief(value)}")
        for place, each in enumerate(value):
            inside(shape, each, place)

    return check


def table(key: Shape, shape: Shape) -> Shape:
    """An object of JSON with keys and values of these shapes."""

    def check(value: Any) -> None:
        _must_be_object(value)
        for name, each in value.items():
            key(name)
            inside(shape, each, name)

    return check


def record(needed: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object of JSON that has the keys of ``needed``, may have those of ``optional``, and others."""
    known = {**needed, **(optional or {})}

    def check(value: Any) -> None:
        _must_be_object(value)
        for name in needed:
            if name not in value:
                raise Misfit("is missing", name)
        for name, each in value.items():
            inside(known.get(name, plain), each, name)

    return check


def plain(value: Any, depth: int = 0) -> None:
    """Plain data of any kind: numbers that are numbers, lists and objects of such, not too deep."""
    if depth > _DEEPEST:
        raise Misfit(f"is nested more than {_DEEPEST} deep")
    if isinstance(value, dict):
        for name, each in value.items():
            inside(lambda inner: plain(inner, depth + 1), each, name)
    elif isinstance(value, list):
        for each in value:
            plain(each, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        number(value)
    elif (
        isinstance(value, int) and abs(value) >= 2**64
    ):  # seeds are large, and some could not even be printed
        raise Misfit("is too large a number")


def _must_be_object(value: Any) -> None:
    if not isinstance(value, dict):
        raise Misfit(f"must be an object of JSON, got {brief(value)}")


def brief(value: object) -> str:
    """At most 60 characters of ASCII; of lists and objects their kind alone, however large they are."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return ascii(value)[:60]
