"""Protocols: a name or a YAML file goes in, all that decides what a number means comes out.

"PSNR 20.7" says nothing: of which views, at which size, over which background, averaged in which order? A
protocol says, and its hash travels with every number made under it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from viewfusion.errors import ViewFusionError, did_you_mean
from viewfusion.resources import resource_folder
from viewfusion.yaml_files import read_yaml

from .measures import MEASURES
from .summary import AVERAGINGS

TASKS = ("targets", "ring", "spin", "mesh")
"""What is made of an input: the object's other views, each on its own way; a ring of all its views; a ring
that nobody has true views of; a mesh."""

INPUTS = ("first", "listed")
"""Which view is the input: the first, or the one a list names for each object."""

DEFAULT = "viewfusion-embedded"

_PROSE = ("about", "source", "published")
"""What decides no number, and so is not hashed."""

_DESCRIPTION = "protocol (name, about, task, metrics, ...)"


@dataclass(frozen=True)
class Protocol:
    """What a number means.

    Args:
        name: of its file.
        about: a paragraph for people.
        source: where its rules come from.
        task: one of :data:`TASKS`.
        metrics: settings of each of :data:`.measures.MEASURES`; ``optional: true`` leaves one out where what
            it needs is not here.
        views: pictures an object has, the input among them; None: any number.
        input: one of :data:`INPUTS`.
        size: pixels a side that pictures are compared at.
        background: that transparent pixels are laid over: "white", and nothing else is supported; it stands
            here so that results say it.
        averaging: one of :data:`.summary.AVERAGINGS`; a metric's own setting ``averaging`` comes first.
        mesh: settings of :func:`viewfusion.evaluation.meshes.score_meshes`.
        published: other people's numbers, each with ``system``, ``checkpoint``, ``data``, ``scores``,
            ``source``.
    """

    name: str
    about: str
    source: str
    task: str
    metrics: dict[str, dict[str, Any]]
    views: int | None = None
    input: str = "first"
    size: int = 256
    background: str = "white"
    averaging: str = "values"
    mesh: dict[str, Any] = field(default_factory=dict)
    published: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def sha256(self) -> str:
        """Hex digest of all that decides a number, the name included."""
        deciding = {key: value for key, value in self.settings().items() if key not in _PROSE}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """As plain data, for results."""
        return asdict(self)


def protocol_names() -> list[str]:
    """Those that come with viewfusion."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def protocol_file(name: str) -> Path:
    """Where the one called ``name`` lies, to be read or copied."""
    return _folder() / f"{name}.yaml"


def load_protocol(name: str | Path = DEFAULT) -> Protocol:
    """The protocol called ``name``, or that of a YAML file.

    Raises:
        ViewFusionError: no such protocol, a key or metric nobody knows (with the nearest known one), or an
            impossible value.
    """
    text = str(name)
    path = Path(name)
    if text in protocol_names():
        path = protocol_file(text)
    elif path.suffix not in (".yaml", ".yml"):
        near = did_you_mean(text, protocol_names())
        known = ", ".join(protocol_names())
        raise ViewFusionError(f"no protocol {text[:80]!r}{near}; there are {known}, or give a YAML file")
    content = read_yaml(path, _DESCRIPTION, "--protocol")
    try:
        return _checked(path.stem, content)
    except _ProtocolError as error:
        raise ViewFusionError(f"{path}: {error}") from None


class _ProtocolError(ValueError):
    """What is wrong with a protocol, without the file's name."""


def _checked(name: str, content: Any) -> Protocol:
    if not isinstance(content, dict):
        raise _ProtocolError(f"a {_DESCRIPTION} was wanted")
    known = [each.name for each in fields(Protocol)]
    for key in content:
        if key not in known:
            raise _ProtocolError(f"unknown key {str(key)[:60]!r}{did_you_mean(key, known)}")
    content = {"source": "", **content, "name": content.get("name", name)}
    for key in ("about", "task"):
        if key not in content:
            raise _ProtocolError(f"{key} is missing")
    content.setdefault("metrics", {})
    for key, (wanted, fits) in _FORMS.items():
        if key in content and not fits(content[key]):
            raise _ProtocolError(f"{key} must be {wanted}, got {str(content[key])[:60]!r}")
    protocol = Protocol(**content)
    _check_metrics(protocol)
    if protocol.task == "mesh":
        _check_mesh(protocol)
    if protocol.task == "spin" and protocol.views is None:
        raise _ProtocolError("views is missing; a spin has so many")
    return protocol


