"""Batches: things to do one after another go in; what fails is named and the rest is done all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from viewfusion.errors import ViewFusionError


class BatchError(ViewFusionError):
    """Of several things some failed, each named when it did; the rest is done."""


class Failures:
    """Remembers what fails; of a single thing the error itself is raised, at once.

    Args:
        what: the things, as "photos".
        total: how many there are.
        say: tells a person one line.
    """

    def __init__(self, what: str, total: int, say: Callable[[str], None]) -> None:
        self._what, self._total, self._say = what, total, say
        self.failed: set[object] = set()

    @contextmanager
    def counted(self, thing: object = None) -> Iterator[None]:
        """Around the work on one thing: an error is said, and the next one can begin.

        Args:
            thing: one that is worked on more than once, and fails as one.
        """
        try:
            yield
        except ViewFusionError as error:
            if self._total == 1:
                raise
            self.failed.add(object() if thing is None else thing)
            self._say(f"error: {error}")

    def tell(self, out: Path) -> None:
        """At the end.

        Raises:
            BatchError: something failed; what did not is in ``out``.
        """
        if count := len(self.failed):
            rest = f"; the others are in {out}" if count < self._total else ""
            raise BatchError(f"{count} of {self._total} {self._what} failed{rest}")
