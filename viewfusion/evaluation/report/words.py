"""Words of a report: numbers, names and what a run says of itself go in, texts for people come out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from viewfusion.errors import printable

NOTHING = "\N{EN DASH}"


def decimals(values: Sequence[float | None]) -> int:
    """How many digits after the point show numbers of this size to about three digits: 17.21, 0.204, 151."""
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    if largest == 0:
        return 2
    size = math.floor(math.log10(largest))
    return max(0, min(2, 3 - size) if size >= 0 else min(2 - size, 9))


def heading(text: str) -> str:
    """As words begin that stand alone: "loop closure" becomes "Loop closure"."""
    return text[:1].upper() + text[1:]


def unit_of(metric: Mapping[str, Any]) -> str:
    """The unit, unless the title says it already, as "SIFT matches" does."""
    return "" if metric["unit"] in metric["title"] else str(metric["unit"])


def number(value: float | None, places: int) -> str:
    """With a true minus; a dash where there is none."""
    if value is None:
        return NOTHING
    text = f"{value:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, places: int) -> str:
    """As :func:`number`, with a plus too."""
    text = number(value, places)
    positive = value is not None and float(f"{value:.{places}f}") > 0
    return f"+{text}" if positive else text


def count(number: int, one: str, many: str = "") -> str:
    """For instance "1 object", "12 objects"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def sentence_of(words: Sequence[str]) -> str:
    """For instance "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def checkpoint_words(system: Mapping[str, Any]) -> str:
    """The name of a system's checkpoint; of others' predictions nobody knows it."""
    return printable(system["checkpoint"]["name"]) if system["checkpoint"] else "an unknown checkpoint"


def published_words(published: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """In a sentence or two, of what published numbers are, and whether ours are of the same."""
    data, system, protocol = results["data"], results["system"], results["protocol"]
    theirs = [f"The numbers of {printable(published['system'])}"]
    theirs += [f"with {printable(published['checkpoint'])}"] if published.get("checkpoint") else []
    theirs += [f"are of {printable(published['data'])}" if published.get("data") else "are of unnamed data"]
    theirs += [f"under {printable(published['protocol'])}"] if published.get("protocol") else []
    scored = sum(each["status"] == "scored" for each in results["objects"])
    objects = f"{count(scored, 'object')} of {printable(data['name'])}"
    ours = f"this run is of {objects} with {checkpoint_words(system)}"
    differ = [
        word
        for word, other, own in (
            ("the protocol", published.get("protocol") or protocol["name"], protocol["name"]),
            ("the data", published.get("data"), data["name"]),
            ("the checkpoint", published.get("checkpoint"), (system["checkpoint"] or {}).get("name")),
        )
        if not _same(other, own)
    ]
    return f"{' '.join(theirs)}; {ours}. {_verdict(differ)}"


def comparable(published: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Whether published numbers are of our data and protocol, so far as names tell."""
    protocol = results["protocol"]["name"]
    same = _same(published.get("protocol") or protocol, protocol)
    return same and _same(published.get("data"), results["data"]["name"])


def _verdict(differ: Sequence[str]) -> str:
    if not differ:
        return "Protocol, data and checkpoint are the same, so the numbers can be compared."
    what = sentence_of(differ)
    verb = "differ" if len(differ) > 1 else "differs"
    if list(differ) == ["the checkpoint"]:
        return f"Only {what} {verb}: the numbers compare checkpoints as much as systems."
    return f"{what[0].upper()}{what[1:]} {verb}, so the numbers are not comparable."


def _same(one: str | None, other: str | None) -> bool:
    """Whether two names mean the same: "Zero123-XL", "zero123 xl"."""
    letters = ["".join(sign for sign in (name or "").casefold() if sign.isalnum()) for name in (one, other)]
    return bool(letters[0]) and letters[0] == letters[1]
