"""The one error a user can mend, the one warning worth reading, and the word somebody probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ViewFusionError(ValueError):
    """Bad input: one line that says what was wanted, what came and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """For instance "; did you mean 'views'?"; nothing where no known word is near."""
    near = difflib.get_close_matches(str(wrong)[:80], list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


class ViewFusionWarning(UserWarning):
    """Something was assumed that the user may know better; one line, which the command line prints."""
