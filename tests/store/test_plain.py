"""Settings from JSON: there and back, and errors that name the place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from kit.store import from_plain, to_json, to_plain


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int] = (2, 3)
    names: tuple[str, ...] = ("a", "b")
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    steps: int
    inner: Inner = Inner()
    limit: float | None = None
    layer: int | str | None = None
    folder: Path = Path("runs")
    kind: Literal["l2", "cosine"] = "l2"
    on: Annotated[bool, "help"] = False
    pairs: tuple[Inner, ...] = field(default=())


FULL = Outer(
    steps=7,
    inner=Inner(size=(8, 9), names=(), rate=1.0),
    limit=0.25,
    layer="layer 6",
    folder=Path("/tmp/x"),
    kind="cosine",
    on=True,
    pairs=(Inner(), Inner(rate=2.0)),
)


@pytest.mark.parametrize("settings", [FULL, Outer(3), Outer(3, layer=6)])
def test_settings_come_back_from_json_as_they_were(settings):
    back = from_plain(Outer, json.loads(to_json(settings)))
    assert back == settings
    assert type(back.inner.size) is tuple and isinstance(back.folder, Path)


def test_names_that_are_left_out_get_their_default():
    assert from_plain(Outer, {"steps": 3, "inner": {"rate": 2}}) == Outer(3, Inner(rate=2.0))
    assert type(from_plain(Inner, {"rate": 2}).rate) is float


def test_an_unknown_name_suggests_the_most_similar_one():
    with pytest.raises(ValueError, match=r"settings: unknown setting 'step'; did you mean steps\?"):
        from_plain(Outer, {"step": 3})
    with pytest.raises(ValueError, match=r"run\.json\.inner: unknown setting 'rat'; .* rate\?"):
        from_plain(Outer, {"steps": 3, "inner": {"rat": 1}}, "run.json")
    with pytest.raises(ValueError, match="unknown setting 'xyz'; there are size, names, rate"):
        from_plain(Inner, {"xyz": 1})


def test_a_missing_name_without_default_is_named():
    with pytest.raises(ValueError, match="settings: steps must be given"):
        from_plain(Outer, {"on": True})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": "3"}, "settings.steps: expected int, got '3'"),
        ({"steps": True}, "settings.steps: expected int, got True"),
        ({"steps": 1.5}, "settings.steps: expected int, got 1.5"),
        ({"steps": None}, "settings.steps: expected int, got None"),
        ({"on": 1}, "settings.on: expected bool, got 1"),
        ({"folder": 1}, "settings.folder: expected Path, got 1"),
        ({"limit": "a"}, "settings.limit: expected float, got 'a'"),
        (
            {"layer": 1.5},
            "settings.layer: expected int, got 1.5; or settings.layer: expected str, got 1.5",
        ),
        ({"kind": "l1"}, "settings.kind: expected one of ['l2', 'cosine'], got 'l1'"),
        ({"inner": 3}, "settings.inner: expected names and values, got int"),
        ({"inner": {"rate": "1"}}, "settings.inner.rate: expected float, got '1'"),
        ({"inner": {"size": 3}}, "settings.inner.size: expected a list, got 3"),
        ({"inner": {"size": [1]}}, "settings.inner.size: expected 2 values, got 1"),
        ({"inner": {"names": ["a", 2]}}, "settings.inner.names[1]: expected str, got 2"),
        ({"pairs": [{}, {"rate": None}]}, "settings.pairs[1].rate: expected float, got None"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(values, message):
    with pytest.raises(ValueError) as error:
        from_plain(Outer, {"steps": 3} | values)
    assert str(error.value) == message


def test_none_and_each_type_of_a_union_are_taken():
    for layer in (None, 3, "head"):
        assert from_plain(Outer, {"steps": 3, "layer": layer}).layer == layer
    assert from_plain(Outer, {"steps": 3, "limit": None}).limit is None
    assert from_plain(Outer, {"steps": 3, "limit": 2}).limit == 2.0


def test_a_reader_takes_the_values_of_its_type():
    def read_inner(value, where):
        assert where == "settings.inner" and isinstance(value, Mapping)
        return Inner(rate=value["twice"] / 2)

    values = {"steps": 3, "inner": {"twice": 3}}
    assert from_plain(Outer, values, readers={Inner: read_inner}).inner == Inner(rate=1.5)


def test_checks_of_the_dataclass_itself_are_made():
    @dataclass(frozen=True)
    class Positive:
        width: int = 1

        def __post_init__(self):
            if self.width < 1:
                raise ValueError("width must be at least 1")

    with pytest.raises(ValueError, match="at least 1"):
        from_plain(Positive, {"width": 0})
    assert to_plain(from_plain(Positive, {})) == {"width": 1}
