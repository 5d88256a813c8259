"""Pickled data frames: read as pandas reads them, and nothing in a hostile file is executed.

The files in pickles/ were written by pandas 1.5.3 (NumPy 1), 2.2.3 and 3.0.0 (NumPy 2) with
`DataFrame.to_pickle(protocol=2, 3, 4, 5)`. "mixed" has the columns x, y, i (float), d (int), name
(text) and ok (bool); "one" has the column class (int).
"""

import gzip
import io
import os
import pickle
import pickletools
import struct
from pathlib import Path

import numpy as np
import pytest
import small_layouts as small
from hypothesis import given
from hypothesis import strategies as st

from kit.data import data_frames
from kit.data.data_frames import read_data_frame

PICKLES = sorted((Path(__file__).parent / "pickles").iterdir())


@pytest.mark.parametrize("file", PICKLES, ids=lambda file: file.stem)
def test_files_of_all_versions_of_pandas_are_read(file):
    table = read_data_frame(file)
    if "one" in file.stem:
        assert list(table) == ["class"] and table["class"].tolist() == list(range(6))
        return
    assert list(table) == ["x", "y", "i", "d", "name", "ok"]
    draw = np.random.default_rng(0)
    for name in "xyi":
        assert np.array_equal(table[name], draw.normal(size=6))
    assert table["d"].tolist() == [0, 1] * 3 and table["name"].tolist() == list("abcdef")
    assert table["ok"].tolist() == [True, False] * 3


def test_a_frame_written_by_hand_is_the_same(tmp_path):
    columns = {
        "x": np.arange(3.0),
        "n": np.array([3, 2, 1]),
        "t": np.array(["a", "b", "c"], object),
    }
    file = tmp_path / "a.pkl.gz"
    file.write_bytes(gzip.compress(small.data_frame(columns)))
    table = read_data_frame(file)
    assert all(np.array_equal(table[name], columns[name]) for name in columns)


def refused(tmp_path, data, match=""):
    file = tmp_path / "hostile.pkl"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=f"hostile.pkl: .*{match}") as error:
        read_data_frame(file)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


class _Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function, *arguments):
        self.made_by = (function, arguments)

    def __reduce__(self):
        return self.made_by


def inside_frame(value, protocol=4):
    """A data frame with a hostile value in a column of objects."""
    hostile = pickle.dumps(value, protocol=2)[2:-1]
    plain = small.data_frame({"x": np.array(["PLACE"], dtype=object)})
    text = b"X\x05\x00\x00\x00PLACE"
    assert text in plain
    return plain.replace(text, hostile)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("frame", [False, True])
