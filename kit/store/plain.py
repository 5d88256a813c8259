"""Dataclasses of settings from JSON values, with every name and type checked."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Readers = Mapping[type, Callable[[Any, str], Any]]


def from_plain(
    kind: type[T], values: Any, where: str = "settings", readers: Readers | None = None
) -> T:
    """Make a dataclass from JSON values; the inverse of `to_plain`.

    Args:
        kind: the dataclass.
        values: its values by name, nested dataclasses as nested objects. A name that is left out
            gets its default.
        where: names the values in messages, e.g. "student.inputs".
        readers: functions of (value, where) that read the values of other types, by type.

    Raises:
        ValueError: an unknown name (suggests the most similar one), a missing name without a
            default, or a value of another type or out of its range.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected names and values, got {type(values).__name__}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        if name not in names:
            similar = difflib.get_close_matches(str(name), names, 1)
            advice = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(names)}"
            raise ValueError(f"{where}: unknown setting {name!r}; {advice}")
    missing = [f.name for f in dataclasses.fields(kind) if f.name not in values and _required(f)]
    if missing:
        raise ValueError(f"{where}: {', '.join(missing)} must be given")
    read = {
        name: _convert(hints[name], value, f"{where}.{name}", readers or {})
        for name, value in values.items()
    }
    try:
        return kind(**read)
    except ValueError as error:  # a value out of its range
        raise ValueError(f"{where}: {error}") from error


def _required(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str, readers: Readers) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _convert(inner[0], value, where, readers)
    if origin in (typing.Union, types.UnionType):
        return _first_that_fits(inner, value, where, readers)
    if origin is tuple:
        return _convert_tuple(inner, value, where, readers)
    if origin is typing.Literal:
        if value not in inner:
            raise ValueError(f"{where}: expected one of {list(inner)}, got {short(value)}")
        return value
    if hint in readers:
        return readers[hint](value, where)
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, value, where, readers)
    return _convert_scalar(hint, value, where)


def _first_that_fits(kinds: tuple, value: Any, where: str, readers: Readers) -> Any:
    reasons = []
    for kind in kinds:
        try:
            return _convert(kind, value, where, readers)
        except ValueError as error:
            if kind is not type(None):
                reasons.append(str(error))
    raise ValueError("; or ".join(reasons))


def _convert_tuple(kinds: tuple, value: Any, where: str, readers: Readers) -> tuple:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: expected a list, got {short(value)}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"{where}: expected {len(kinds)} values, got {len(value)}")
    return tuple(
        _convert(kind, item, f"{where}[{i}]", readers)
        for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _convert_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind in (None, type(None)):
        fits = value is None
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind is Path:
        fits = isinstance(value, str | Path)
    else:
        fits = isinstance(value, kind)
    if not fits:
        wanted = "null" if kind in (None, type(None)) else kind.__name__
        raise ValueError(f"{where}: expected {wanted}, got {short(value)}")
    try:
        return value if value is None else kind(value)
    except OverflowError as error:
        raise ValueError(f"{where}: {short(value)} is too large for a number") from error


def short(value: Any) -> str:
    """A value for a message, in at most 63 characters."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 1e30 else "a huge number"
    return text if len(text) <= 60 else f"{text[:60]}..."
