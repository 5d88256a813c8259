"""Unique names: the second of the same name becomes "NAME (2)"."""

from collections.abc import Iterable


def numbered(names: Iterable[str]) -> list[str]:
    """The names in their order, each made unique by a number where it is not the first."""
    found: dict[str, None] = {}
    for name in names:
        unique, number = name, 1
        while unique in found:
            number += 1
            unique = f"{name} ({number})"
        found[unique] = None
    return list(found)
