"""The one error a user can mend, the one warning worth reading, and the word somebody probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# Control characters, line ends, marks that reverse text, halves of characters (bytes that were no UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ViewFusionError(ValueError):
    """Bad input: one line that says what was wanted, what came and what to do.

    The command line prints it without a traceback and exits with code 2. What could break the line or
    command the terminal, in the name of a file for one, is shown as an escape.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class ViewFusionWarning(UserWarning):
    """Something was assumed that the user may know better; one line, which the command line prints."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def did_you_mean(wrong: object, known: Iterable[str]) -> str:
    """For instance "; did you mean 'views'?"; nothing where no known word is near."""
    near = difflib.get_close_matches(str(wrong)[:80], list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def printable(text: str) -> str:
    """``text`` on one line that a terminal shows and does not obey, whatever files are called."""
    return _UNPRINTABLE.sub(_escaped, text)


def _escaped(character: re.Match[str]) -> str:
    return character[0].encode("unicode_escape").decode("ascii")