def test_functions_are_not_called(tmp_path, monkeypatch, protocol, frame):
    sign = tmp_path / "sign"
    command = _Calls(os.system, f"touch {sign}")
    data = inside_frame(command) if frame else pickle.dumps(command, protocol)
    refused(tmp_path, data, "(system|REDUCE|INST|OBJ).*does not need|needs? the pickle instruct")
    assert not sign.exists()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1 + 1",)),
        (exec, ("x = 1",)),
        (getattr, (np, "load")),
        (__import__, ("os",)),
        (np.load, ("file",)),
        (open, ("file", "w")),
        (pickle.loads, (b"",)),
        (bytearray, (10**12,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_other_functions_are_named_and_refused(tmp_path, function, arguments):
    if function is getattr:
        data = b"\x80\x04cbuiltins\ngetattr\n(cos\nsystem\nX\x01\x00\x00\x00atR."
        refused(tmp_path, data, "builtins.getattr")
        return
    data = pickle.dumps(_Calls(function, *arguments), 4)
    refused(tmp_path, data, "it asks for '.*which a data frame of numbers and text does not need")


OPCODES = {
    "INST": b"(X\x04\x00\x00\x00echoios\nsystem\n.",
    "OBJ": b"(cnumpy\nndarray\nX\x04\x00\x00\x00echoo.",
    "a name inside a name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__class__\x93.",
    "NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
    "EXT1": b"\x82\x01.",
    "PERSID": b"Pid\n.",
    "BINPERSID": b"NQ.",
    "NEXT_BUFFER": b"\x80\x05\x97.",
    "DUP": b"N2.",
    "build of a name": b"\x80\x02cnumpy\nndarray\n}b.",
    "call of a mentioned name": b"\x80\x02cnumpy\nndarray\n(K\x01tR.",
    "new object of a function": b"\x80\x02cbuiltins\nslice\n)\x81.",
    "call without a tuple": b"\x80\x02cbuiltins\nslice\n]R.",
    "call of a number": b"\x80\x02K\x01)R.",
    "a key that is no text": b"\x80\x02}K\x01K\x02s.",
    "append to a number": b"\x80\x02K\x01K\x02a.",
    "nothing": b"",
    "no end": b"\x80\x02N",
    "an empty stack": b"\x80\x020.",
    "an unknown memo": b"\x80\x02h\x07.",
    "a mark as value": b"\x80\x02(.",
    "a number": b"\x80\x02K\x01.",
    "a long name": b"\x80\x02c" + b"a" * 5000 + b"\n" + b"b" * 5000 + b"\n.",
    "codec": b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x04\x00\x00\x00zlib\x86R.",
}


@pytest.mark.parametrize("name", OPCODES)
def test_other_instructions_are_refused(tmp_path, name):
    refused(tmp_path, OPCODES[name], f"pickle instruction {name}$" if name.isupper() else "")


def array(shape, kind, payload):
    """The instructions that make an array with this shape, type and content."""
    text = pickle.dumps(kind, 2)[2:-1]
    size = pickle.dumps(shape, 2)[2:-1]
    start = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01" + size
    )
    dtype = (
        b"cnumpy\ndtype\n"
        + text
        + b"K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    return b"\x80\x03" + start + dtype + b"\x89" + payload + b"tb."


@pytest.mark.parametrize(
    ("shape", "kind", "payload", "message"),
    [
        ((10**12,), "f8", b"C\x08" + bytes(8), r"shape \(1000000000000,\), but 1 values"),
        ((-1,), "f8", b"C\x08" + bytes(8), "shape"),
        ((1,), "f8", b"C\x07" + bytes(7), "damaged"),
        ((1,), "O8", b"C\x08" + bytes(8), "objects"),
        ((1,), "O8", b"](]e", "objects other than numbers and text"),
        ((1,), "V8", b"C\x08" + bytes(8), "another type of column"),
        ((1,), "f8", b"]N", "damaged|without its bytes"),
        ((1,), "(100000000,)f8", b"C\x08" + bytes(8), "another type of column"),
    ],
)
def test_arrays_are_as_large_as_their_bytes(tmp_path, shape, kind, payload, message):
    refused(tmp_path, array(shape, kind, payload), message)


def test_huge_claims_do_not_take_memory(tmp_path):
    for length in (2**20, 2**40, 2**62):
        refused(tmp_path, b"\x80\x04\x8e" + struct.pack("<Q", length) + b"abc.", "damaged")
        refused(tmp_path, b"\x80\x05\x96" + struct.pack("<Q", length) + b"abc.", "damaged")
    refused(tmp_path, b"\x80\x02Nr" + struct.pack("<I", 2**32 - 1) + b".", "damaged|something else")
    refused(tmp_path, b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1.", "damaged")
    refused(tmp_path, b"(" * 30_000 + b"t" * 30_000 + b".", "something else")
    nested = b"\x80\x02)" + b"\x85" * 30_000 + b"}q\x00h\x00NNs."
    refused(tmp_path, nested)


def test_many_arrays_of_one_list_do_not_take_memory(tmp_path):
    many = b"(" + b"N" * 20_000 + b"lq\x09"
    one = array((20_000,), "O8", b"h\x09")[2:-1]
    refused(tmp_path, b"\x80\x03" + many + one * 200 + b".", "much more memory than the file")


def test_damaged_gzip_files_are_named(tmp_path, monkeypatch):
    packed = gzip.compress(small.data_frame({"x": np.arange(100.0)}))
    refused(tmp_path, packed[: len(packed) // 2], "gzip file is damaged")
    refused(tmp_path, packed[:-6] + b"\x00" * 6, "gzip file is damaged.*CRC|gzip file is damaged")
    refused(tmp_path, packed[:20] + b"\xff" * 20 + packed[40:], "damaged")
    refused(tmp_path, packed[:5], "damaged")
    monkeypatch.setattr(data_frames, "MAX_BYTES", 1 << 20)
    refused(tmp_path, gzip.compress(bytes(2 << 20)), "more than 1 MB unpacked")


FRAME = small.data_frame({"x": np.arange(4.0), "name": np.array(list("abcd"), dtype=object)})


@given(st.lists(st.tuples(st.integers(0, len(FRAME) - 1), st.integers(0, 255)), max_size=4))
def test_changed_bytes_give_a_table_or_an_error_with_the_name(tmp_path_factory, changes):
    data = bytearray(FRAME)
    for place, value in changes:
        data[place] = value
    file = tmp_path_factory.getbasetemp() / "changed.pkl"
    file.write_bytes(data)
    try:
        table = read_data_frame(file)
    except ValueError as error:
        assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
    else:
        assert all(len(values) == 4 for values in table.values())


# Mostly instructions, in any order: of random bytes, the first one usually is none.
PROGRAMS = st.lists(
    st.sampled_from([each.code.encode("latin1") for each in pickletools.opcodes])
    | st.binary(max_size=3),
    max_size=20,
)


@given(st.binary(max_size=300) | PROGRAMS.map(lambda parts: b"".join([*parts, b"."])))
def test_any_bytes_are_refused_with_the_name(tmp_path_factory, data):
    file = tmp_path_factory.getbasetemp() / "any.pkl"
    file.write_bytes(b"\x80\x04" + data)
    with pytest.raises(ValueError, match=f"{file}: "):
        read_data_frame(file)


def test_pandas_need_not_be_installed(tmp_path):
    import sys

    buffer = io.BytesIO(FRAME)
    (tmp_path / "a.pkl").write_bytes(buffer.getvalue())
    before = set(sys.modules)
    read_data_frame(tmp_path / "a.pkl")
    assert not any(name.startswith("pandas") for name in set(sys.modules) - before)
