"""ONNX files as data: bytes go in; the operators and weights they hold, or what is wrong with them, come out.

An ONNX file is one protobuf message. Its few fields that matter here are read by hand: to look through a
model that somebody found before onnxruntime gets it, and to take weights out of one, without the package
``onnx``. Field numbers are those of ``onnx.proto3``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from viewfusion.errors import ViewFusionError

MOST_NODES = 100_000
"""BiRefNet, the largest known, has a tenth of that."""

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_WEIGHTS, _GRAPH_SPARSE = 1, 5, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 4, 8, 9
_TENSOR_EXTERNAL = (13, 14)
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_FLOAT = 1

_SPARSE = "has sparse weights, which are not looked through; refused"

Value = int | memoryview


@dataclass(frozen=True)
class Node:
    """One operator of the graph, in the order of computation.

    Attributes:
        operator: its type, such as "Conv".
        domain: whose it is; "" for ONNX's own.
        inputs, outputs: names of tensors.
    """

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """What a file holds.

    Attributes:
        nodes: see :class:`Node`.
        weights: name -> the bytes of its tensor, see :func:`array`.
    """

    nodes: tuple[Node, ...]
    weights: dict[str, memoryview]


def read_model(content: bytes) -> Model:
    """The model in ``content``, if it is one that needs nothing but itself.

    Raises:
        ViewFusionError: not an ONNX model, or one that has operators of others, loops or branches, functions
            of its own, or weights in other files.
    """
    nodes: list[Node] = []
    weights: dict[str, memoryview] = {}
    try:
        for number, part in _fields(memoryview(content)):
            if number == _MODEL_FUNCTIONS:
                raise ViewFusionError("defines functions of its own, which are not looked through; refused")
            if number == _MODEL_GRAPH:
                _read_graph(_message(part), nodes, weights)
    except (ValueError, IndexError) as error:
        if isinstance(error, ViewFusionError):
            raise
        raise ViewFusionError("not an ONNX model, or cut short; fetch or export it again") from None
    if not nodes:
        raise ViewFusionError("not an ONNX model, or one that computes nothing; fetch or export it again")
    return Model(tuple(nodes), weights)


def array(tensor: memoryview) -> np.ndarray:
    """The float32 array that a tensor message holds.

    Raises:
        ViewFusionError: it is of another type, or has other bytes than its shape.
    """
    dims: list[int] = []
    kind, values = 0, np.zeros(0, np.float32)
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif number in (_TENSOR_RAW, _TENSOR_FLOATS) and isinstance(value, memoryview):
            values = np.frombuffer(value, "<f4")
    if kind != _FLOAT or values.size != np.prod(dims, dtype=np.int64):
        raise ViewFusionError(
            f"a tensor of float32 wanted, got type {kind}, shape {dims}, {values.size} values"
        )
    return values.reshape(dims).astype(np.float32)


def _read_graph(graph: memoryview, nodes: list[Node], weights: dict[str, memoryview]) -> None:
    for number, part in _fields(graph):
        if number == _GRAPH_NODE:
            nodes.append(_node(_message(part)))
            if len(nodes) > MOST_NODES:
                raise ViewFusionError(f"has over {MOST_NODES} operators; refused")
        elif number == _GRAPH_WEIGHTS:
            weights[_checked_tensor(_message(part))] = _message(part)
        elif number == _GRAPH_SPARSE:
            raise ViewFusionError(_SPARSE)


def _node(message: memoryview) -> Node:
    names: dict[int, list[str]] = {_NODE_INPUT: [], _NODE_OUTPUT: [], _NODE_OPERATOR: [], _NODE_DOMAIN: []}
    for number, part in _fields(message):
        if number in names:
            names[number].append(_text(part))
        elif number == _NODE_ATTRIBUTE:
            _check_attribute(_message(part))
    operator, domain = "".join(names[_NODE_OPERATOR]), "".join(names[_NODE_DOMAIN])
    if domain not in ("", "ai.onnx"):
        raise ViewFusionError(f"has operators of {domain[:40]!r}, not of ONNX; refused")
    return Node(operator, domain, tuple(names[_NODE_INPUT]), tuple(names[_NODE_OUTPUT]))


def _check_attribute(message: memoryview) -> None:
    for number, part in _fields(message):
        if number in _ATTRIBUTE_GRAPHS:
            raise ViewFusionError("has loops or branches, which need not end; refused")
        if number in _ATTRIBUTE_SPARSE:
            raise ViewFusionError(_SPARSE)
        if number in _ATTRIBUTE_TENSORS:
            _checked_tensor(_message(part))


def _checked_tensor(message: memoryview) -> str:
    """Its name."""
    name = ""
    for number, part in _fields(message):
        if number in _TENSOR_EXTERNAL and part:  # data_location 0 says: in this file
            raise ViewFusionError(
                "keeps weights in other files, which are not read; save it as a single file"
            )
        if number == _TENSOR_NAME:
            name = _text(part)
    return name


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a protobuf message."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if number == 0 or key >> 32:  # others cut a key to 32 bits, and would read another field than we
            raise ValueError
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_EIGHT, _FOUR):
            length = 8 if kind == _EIGHT else 4
        else:
            raise ValueError
        if length > end - place:
            raise ValueError
        yield number, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError


def _varints(packed: memoryview) -> list[int]:
    values, place = [], 0
    while place < len(packed):
        value, place = _varint(packed, place)
        values.append(value)
    return values


def _message(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)[:1000]).decode("utf-8", "replace")
