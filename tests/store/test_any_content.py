"""Readers of files whose content is arbitrary: a value, or one error that names the file."""

import json
import math
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit import store
from kit.commands import read_config
from kit.demo import DemoConfig, plain_config
from kit.store import runs
from kit.store.serialisation import sha256

texts = st.text(max_size=30)
numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.just(10**400)
json_values = st.recursive(
    numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
HEADER = {"step": 1, "groups": [], "numbers": {}, "meta": {}}
headers = st.fixed_dictionaries({}, optional={name: json_values for name in HEADER})
contents = (
    st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.lists(json_values, max_size=4).map(lambda rows: b"\n".join(map(to_bytes, rows)))
    | headers.map(lambda header: tensors_file(header))
)


def to_bytes(value):
    return json.dumps(value).encode()


def tensors_file(header):
    """A safetensors file without tensors and with this header."""
    text = to_bytes({"__metadata__": {"meta": json.dumps(header)}})
    return len(text).to_bytes(8, "little") + text


def read_cached(path):
    """An entry of a cache: damaged ones are ignored with a warning."""
    cache = store.FeatureCache(path.parent / "cache")
    entry = cache._path("key")
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_bytes(path.read_bytes())
    entry.with_name(entry.name + ".sha256").write_bytes(
        f"{sha256(path.read_bytes())}  {entry.name}\n".encode()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cache.get("key")


READERS = {
    "read_json": store.read_json,
    "read_jsonl": store.read_jsonl,
    "load_tensors": store.load_tensors,
    "load_checkpoint": lambda path: store.load_checkpoint(path.parent),
    "a run's settings": lambda path: read_config(path, DemoConfig),
    "the description of a run": runs._earlier_description,
    "cache": read_cached,
}
PLACES = {"load_checkpoint": store.CHECKPOINT}


@pytest.mark.parametrize("name", READERS)
@given(content=contents)
@example(content=b"[" * 100_000)
@example(content=b'{"a": ' * 50_000)
@example(content=b"9" * 5000)
@example(content=tensors_file(HEADER))
@example(content=tensors_file({**HEADER, "step": True, "numbers": {"a": 1}}))
@example(content=tensors_file({**HEADER, "groups": [True]}))
@example(content=tensors_file({**HEADER, "groups": [{"names": [1]}]}))
def test_any_content_gives_a_value_or_an_error_that_names_the_file(name, content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    path = folder / PLACES.get(name, "any.file")
    path.write_bytes(content)
    if name == "load_checkpoint":
        checksum = f"{sha256(content)}  {path.name}\n"
        path.with_name(f"{path.name}.sha256").write_text(checksum)
    try:
        READERS[name](path)
    except (ValueError, FileNotFoundError) as error:
        assert path.name in str(error) and len(str(error)) < 1000


def places_of(value, path=()):
    """The path of every value in nested objects and lists."""
    yield path
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_of(item, (*path, name))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


SETTINGS = plain_config(DemoConfig())


@given(place=st.sampled_from(list(places_of(SETTINGS))), new=json_values)
@example(place=("distill", "lr"), new=10**400)
@example(place=("distill", "steps"), new=1e300)
@example(place=("student",), new=None)
@example(place=("student", "type"), new=[])
@example(place=("teacher", "image_size"), new=[224, math.nan])
def test_settings_with_any_value_are_read_or_name_what_is_wrong(place, new, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "settings.json"
    path.write_text(json.dumps(replaced(SETTINGS, place, new)))
    try:
        read_config(path, DemoConfig)
    except ValueError as error:
        assert path.name in str(error)
        assert "\n" not in str(error) and len(str(error)) < 1000
