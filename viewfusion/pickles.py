"""A torch pickle read as data: its bytes go in, plain values and records of tensors come out.

A pickle is a program that pushes values, collects them and calls what it names. Here the first two happen;
a call is never made, it becomes a record of the tensor or the module it would have built, or a mark that
something stood there. So neither time nor memory can grow beyond a small multiple of the pickle's own size.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_MOST_OPERATIONS = 1_000_000  # a full-size Zero123 with its optimizer needs about a tenth
_MOST_NESTED = 1_000

_LITERALS = frozenset(["BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1", "SHORT_BINSTRING"])
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ADDED = {"APPEND": 1, "SETITEM": 2, "APPENDS": 0, "SETITEMS": 0}  # how many values; 0: those since the mark


@dataclass(frozen=True, slots=True)
class Global:
    """A name (``"torch.FloatStorage"``) that an ordinary unpickler would import."""

    name: str


SOMETHING = Global("")
"""Stands for any value that is no weight: a callback's state, a path, a set."""


class UnsafePickleError(Exception):
    """The pickle does what torch never writes; the text says what, as a verb and its object."""


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """Numbers in the file: the global that names their type, the entry they lie in, how many there are."""

    kind: Any
    key: Any
    count: Any


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A view of a storage, as the pickle states it: nothing here is checked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


@dataclass(eq=False, slots=True)
class ModuleRecord:
    """A module of TorchScript, whose class lies in the file as code that nobody reads.

    Args:
        attributes: by name; values of any kind, other modules and itself among them.
    """

    attributes: dict[Any, Any] = field(default_factory=dict)


_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": lambda: SOMETHING,
}


def read_pickle(pickled: bytes, is_known: Callable[[str], bool]) -> Any:
    """The value that ``pickled`` describes, with records in place of tensors and storages.

    Args:
        pickled: a pickle as ``torch.save`` writes it, untrusted.
        is_known: whether a global, as Python 3 calls it, may be named.

    Raises:
        UnsafePickleError: it names another global, or has instructions or sizes that torch does not write.
        Exception: it is damaged; many kinds.
    """
    reader = _Reader(is_known)
    for number, (opcode, argument, _) in enumerate(pickletools.genops(pickled)):
        if number > _MOST_OPERATIONS:
            raise UnsafePickleError(f"has more than {_MOST_OPERATIONS} instructions")
        reader.take(opcode.name, argument)
    return reader.stack[-1]


class _Reader:
    """The stack of an unpickler, without its hands."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self.is_known = is_known
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def take(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _FRESH:
            self.stack.append(_FRESH[name]())
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in _TUPLES:
            self.stack.append(tuple(self._popped(_TUPLES[name])))
        elif name == "TUPLE":
            values = tuple(self._marked())  # first: it changes the stack
            self.stack.append(values)
        elif name == "MARK":
            self.below.append(self.stack)
            self.stack = []
            if len(self.below) > _MOST_NESTED:
                raise UnsafePickleError(f"nests values more than {_MOST_NESTED} deep")
        elif name == "GLOBAL":
            self.stack.append(self._global(argument))
        elif name in ("REDUCE", "NEWOBJ"):
            function, arguments = self._popped(2)
            self.stack.append(_called(function, arguments))
        elif name == "BINPERSID":
            tag, kind, key, _, count = self.stack.pop()
            self.stack.append(StorageRecord(kind, key, count) if tag == "storage" else SOMETHING)
        elif name in _ADDED:
            count = _ADDED[name]
            self._add(self._popped(count) if count else self._marked())
        elif name == "BUILD":  # an object's attributes; only a module has weights among them
            (state,) = self._popped(1)
            if isinstance(self.stack[-1], ModuleRecord) and isinstance(state, dict):
                self.stack[-1].attributes = state
        elif name not in ("PROTO", "STOP"):
            raise UnsafePickleError(f"uses the instruction {name}")

    def _add(self, items: list[Any]) -> None:
        """Put ``items``, for a dictionary keys and values by turns, into what is on top."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                # No weight has another kind of key, and the hash of nested tuples can end the interpreter.
                if isinstance(key, (str, int)):
                    target[key] = value

    def _popped(self, count: int) -> list[Any]:
        """The last ``count`` values, taken off the stack."""
        if len(self.stack) < count:
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _marked(self) -> list[Any]:
        """All values since the last mark, taken off the stack with it."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def _global(self, argument: str) -> Global:
        module, _, name = argument.partition(" ")
        # As torch's unpickler reads the names Python 2 had.
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        if not self.is_known(f"{module}.{name}"):
            raise UnsafePickleError(f"asks to run `{module}.{name}`")
        return Global(f"{module}.{name}")


def _called(function: Any, arguments: Any) -> Any:
    """What stands for the outcome of calling ``function``, which is not called."""
    name = function.name if isinstance(function, Global) else ""
    if name == "collections.OrderedDict" and arguments == ():
        return {}
    if name in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
        return TensorRecord(*arguments[:4])
    if name == "torch._utils._rebuild_parameter":
        return arguments[0]
    if name == "torch.Size":
        return arguments[0]
    if name.startswith("__torch__."):
        return ModuleRecord()
    return SOMETHING
