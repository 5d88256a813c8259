"""Reader of pickled pandas data frames that executes nothing; pandas need not be installed.

A pickle is a program: loading one can call any function. Here its instructions are interpreted on
plain values. The names that a data frame of numbers and text needs (`CALLS`, `CLASSES`) lead to
functions and classes of `data_frame_parts.py`. Every other name, and every other instruction, is
refused.
"""

import gzip
import pickletools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kit.data.data_frame_parts import (
    CALLS,
    CLASSES,
    MENTIONED,
    Array,
    Backed,
    Dtype,
    Frame,
    Ignored,
    Manager,
    Name,
    Refused,
)
from kit.store.reading import open_regular

MAX_BYTES = 512 << 20  # unpacked; a scan of PandaSet has 8 MB


def read_data_frame(file: Path) -> dict[str, np.ndarray]:
    """Read a data frame from a pickle, packed by gzip or not.

    Args:
        file: as `DataFrame.to_pickle` of pandas 0.25 to 3 writes it, any protocol.

    Returns:
        (R,) values by the name of the column; texts are in arrays of objects.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is damaged, too large, no data frame, or asks for anything else than
            the parts of one; names the file.
    """
    data = _unpack(file)
    try:
        return _columns(_Interpreter().run(data))
    except Refused as error:
        raise ValueError(f"{file}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(_damaged(file)) from error
    except (MemoryError, RecursionError) as error:
        raise ValueError(_damaged(file)) from error


def _damaged(file: Path) -> str:
    return (
        f"{file}: expected the pickle of a pandas data frame, this is damaged or something else. "
        "Is the download complete?"
    )


def _unpack(file: Path) -> bytes:
    """The bytes of the pickle, at most `MAX_BYTES`."""
    with open_regular(file) as opened:
        packed = opened.read(2) == b"\x1f\x8b"
        opened.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=opened) if packed else opened).read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{file}: this gzip file is damaged ({error}). Is the download complete?"
            ) from error
    if len(data) > MAX_BYTES:
        raise ValueError(f"{file}: more than {MAX_BYTES >> 20} MB unpacked; expected one scan")
    return data


_PUSH = set(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE BINUNICODE8 "
    "SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}


@dataclass
class _Interpreter:
    """The stack machine of pickles, on plain values."""

    stack: list = field(default_factory=list)
    marks: list[int] = field(default_factory=list)  # lengths of the stack
    memo: dict[int, Any] = field(default_factory=dict)
    room: int = 0  # bytes that arrays may take; several arrays may share the bytes of the file

    def run(self, data: bytes) -> Any:
        """Interpret a pickle and return its value."""
        self.room = 8 * len(data)
        for code, argument, _ in pickletools.genops(data):
            if code.name in _PUSH:
                self.stack.append(argument)
            elif code.name in _CONSTANTS:
                self.stack.append(_CONSTANTS[code.name])
            elif code.name in _NEW:
                self.stack.append(_NEW[code.name]())
            elif code.name == "MARK":
                self.marks.append(len(self.stack))
            else:
                step = getattr(self, f"do_{code.name.lower()}", None)
                if step is None:
                    raise Refused(f"a data frame does not need the pickle instruction {code.name}")
                step(argument)
        return self.stack.pop()

    def since_mark(self) -> list:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def do_proto(self, _: int | None) -> None:
        """The protocol; all are read."""

    do_frame = do_stop = do_proto

    def do_put(self, key: int) -> None:
        self.memo[key] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_get(self, key: int) -> None:
        self.stack.append(self.memo[key])

    do_binget = do_long_binget = do_get

    def do_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.since_mark()))

    def do_list(self, _: None) -> None:
        self.stack.append(self.since_mark())

    def _tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def do_tuple1(self, _: None) -> None:
        self._tuple_of(1)

    def do_tuple2(self, _: None) -> None:
        self._tuple_of(2)

    def do_tuple3(self, _: None) -> None:
        self._tuple_of(3)

    def do_append(self, _: None) -> None:
        value = self.stack.pop()
        self._list().append(value)

    def do_appends(self, _: None) -> None:
        values = self.since_mark()
        self._list().extend(values)

    def _list(self) -> list:
        if not isinstance(self.stack[-1], list):
            raise Refused("an entry is added to something that is no list")
        return self.stack[-1]

    def do_setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set(key, value)

    def do_setitems(self, _: None) -> None:
        values = self.since_mark()
        for key, value in zip(values[::2], values[1::2], strict=True):
            self._set(key, value)

    def _set(self, key: Any, value: Any) -> None:
        if not isinstance(self.stack[-1], dict) or not isinstance(key, str):
            raise Refused("a dictionary of a data frame has a key that is no text")
        self.stack[-1][key] = value

    def do_global(self, argument: str) -> None:
        self._push_name(*argument.split(" ", 1))

    def do_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        path = f"{module}.{name}"
        if path not in CALLS and path not in CLASSES and path not in MENTIONED:
            raise Refused(
                f"it asks for {path!r:.100}, which a data frame of numbers and text does not need. "
                "Nothing was executed. Is this file from a source that you trust?"
            )
        self.stack.append(Name(path))

    def do_reduce(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self.stack.append(_make(CALLS, called, arguments))
        self._count(self.stack[-1])

    def do_newobj(self, _: None) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self.stack.append(_make(CLASSES, called, arguments))

    def do_build(self, _: None) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, Array | Backed | Dtype | Frame | Manager):
            made.build(state)
            self._count(made)
        elif not isinstance(made, Ignored):
            raise Refused("the state of something else than a part of a data frame is set")

    def _count(self, made: Any) -> None:
        """Refuse a small file that asks for a lot of memory."""
        if isinstance(made, Array) and made.values is not None:
            self.room -= made.values.nbytes
            if self.room < 0:
                raise Refused("its arrays would take much more memory than the file has bytes")


def _make(table: dict[str, Callable], called: Any, arguments: Any) -> Any:
    if not isinstance(called, Name) or called.path not in table:
        path = called.path if isinstance(called, Name) else "a value"
        raise Refused(f"it calls {path}, which a data frame does not need")
    if not isinstance(arguments, tuple):
        raise Refused(f"it calls {called.path} without a tuple of arguments")
    return table[called.path](*arguments)


# The columns of a data frame


def _columns(frame: Any) -> dict[str, np.ndarray]:
    """The columns by name."""
    if not isinstance(frame, Frame) or not isinstance(frame.manager, Manager):
        raise Refused("expected a pandas data frame, this pickle holds something else")
    names = _values(frame.manager.axes[0].content["data"]).tolist()
    if len(set(names)) != len(names):
        raise Refused("two columns have one name")
    found: dict[str, np.ndarray] = {}
    for block in frame.manager.blocks:
        values, place = _values(block.values), block.place
        numbers = place if isinstance(place, slice) else _values(place)
        chosen = np.arange(len(names))[numbers]
        for row, number in zip(np.atleast_2d(values), chosen, strict=True):
            found[names[number]] = row
    lengths = {len(column) for column in found.values()}
    if set(found) != set(names) or len(lengths) > 1:
        raise Refused("the columns of the data frame are not complete")
    return {name: found[name] for name in names}


def _values(part: Any) -> np.ndarray:
    values = part.values
    if not isinstance(values, np.ndarray):
        raise Refused("a part of the data frame has no values")
    return values
