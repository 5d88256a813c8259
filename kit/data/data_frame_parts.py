"""Plain values in place of the objects that a pickled data frame refers to."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_DTYPE = re.compile(r"[<>=|]?([fiu][1248]|b1|O8?)")


class Refused(ValueError):
    """The pickle asks for something that a data frame does not need."""


@dataclass(frozen=True)
class Name:
    """A name of the module-level function or class that the pickle asks for."""

    path: str


@dataclass
class Dtype:
    """A number type; its state may change the byte order."""

    spec: str
    order: str = "<"

    def build(self, state: Any) -> None:
        """Take the byte order from the state."""
        if not (isinstance(state, tuple) and state[1] in ("<", ">", "|", "=")):
            raise Refused("the byte order of a number type is broken")
        self.order = state[1]

    def numpy(self) -> np.dtype:
        """The number type of NumPy."""
        found = _DTYPE.fullmatch(self.spec)
        if found is None:
            raise Refused("expected columns of numbers or text, found another type of column")
        return np.dtype(object if found[1].startswith("O") else self.order + found[1])


@dataclass
class Array:
    """An array whose values come with its state."""

    values: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Make the array from the state: shape, number type and bytes."""
        _, shape, dtype, by_column, data = state
        self.values = _array(data, dtype, shape, "F" if by_column else "C")


@dataclass
class Backed:
    """An array of text of pandas 3; its state holds the array."""

    values: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Take the only array in the state."""
        arrays = [part.values for part in state if isinstance(part, Array)]
        self.values = arrays[0] if len(arrays) == 1 else None


@dataclass
class Block:
    """Columns of one type: (k, R) values, and the numbers of these k columns."""

    values: Any
    place: Any


@dataclass
class Index:
    """The labels of an axis."""

    content: dict


@dataclass
class Manager:
    """The blocks of a data frame, and its axes: columns and rows."""

    blocks: Any = ()
    axes: Any = ()

    def build(self, state: Any) -> None:
        """Take axes and blocks from the state."""
        if state is None:
            return
        content = state[3]["0.14.1"]  # the layout of pandas 0.14.1 to 1.2
        self.axes = content["axes"]
        self.blocks = [Block(each["values"], each["mgr_locs"]) for each in content["blocks"]]


@dataclass
class Frame:
    """A data frame; its state holds the manager."""

    manager: Manager | None = None

    def build(self, state: Any) -> None:
        """Take the manager from the state."""
        self.manager = state.get("_mgr", state.get("_data"))


@dataclass
class Ignored:
    """A type of text, which the values do not depend on."""


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Make an array; its size follows from the bytes or objects that are there."""
    if not isinstance(dtype, Dtype) or not isinstance(shape, tuple) or order not in ("C", "F"):
        raise Refused("an array has no type or shape")
    kind, shape = dtype.numpy(), tuple(map(operator.index, shape))
    if kind.hasobject:
        if not isinstance(data, list) or not all(map(_is_plain, data)):
            raise Refused("a column holds objects other than numbers and text")
        flat = np.empty(len(data), dtype=object)
        flat[:] = data
    else:
        if not isinstance(data, bytes | bytearray):
            raise Refused("an array of numbers comes without its bytes")
        flat = np.frombuffer(data, kind)
    if min(shape, default=0) < 0 or math.prod(shape) != len(flat):
        raise Refused(f"an array has the shape {shape}, but {len(flat)} values")
    return flat.reshape(shape, order=order)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes of old protocols, which have no instruction for bytes."""
    if encoding != "latin1":
        raise Refused(f"expected bytes as latin1, found {encoding!r:.20}")
    return text.encode("latin1")


def _new_array(_: Any, __: Any, ___: Any) -> Array:
    return Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return Array(_array(data, dtype, shape, order))


_NUMPY = ("numpy.core.", "numpy._core.")  # before and since NumPy 2
CALLS: dict[str, Callable] = {
    **{f"{core}multiarray._reconstruct": _new_array for core in _NUMPY},
    **{f"{core}numeric._frombuffer": _from_buffer for core in _NUMPY},
    "numpy.dtype": lambda spec, *_: Dtype(spec),
    "_codecs.encode": _encode,
    "builtins.slice": slice,
    "__builtin__.slice": slice,
    "pandas._libs.internals._unpickle_block": lambda values, place, *_: Block(values, place),
    "pandas.core.internals.managers.BlockManager": Manager,
    "pandas.core.indexes.base._new_Index": lambda _, content: Index(content),
    "pandas._libs.arrays.__pyx_unpickle_NDArrayBacked": lambda *_: Backed(),
    "pandas.StringDtype": lambda *_: Ignored(),
}
CLASSES: dict[str, Callable] = {
    "pandas.DataFrame": Frame,
    "pandas.core.frame.DataFrame": Frame,
    "pandas.core.internals.managers.BlockManager": Manager,
}
MENTIONED = {  # only as arguments
    "numpy.ndarray",
    "pandas.Index",
    "pandas.RangeIndex",
    "pandas.arrays.StringArray",
    "pandas.core.indexes.base.Index",
    "pandas.core.indexes.numeric.Int64Index",
    "pandas.core.indexes.range.RangeIndex",
}
