"""Range checks of settings: numbers are finite and inside their range, names are in their list."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

from kit.store.plain import short


def check_whole(settings: Any, low: int, high: int, *names: str) -> None:
    """Check fields of settings that are whole numbers.

    Args:
        settings: a dataclass.
        low: smallest allowed value.
        high: largest allowed value.
        names: of the fields. In a field that holds a tuple, every entry is checked.

    Raises:
        ValueError: names the field, the value and the range.
    """
    for name in names:
        for value in _values(settings, name):
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise ValueError(
                    f"{name} must be a whole number from {low:,} to {high:,}, got {short(value)}"
                )


def check_number(
    settings: Any,
    low: float | int,
    high: float | int,
    *names: str,
    above: bool = False,
    below: bool = False,
) -> None:
    """Check fields of settings that are numbers; NaN and infinity are outside of every range.

    Args:
        settings: a dataclass.
        low: smallest allowed value.
        high: largest allowed value.
        names: of the fields. In a field that holds a tuple, every entry is checked.
        above: `low` itself is not allowed.
        below: `high` itself is not allowed.

    Raises:
        ValueError: names the field, the value and the range.
    """
    for name in names:
        for value in _values(settings, name):
            number = isinstance(value, numbers.Real) and not isinstance(value, bool)
            inside = number and math.isfinite(value) and low <= value <= high
            if not inside or (above and value == low) or (below and value == high):
                begin = f"above {low:,g}" if above else f"at least {low:,g}"
                end = f"below {high:,g}" if below else f"at most {high:,g}"
                raise ValueError(f"{name} must be a number, {begin} and {end}, got {short(value)}")


def check_choice(settings: Any, **allowed: Iterable) -> None:
    """Check fields of settings that have one of a few values.

    Args:
        settings: a dataclass.
        allowed: the allowed values of each field.

    Raises:
        ValueError: names the field, the value and the allowed ones.
    """
    for name, values in allowed.items():
        value = getattr(settings, name)
        if value not in list(values):
            raise ValueError(f"{name} must be one of {list(values)}, got {value!r}")


def _values(settings: Any, name: str) -> tuple:
    value = getattr(settings, name)
    return tuple(value) if isinstance(value, tuple | list) else (value,)
