"""Reader of tables from outside: records with named fields, or an error that names the field.

A table is a JSON file with a list of objects. A record is a frozen dataclass whose fields are made
with `column(parser)`. A parser takes the JSON value and returns the checked one, or raises a
ValueError that says what was expected. Fields of the file that the dataclass lacks are ignored.
"""

import dataclasses
import json
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kit.store.reading import read_regular

Record = TypeVar("Record")
_REQUIRED = object()
_DROPPED = object()
MAX_TEXT = 1000  # characters


def column(parser: Callable[[Any], Any], default: Any = _REQUIRED, whole: bool = False) -> Any:
    """Declare a field of a record.

    Args:
        parser: from the JSON value to the checked one; raises ValueError ("expected ...").
        default: of a field that may be missing or null in the file.
        whole: the parser takes all fields of the file's object, as a dictionary.
    """
    return dataclasses.field(metadata={"parser": parser, "default": default, "whole": whole})


def read_records(
    file: Path, kind: type[Record], keep: Callable[[dict], bool] | None = None
) -> list[Record]:
    """Read a table.

    Args:
        file: JSON, a list of objects.
        kind: dataclass of the records, with fields made by `column`.
        keep: whether to keep an object; the others are dropped while parsing and not checked.

    Raises:
        OSError: the file cannot be read; FileNotFoundError if it is missing.
        ValueError: the file is no JSON list of objects, or a field is missing or invalid. The
            message names the file, the record and the field.
    """
    columns = [(field.name, field.metadata) for field in dataclasses.fields(kind)]
    records = []
    for number, row in enumerate(_rows(file, keep)):
        if row is _DROPPED:
            continue
        if not isinstance(row, dict):
            raise ValueError(f"{file}: expected a list of records, one is not an object: {number}")
        try:
            records.append(kind(*[_value(row, *each) for each in columns]))
        except ValueError as error:
            token = row.get("token")
            named = f" ({shown(token)})" if isinstance(token, str) else ""
            raise ValueError(f"{file}: record {number}{named}: {error}") from error
    return records


def _value(row: dict, name: str, rules: Mapping[str, Any]) -> Any:
    """The checked value of one field."""
    if rules["whole"]:
        return rules["parser"](row)
    value = row.get(name)
    if value is None and rules["default"] is not _REQUIRED:
        return rules["default"]
    try:
        return rules["parser"](value)
    except ValueError as error:
        found = f"got {shown(value)}" if name in row else "but the record lacks the field"
        raise ValueError(f"field {name!r}: {error}, {found}") from error


def _rows(file: Path, keep: Callable[[dict], bool] | None) -> list:
    """The list in a JSON file; `_DROPPED` in place of each object that is not kept."""
    hook = None if keep is None else lambda row: row if keep(row) else _DROPPED
    data = read_regular(file)
    try:
        rows = json.loads(data, object_hook=hook)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not valid JSON ({error}). Is the download complete?") from error
    if not isinstance(rows, list):
        kind = "dict" if rows is _DROPPED else type(rows).__name__
        raise ValueError(f"{file}: expected a list of records, got a {kind}")
    return rows


def shown(value: Any) -> str:
    """A value as JSON, shortened for messages; the result is one line."""
    text = json.dumps(value, default=lambda other: type(other).__name__)
    return text if len(text) <= 100 else f"{text[:97]}..."


def unique(file: Path, records: list[Record], field: str) -> dict[str, Record]:
    """Return the records by the value of a field.

    Raises:
        ValueError: two records have the same value; names the file and the value.
    """
    found = {getattr(record, field): record for record in records}
    if len(found) < len(records):
        ((twice, _),) = Counter(getattr(record, field) for record in records).most_common(1)
        raise ValueError(f"{file}: two records have the {field} {shown(twice)}, expected one")
    return found


def path_below(root: Path, filename: str) -> str:
    """Normalise the path of a file below a folder, as a table lists it.

    Paths are compared as text. A symbolic link below the folder is followed wherever it leads,
    because only the owner of the folder can make one: a table cannot.

    Args:
        root: the folder.
        filename: relative to it, or absolute, with "/" between the names.

    Returns:
        the path relative to `root`, without "." and "..".

    Raises:
        ValueError: the path leads outside, or is no path of a file.
    """
    parts, relative = filename.split("/"), filename
    if "\\" in filename or any(len(os.fsencode(part)) > 255 for part in parts):
        relative = ".."
    elif not {"", ".", ".."}.isdisjoint(parts):
        folder = os.path.abspath(root)
        relative = os.path.relpath(os.path.normpath(os.path.join(folder, filename)), folder)
    if relative.split("/")[0] in ("..", "."):
        raise ValueError(
            f"expected a path below {root}, such as samples/CAM_FRONT/1.jpg, with / between names "
            f"of at most 255 bytes, got {shown(filename)}"
        )
    return relative


# Parsers


def text(value: Any) -> str:
    """Text of one line, not empty."""
    good = isinstance(value, str) and 0 < len(value) <= MAX_TEXT
    if not (good and (value.isprintable() or not any(map(_is_control, value)))):
        raise ValueError(f"expected text of one line, 1 to {MAX_TEXT} characters")
    return value


def _is_control(character: str) -> bool:
    """Whether it is a control character, a line separator or half of a surrogate pair."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def text_or_empty(value: Any) -> str:
    """Text of one line, or ""."""
    return value if isinstance(value, str) and not value else text(value)


def name_part(value: Any) -> str:
    """Text that can be part of a file's name."""
    if "/" in text(value) or "\\" in value or value in (".", "..") or len(value) > 100:
        raise ValueError("expected a name of at most 100 characters without / and \\")
    return value


def one_of(*choices: str) -> Callable[[Any], str]:
    """Make the parser of a text that is one of `choices`."""

    def parse(value: Any) -> str:
        if not (isinstance(value, str) and value in choices):
            raise ValueError(f"expected one of {', '.join(map(shown, choices))}")
        return value

    return parse


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Make the parser of an integer; floats without a fraction are accepted."""

    def parse(value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        whole = whole or (isinstance(value, float) and value.is_integer() and abs(value) < 2**53)
        if not (whole and low <= value <= high):
            raise ValueError(f"expected an integer, {low} to {high}")
        return int(value)

    return parse


def numbers(count: int, largest: float, unit: str) -> Callable[[Any], tuple[float, ...]]:
    """Make the parser of a list of `count` finite numbers, none beyond +-`largest`."""

    def parse(value: Any) -> tuple[float, ...]:
        good = isinstance(value, list) and len(value) == count
        if not (good and all(_is_number(each) and abs(each) <= largest for each in value)):
            raise ValueError(
                f"expected a list of {count} finite numbers of at most {largest:,.0f}{unit}"
            )
        return tuple(map(float, value))

    return parse


def _is_number(value: Any) -> bool:
    """Whether it is a number; NaN is refused later, as it fails every comparison."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def quaternion(value: Any) -> tuple[float, float, float, float]:
    """A rotation [w, x, y, z] of unit length; 1 % off is accepted, as in files with few digits."""
    good = isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))
    if not (good and max(map(abs, value)) < 2 and abs(math.hypot(*value) - 1) <= 0.01):
        raise ValueError("expected a rotation as a quaternion [w, x, y, z] of length 1")
    return tuple(map(float, value))
