"""YAML from anybody, as plain values: no tags, no aliases, no repeated keys, nothing instantiated.

Enters: a file or a text, untrusted. Leaves: dictionaries, lists, strings, numbers, or an error of one line.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml

from viewfusion.errors import ViewFusionError, did_you_mean

_MOST_BYTES = 2**16  # what the slowest text of this length costs is seconds
_MOST_BRACKETS = 500  # the parser's time grows with the square of their number


class _Loader(yaml.SafeLoader):
    """Refuses aliases, a key that stands twice in one mapping (PyYAML keeps the last) and endless numbers."""

    def fetch_alias(self) -> None:
        # A few aliases of aliases fill any memory, and no file of ours or of Zero123's has one.
        raise yaml.YAMLError("aliases (*name) are not read, write the values out")

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        value = super().construct_object(node, deep)
        if isinstance(value, int) and abs(value) >= 2**64:  # some could not even be printed
            raise yaml.YAMLError("too large a number")
        return value

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.YAMLError("a key stands twice")
        return mapping


def read_yaml(path: Path, wanted: str, option: str) -> Any:
    """The plain values in a YAML file; None for an empty one.

    Args:
        path: the file.
        wanted: what it should be, for messages: "model YAML".
        option: where the user named it: "--config".

    Raises:
        ViewFusionError: the file cannot be opened, is too large, or is no YAML of plain values.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ViewFusionError(f"{path}: cannot be opened ({error.strerror}); check {option}") from error
    if len(content) > _MOST_BYTES:
        raise ViewFusionError(f"{path}: too large for a {wanted}; give {option} the right file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ViewFusionError(f"{path}: not a YAML file; give {option} the {wanted}") from error
    return parse_yaml(text, str(path), f"give {option} the {wanted}")


def parse_yaml(text: str, source: str, remedy: str) -> Any:
    """The plain values in ``text``; ``source`` and ``remedy`` begin and end the message of a refusal."""
    if text.count("[") + text.count("{") > _MOST_BRACKETS:
        raise ViewFusionError(f"{source}: nested too deeply; {remedy}")
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise ViewFusionError(f"{source}: nested too deeply; {remedy}") from error
    except Exception as error:  # the constructors of !!int and others raise what they stumble over
        reason = (getattr(error, "problem", None) or str(error)).partition("\n")[0][:100]
        raise ViewFusionError(f"{source}: not YAML of plain values ({reason}); {remedy}") from error


def preset_path(preset: str | Path, presets: Sequence[str], folder: Path) -> Path:
    """The file of a preset: one of ``presets``, which lie in ``folder``, or the user's own YAML file.

    Raises:
        ViewFusionError: it is neither.
    """
    if str(preset) in presets:
        return folder / f"{preset}.yaml"
    path = Path(preset)
    try:
        found = path.suffix in (".yaml", ".yml") and path.is_file()
    except (OSError, ValueError):  # too long, or with a null byte
        found = False
    if found:
        return path
    known = ", ".join(presets)
    raise ViewFusionError(
        f"no preset {str(preset)[:80]!r}; use one of {known}, or a .yaml file{did_you_mean(preset, presets)}"
    )
