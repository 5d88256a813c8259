"""Texts for plotly and matplotlib: whatever a name contains, it is shown as it is."""

import html
import re
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kit.show.text import for_matplotlib, for_plotly, map_texts

# plotly.js: what it takes for tags, for values in hover texts and for formulas.
TAG, VALUE, FORMULA = re.compile(r"<[^<>]*>"), re.compile(r"%\{[^}]*\}"), re.compile(r"\$[^$]*\$")
names = st.text(st.one_of(st.sampled_from('<>&;%{}$/"#altbi1'), st.characters()), max_size=30)


@given(names)
def test_plotly_shows_any_text_as_it_is(text):
    escaped = for_plotly(text)
    assert not TAG.search(escaped) and not VALUE.search(escaped) and not FORMULA.search(escaped)
    entities = re.sub(r"&(amp|lt|#37|#36);", lambda found: html.unescape(found[0]), escaped)
    assert entities == text
    assert re.findall(r"&#?\w+;", escaped) == re.findall(r"&(?:amp|lt|#37|#36);", escaped)


def test_usual_names_stay():
    for text in ("car, mIoU 45.9 %", "R&D", "a > b", "100 %", "x (m)", "日本語"):
        assert for_plotly(text) == for_matplotlib(text) == text


def test_known_texts_by_hand():
    assert for_plotly("<b>&lt;</b>") == "&lt;b>&amp;lt;&lt;/b>"
    assert for_plotly("%{x} $y$") == "&#37;{x} &#36;y&#36;"
    assert for_matplotlib("a\0b\ud83d\nc") == "a\ufffdb\ufffd\nc"


@dataclass(frozen=True)
class Inner:
    name: str
    values: np.ndarray


@dataclass(frozen=True)
class Outer:
    title: str
    parts: tuple[Inner, ...]
    hover: tuple[str, ...]
    size: float = 1.0


def test_texts_are_changed_wherever_they_are_and_arrays_are_not_copied():
    values = np.arange(3)
    found = map_texts(Outer("a", (Inner("b", values),), ("c", "d")), str.upper)
    assert (found.title, found.parts[0].name, found.hover) == ("A", "B", ("C", "D"))
    assert found.parts[0].values is values
