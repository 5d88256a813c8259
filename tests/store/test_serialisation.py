"""Serialisation: values, tensors and checksum lines, there and back."""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from kit import store
from kit.store import serialisation as formats


def test_json_is_sorted_and_takes_dataclasses_paths_and_tensors(tmp_path):
    @dataclass(frozen=True)
    class Config:
        width: int
        out: Path

    value = {"b": Config(3, Path("runs/demo")), "a": torch.tensor(0.5), "c": [float("nan"), 1e400]}
    store.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    expected = {"a": 0.5, "b": {"out": "runs/demo", "width": 3}, "c": [None, None]}
    assert text == json.dumps(expected, indent=2) + "\n"
    assert store.read_json(tmp_path / "a.json") == expected


def test_tensors_come_back_with_their_types_values_and_meta(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "transposed": base.T,
        "view": base[1:],
        "same view": base[1:],
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "flags": base > 3,
        "scalar": torch.tensor(7),
        "none": torch.zeros(0, 3),
        "expanded": torch.ones(1).expand(5),
        "parameter": nn.Parameter(base),
    }
    meta = {"name": "student", "seed": 3, "loss": float("nan"), "sizes": (1, 2)}
    store.save_tensors(tmp_path / "a.safetensors", tensors, meta)
    loaded, loaded_meta = store.load_tensors(tmp_path / "a.safetensors")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype and torch.equal(loaded[name], tensor.detach())
    assert loaded_meta == {"name": "student", "seed": 3, "loss": None, "sizes": [1, 2]}
    # a second reader of the format agrees
    other = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert torch.equal(other["transposed"], base.T)


def test_equal_input_gives_equal_bytes():
    tensors = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    meta = {"seed": 1, "name": "x", "sizes": [1, 2]}
    turned = dict(reversed(meta.items()))
    packed = {formats.pack_tensors(tensors, m) for m in [meta, turned] * 5}
    assert len(packed) == 1


def test_damaged_headers_without_a_checksum_fail_cleanly_or_load():
    data = formats.pack_tensors({"x": torch.ones(3), "y": torch.ones(2, 2).int()}, {"a": 1})
    places = random.Random(0)
    for _ in range(300):
        bad = bytearray(data)
        bad[places.randrange(len(data) - 28)] = places.randrange(256)
        try:
            formats.unpack_tensors(bytes(bad))
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<html>", "web page"),
        (b"PK\x03\x04" + bytes(99), "torch.save"),
        (bytes(4), "4 bytes"),
    ],
)
def test_files_of_other_formats_are_recognised(data, words):
    with pytest.raises(ValueError, match=words):
        formats.unpack_tensors(data)


def test_json_values_by_hand():
    value = {
        1: np.float32(0.5),
        "flag": np.bool_(True),
        "count": np.int64(3),
        "inf": [1.5, -np.inf],
        "iou": torch.tensor([0.25, float("nan")]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "none": None,
        "text": "über",
    }
    assert formats.to_plain(value) == {
        "1": 0.5,
        "flag": True,
        "count": 3,
        "inf": [1.5, None],
        "iou": [0.25, None],
        "device": "cpu",
        "dtype": "torch.float16",
        "none": None,
        "text": "über",
    }
    assert type(formats.to_plain(np.bool_(True))) is bool


def test_floats_come_back_exactly():
    values = torch.rand(100, dtype=torch.float64).tolist() + [1e-308, 5e-324, 0.1, 1 / 3]
    assert json.loads(formats.to_json(values)) == values


def test_a_value_that_json_cannot_hold_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"config.loss\[1\] is a function"):
        formats.to_plain({"loss": ["l2", len and (lambda: 0)]}, "config")


def test_checksum_lines_there_and_back():
    digests = [hashlib.sha256(text).hexdigest() for text in (b"a", b"b")]
    lines = formats.checksum_lines(digests, "my file.safetensors")
    assert lines.decode() == "".join(f"{d}  my file.safetensors\n" for d in digests)
    assert formats.parse_checksum_lines(lines, "my file.safetensors") == digests
    for bad in (b"", b"\n", lines[:-1], lines.upper(), lines + b"x", lines.replace(b"  ", b" *")):
        with pytest.raises(ValueError, match="another name"):
            formats.parse_checksum_lines(bad, "my file.safetensors")
    with pytest.raises(ValueError, match="another name"):
        formats.parse_checksum_lines(lines, "other.safetensors")
