"""``torch.compile`` behind one switch: a function of the network goes in, and it comes out compiled, or as it
was where compiling fails.

A graph is compiled for each number of rows, so these come in few sizes: :func:`bucket`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from viewfusion.errors import ViewFusionWarning
from viewfusion.untrusted import shown

from .memory import is_out_of_memory

BUCKETS = (1, 2, 4, 8, 16, 24, 32)
"""Numbers of rows that graphs are compiled for. No more than torch recompiles a function for (8), and none
larger: more rows at once gain nothing."""

COST = "the network is compiled first: half a minute to minutes for each of a few numbers of rows"


def bucket(rows: int) -> int:
    """The smallest of :data:`BUCKETS` that ``rows`` fit into."""
    return next(size for size in BUCKETS if rows <= size)


class Compiled:
    """``function``, compiled when a number of rows comes for the first time.

    Args:
        function: takes tensors, the same shapes for the same number of rows.
        tell: of what compiling will cost, and what it cost.

    Attributes:
        works: whether nothing has failed so far. Once something has, the function is called as it is.
    """

    def __init__(self, function: Callable[..., Any], tell: Callable[[str], None]) -> None:
        self.function, self.tell, self.works = function, tell, True
        self._compiled = torch.compile(function, dynamic=False)
        self._seen: set[int] = set()

    def __call__(self, rows: int, *arguments: Any) -> Any:
        if not self.works:
            return self.function(*arguments)
        if rows in self._seen:
            return self._compiled(*arguments)
        if not self._seen:
            self.tell(COST)
        started = time.perf_counter()
        try:
            output = self._compiled(*arguments)
        except Exception as error:  # of the compiler, in every way there is
            if is_out_of_memory(error):
                raise
            output = self.function(*arguments)  # what is no fault of the compiler's is raised again here
            self.works = False
            warnings.warn(
                ViewFusionWarning(
                    f"the network cannot be compiled here ({shown([error])}); it runs as it is"
                ),
                stacklevel=2,
            )
            return output
        self._seen.add(rows)
        self.tell(f"compiled for {rows} rows in {time.perf_counter() - started:.0f} s")
        return output