def _check_mesh(protocol: Protocol) -> None:
    from .meshes import MeshSettings

    try:
        MeshSettings.from_data(protocol.mesh)
    except ViewFusionError as error:
        raise _ProtocolError(str(error)) from None


def _check_metrics(protocol: Protocol) -> None:
    """Known ones, of what the task makes, with settings they have."""
    if not protocol.metrics:
        raise _ProtocolError(f"metrics names none; there are {', '.join(MEASURES)}")
    for name, settings in protocol.metrics.items():
        measure = MEASURES.get(name)
        if measure is None:
            raise _ProtocolError(f"unknown metric {str(name)[:60]!r}{did_you_mean(name, MEASURES)}")
        if protocol.task not in measure.tasks:
            raise _ProtocolError(
                f"metric {name} is for {' or '.join(measure.tasks)}, not for task {protocol.task}"
            )
        for key, value in settings.items():
            if key not in measure.allowed:
                known = ", ".join(measure.allowed)
                raise _ProtocolError(f"metric {name} has no setting {str(key)[:60]!r}; {known}")
            form, fits = _SETTINGS.get(key, ("", lambda _: True))
            if not fits(value):
                raise _ProtocolError(f"{key} of metric {name} must be {form}, got {str(value)[:60]!r}")
            values = measure.allowed[key]
            if values and value not in values:
                raise _ProtocolError(
                    f"{key} of metric {name} must be one of {', '.join(map(str, values))}, got "
                    f"{str(value)[:60]!r}"
                )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return _is_text(value) and 1 <= len(value) <= 200


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_count(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _is_plain(value: Any) -> bool:
    """Mappings, lists, texts, finite numbers."""
    if isinstance(value, dict):
        return all(_is_text(key) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def _are_settings(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, dict) and _is_plain(each) for each in value.values()
    )


def _are_published(value: Any) -> bool:
    wanted = {"system", "checkpoint", "data", "scores", "source"}
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and set(each) == wanted
        and _is_name(each["system"])
        and all(each[key] is None or _is_text(each[key]) for key in ("checkpoint", "data", "source"))
        and isinstance(each["scores"], dict)
        and all(name in MEASURES and _is_number(score) for name, score in each["scores"].items())
        for each in value
    )


def _one_of(names: tuple[str, ...]) -> tuple[str, Callable[[Any], bool]]:
    return f"one of {', '.join(names)}", lambda value: value in names


_SETTINGS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "borders": ("true or false", lambda value: type(value) is bool),
    "data_range": (
        "null or a number above 0",
        lambda value: value is None or (_is_number(value) and value > 0),
    ),
    "seam": ("a whole number", lambda value: type(value) is int),
}
"""By the settings of metrics that have them: what they must be."""

_FORMS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a name of at most 200 characters", _is_name),
    "about": ("a text", _is_text),
    "source": ("a text", _is_text),
    "task": _one_of(TASKS),
    "metrics": ("a mapping of metrics to their settings, {} for none", _are_settings),
    "views": ("2 to 1000", lambda value: value is None or _is_count(2, 1000)(value)),
    "input": _one_of(INPUTS),
    "size": ("16 to 2048 pixels", _is_count(16, 2048)),
    "background": _one_of(("white",)),
    "averaging": _one_of(AVERAGINGS),
    "mesh": ("a mapping of settings", lambda value: isinstance(value, dict) and _is_plain(value)),
    "published": ("a list of mappings of system, checkpoint, data, scores, source", _are_published),
}


def _folder() -> Path:
    return resource_folder("configs") / "protocols"
