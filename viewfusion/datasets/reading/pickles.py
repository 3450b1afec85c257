"""A pickle of arrays read as data: its bytes go in, tuples, numbers and numpy arrays come out.

A pickle is a program that pushes values, collects them and calls what it names. Here the first two happen;
of calls only those are understood by which numpy's arrays are pickled (of numpy 1 and 2, in protocols 2 to
5), and none is made: the bytes they would have got become an array. Anything else is refused.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_OPERATIONS = 100_000  # SyncDreamer's file has about 150, ours about 1000
_MOST_NESTED = 32
_MOST_VALUES = 400_000  # numbers in lists, and bytes by eights, however often the file repeats them

_LITERALS = frozenset(
    (
        *("BININT", "BININT1", "BININT2", "BINFLOAT", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    )
)
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS, _PUTS = ("BINGET", "LONG_BINGET"), ("BINPUT", "LONG_BINPUT")
_IGNORED = ("PROTO", "FRAME", "STOP")

_DTYPE = re.compile(r"[<>=|]?([fiu][1248])")
_OLD_NAMES = {"numpy.core": "numpy._core"}
_KNOWN = frozenset(
    ["numpy.ndarray", "numpy.dtype", "numpy.array", "_codecs.encode"]
    + [
        f"numpy._core.{name}"
        for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    ]
)


class UnsafePickleError(Exception):
    """The pickle does what one of arrays never does; the text says what, as a verb and its object."""


@dataclass(frozen=True, slots=True)
class _Name:
    """What an ordinary unpickler would import."""

    name: str


@dataclass(slots=True)
class _Dtype:
    """A type of numbers, whose byte order comes later."""

    kind: str
    order: str = "="

    def real(self) -> np.dtype:
        return np.dtype(self.kind).newbyteorder(self.order)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Array:
    """An array, whose content comes later."""

    values: np.ndarray | None = None


def read_arrays(pickled: bytes) -> Any:
    """What ``pickled`` describes: numbers, strings, tuples and lists of them, and numpy arrays of numbers.

    Raises:
        UnsafePickleError: it names or does anything that pickled arrays do not, or is far larger.
        Exception: it is damaged; many kinds.
    """
    reader = _Reader()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if count > _MOST_OPERATIONS:
            raise UnsafePickleError(f"has more than {_MOST_OPERATIONS} instructions")
        reader.take(opcode.name, argument)
    return reader.finished(reader.stack[-1])


class _Reader:
    """The stack of an unpickler, without its hands."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.left = _MOST_VALUES

    def take(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _PUTS:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _TUPLES:
            self.stack.append(tuple(self.popped(_TUPLES[name])))
        elif name == "TUPLE":
            values = tuple(self.marked())  # first: it changes the stack
            self.stack.append(values)
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
            if len(self.below) > _MOST_NESTED:
                raise UnsafePickleError(f"nests values more than {_MOST_NESTED} deep")
        elif name == "APPEND":
            (value,) = self.popped(1)
            _list(self.stack[-1]).append(value)
        elif name == "APPENDS":
            added = self.marked()
            _list(self.stack[-1]).extend(added)
        elif name == "GLOBAL":
            self.stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            self.stack.append(_known(*self.popped(2)))
        elif name == "REDUCE":
            function, arguments = self.popped(2)
            self.stack.append(self.called(function, arguments))
        elif name == "BUILD":
            (state,) = self.popped(1)
            _build(self.stack[-1], state)
        elif name not in _IGNORED:
            raise UnsafePickleError(f"uses the instruction {name}")

    def popped(self, count: int) -> list[Any]:
        """The last ``count`` values, taken off the stack."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def marked(self) -> list[Any]:
        """All values since the last mark, taken off the stack with it."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def called(self, function: Any, arguments: Any) -> Any:
        """What calling ``function``, which is not called, would give."""
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise UnsafePickleError("calls what is no function")
        name = function.name.rpartition(".")[2]
        if name == "_reconstruct":  # numpy.ndarray, (0,), b"b": filled by BUILD
            return _Array()
        if name == "dtype":
            return _dtype(arguments[0])
        if name == "encode":  # how protocol 2 writes bytes
            text, coding = arguments
            if coding != "latin1" or not isinstance(text, str):
                raise UnsafePickleError("encodes text otherwise than as latin1")
            self.spend(1 + len(text) // 8)
            return text.encode("latin1")
        if name == "scalar":
            dtype, content = arguments
            return _from_bytes(content, dtype, ())[()]
        if name == "_frombuffer":
            content, dtype, shape, order = arguments
            return _from_bytes(content, dtype, shape, order == "F")
        if name == "array":
            values, dtype = arguments
            return np.array(self.plain(values), dtype=_dtype(dtype).real())
        raise UnsafePickleError(f"asks to run `{function.name}`")

    def plain(self, values: Any, depth: int = 0) -> Any:
        """Numbers in lists in lists: nothing that could hold more than it takes."""
        self.spend(1)
        if isinstance(values, list) and depth < _MOST_NESTED:
            return [self.plain(value, depth + 1) for value in values]
        if not isinstance(values, (int, float)):
            raise UnsafePickleError("has an array of what are no numbers")
        return values

    def finished(self, value: Any, depth: int = 0) -> Any:
        """``value`` with arrays in it that are whole."""
        self.spend(1)
        if isinstance(value, _Array):
            if value.values is None:
                raise UnsafePickleError("has an array without content")
            return value.values
        if isinstance(value, (list, tuple)):
            if depth == _MOST_NESTED:
                raise UnsafePickleError(f"nests values more than {_MOST_NESTED} deep")
            return type(value)(self.finished(each, depth + 1) for each in value)
        if isinstance(value, (_Name, _Dtype)):
            raise UnsafePickleError("has a function or type where a value belongs")
        return value

    def spend(self, values: int) -> None:
        """Count what is copied: a list that holds itself many times over would be endless."""
        self.left -= values
        if self.left < 0:
            raise UnsafePickleError(f"repeats itself to more than {_MOST_VALUES} values")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("values are added to what is no list")
    return value


def _known(module: Any, name: Any) -> _Name:
    full = f"{module}.{name}"
    for old, new in _OLD_NAMES.items():
        if full.startswith(f"{old}."):
            full = new + full[len(old) :]
    if full not in _KNOWN:
        raise UnsafePickleError(f"asks to run `{full[:80]}`")
    return _Name(full)


def _build(target: Any, state: Any) -> None:
    """Fill an array or a type of numbers, as numpy states them."""
    if isinstance(target, _Dtype):  # version, byte order, ...
        if state[1] not in ("<", ">", "|", "="):
            raise UnsafePickleError("has numbers in an unknown byte order")
        target.order = state[1]
    elif isinstance(target, _Array):
        _, shape, dtype, fortran, content = state
        target.values = _from_bytes(content, dtype, shape, bool(fortran))
    else:
        raise UnsafePickleError("sets attributes of what is no array")


def _dtype(text: Any) -> _Dtype:
    if isinstance(text, _Dtype):
        return text
    match = _DTYPE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UnsafePickleError(f"has an array of {ascii(text)[:40]}, which are no numbers")
    return _Dtype(match[1], text[0] if text[0] in "<>=|" else "=")


def _from_bytes(content: Any, dtype: Any, shape: Any, fortran: bool = False) -> np.ndarray:
    """A view of the bytes, which must be as many as its shape says; so it takes no memory of its own."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not all(type(size) is int and 0 <= size <= _MOST_VALUES for size in sizes) or len(sizes) > 8:
        raise UnsafePickleError("has an array of an absurd shape")
    real = _dtype(dtype).real()
    if not isinstance(content, (bytes, bytearray)) or len(content) != math.prod(sizes) * real.itemsize:
        raise UnsafePickleError("has an array of another size than its bytes")
    return np.frombuffer(content, real).reshape(sizes, order="F" if fortran else "C")
