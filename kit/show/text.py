"""Texts of a picture as its renderers need them: names from data are shown as they are.

Every text of a `Picture` passes through one of these functions on its way to plotly or matplotlib,
so a new field of a mark needs no care of its own.
"""

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

# For plotly, "&" begins an entity, "<" a tag, "%{" a value in hover texts, and "$" a formula on
# pages with MathJax. Other "&" and "%" mean themselves.
_SPECIAL = re.compile(r"&(?=#?\w+;)|<|%(?=\{)|\$")
_ESCAPED = {"&": "&amp;", "<": "&lt;", "%": "&#37;", "$": "&#36;"}
_UNDRAWABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f\ud800-\udfff]")  # all but line breaks


def for_plotly(text: str) -> str:
    """Escape what plotly would read as HTML, as a template or as TeX."""
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], text)


def for_matplotlib(text: str) -> str:
    """Replace characters that have no glyph in any font: controls, half of a surrogate pair."""
    return _UNDRAWABLE.sub("\ufffd", text)


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Change every text in a dataclass, in those inside it, and in their tuples and lists."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple | list):
        return type(value)(map_texts(each, change) for each in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    old = {field.name: getattr(value, field.name) for field in fields(value)}
    new = {name: map_texts(each, change) for name, each in old.items()}
    return replace(value, **new)
