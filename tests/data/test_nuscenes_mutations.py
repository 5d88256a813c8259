"""Every field of every table is broken in every way: the data set is right, or the field is named.

A data set is right if it equals the unchanged one, apart from what the changed field itself means.
"""

import copy
import json
import math
import warnings

import numpy as np
import pytest
import small_root
from hypothesis import given, settings
from hypothesis import strategies as st
from small_root import VERSION, tables, write_root, write_tables

from kit.data.nuscenes.folder import NuScenesFolder

# What a valid other value of a field may change; all other fields may change nothing.
MEANS = {
    ("category", "name"): {"boxes"},
    ("log", "vehicle"): {"sensor"},
    ("sensor", "channel"): {"cameras"},
    ("calibrated_sensor", "translation"): {"cameras", "pose", "boxes"},
    ("calibrated_sensor", "rotation"): {"cameras", "pose", "boxes"},
    ("calibrated_sensor", "camera_intrinsic"): {"cameras"},
    ("scene", "name"): {"scene"},
    ("sample_data", "timestamp"): {"time"},
    ("sample_data", "ego_pose_token"): {"cameras", "pose", "boxes"},
    ("sample_data", "token"): {"labels"},
    ("sample_data", "filename"): {"points", "cameras", "sensor"},
    ("ego_pose", "translation"): {"cameras", "pose", "boxes"},
    ("lidarseg", "filename"): {"labels"},
    ("lidarseg", "sample_data_token"): {"labels"},
    ("instance", "category_token"): {"boxes"},
    ("sample_annotation", "sample_token"): {"boxes"},
    ("sample_annotation", "instance_token"): {"boxes"},
}
OPTIONAL = {("sample_data", "height"), ("sample_data", "width")}
USED = {
    "category": ("token", "name", "index"),
    "log": ("token", "vehicle"),
    "sensor": ("token", "channel", "modality"),
    "calibrated_sensor": (
        "token", "sensor_token", "translation", "rotation", "camera_intrinsic",
    ),
    "scene": ("token", "name", "log_token", "first_sample_token"),
    "sample": ("token", "scene_token", "timestamp", "next"),
    "sample_data": (
        "token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "timestamp",
        "is_key_frame", "filename", "height", "width",
    ),
    "ego_pose": ("token", "translation", "rotation"),
    "lidarseg": ("sample_data_token", "filename"),
    "instance": ("token", "category_token"),
    "sample_annotation": (
        "token", "sample_token", "instance_token", "translation", "size", "rotation",
    ),
}  # fmt: skip
DELETE, OTHER = object(), object()  # no field; the value of the same field in another record
KINDS = {
    "no field": DELETE,
    "null": None,
    "text": "x",
    "a number": 7,
    "a list": [1, 2],
    "NaN": float("nan"),
    "1e300": 1e300,
    "an integer of 400 digits": 10**400,
    "-1": -1,
    "true": True,
    "an object": {"a": 1},
    "empty text": "",
    "an empty list": [],
    "text of two lines": "a\nb",
    "half of a surrogate pair": "\ud800",
    "long text": "x" * 5000,
    "a path outside": "../../outside",
    "an absolute path": "/etc/passwd",
    "another record's": OTHER,
}
# Values that no field accepts, apart from optional ones.
NEVER = ("NaN", "1e300", "an integer of 400 digits", "an object", "text of two lines", "long text",
         "half of a surrogate pair")  # fmt: skip


def summary(root) -> list[dict]:
    """Everything that a keyframe says, as plain values."""
    dataset = NuScenesFolder(root)
    keyframes = {}
    for index in range(len(dataset)):
        keyframe = dataset[index]
        keyframes[keyframe.token] = {
            "points": keyframe.points.tolist() + keyframe.intensity.tolist(),
            "labels": None if keyframe.labels is None else keyframe.labels.tolist(),
            "cameras": {
                name: (
                    camera.T_cam_lidar.tolist(),
                    camera.K.tolist(),
                    camera.image_size,
                    camera.pixels().tobytes(),
                )
                for name, camera in keyframe.cameras.items()
            },
            "boxes": [
                (box.category, box.track, box.size, box.T_lidar_box.tolist())
                for box in keyframe.boxes
            ],
            "pose": keyframe.T_global_lidar.tolist(),
            "time": keyframe.timestamp,
            "scene": keyframe.scene,
            "sensor": keyframe.sensor.name,
        }
    return keyframes


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("mutations") / "root")


@pytest.fixture(scope="module")
def unchanged(root):
    write_tables(root, tables())
    return summary(root)


def mutate(found, table, row, field, kind, number=0):
    """Change one field; returns the changed tables, or None if nothing changes."""
    found = copy.deepcopy(found)
    record, value = found[table][row], KINDS[kind]
    if value is DELETE:
        if field not in record:
            return None
        del record[field]
        return found
    if value is OTHER:
        others = [r[field] for r in found[table] if r[field] != record[field]]
        if not others:
            return None
        value = others[number % len(others)]
    record[field] = value
    return found


def check(root, unchanged, table, row, field, kind, number=0):
    """One attempt; returns "right", "named", or "same" if nothing changed."""
    found = mutate(tables(), table, row, field, kind, number)
    if found is None:
        return "same"
    write_tables(root, found)
    where = f"{table} {row} {field} {kind}"
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            now = summary(root)
    except (ValueError, FileNotFoundError) as error:
        text = str(error)
        assert "\n" not in text and str(root) in text, where
        assert f"/{VERSION}" in text or "samples/" in text, f"{where}: {text}"
        if KINDS[kind] is DELETE and field != "camera_intrinsic":
            assert f"{table}.json: record " in text and f"'{field}'" in text, where
        return "named"
    of_lidar = (table, row, field) == ("calibrated_sensor", 0, "camera_intrinsic")
    assert KINDS[kind] is not DELETE or (table, field) in OPTIONAL or of_lidar, where
    assert kind not in NEVER or caught, f"{where} was accepted"
    allowed = MEANS.get((table, field), set())
    lost = unchanged.keys() - now.keys()
    assert not lost or (table, field) in (("sample_data", "filename"), ("sample_data", "token")), (
        where
    )
    for token, keyframe in now.items():
        before = unchanged[token if token in unchanged else lost.pop()]
        for part, value in keyframe.items():
            assert part in allowed or value == before[part], f"{where}: {part} differs"
    if field == "sample_data_token" or (table, field) == ("sample_annotation", "sample_token"):
        assert caught or KINDS[kind] is OTHER, where  # left out with a warning
    return "right"


CASES = [
    (table, row, field, kind)
    for table, fields in USED.items()
    for field in fields
    for row in ((0, 1) if table in ("sensor", "calibrated_sensor", "sample_data") else (0,))
    for kind in KINDS
]


def test_single_mutations_give_the_right_data_set_or_name_the_field(root, unchanged):
    fuzz = settings.get_current_profile_name() == "fuzz"
    drawn = CASES if fuzz else CASES[::8]  # two or three kinds for each field, and every kind
    assert fuzz or {case[3] for case in drawn} == set(KINDS)
    results = [check(root, unchanged, *case) for case in drawn]
    assert results.count("named") > len(drawn) / 2 and "right" in results


LISTS = {
    ("calibrated_sensor", "translation"): "of 3 finite numbers",
    ("calibrated_sensor", "rotation"): "quaternion",
    ("calibrated_sensor", "camera_intrinsic"): "3x3 matrix",
    ("ego_pose", "translation"): "of 3 finite numbers",
    ("ego_pose", "rotation"): "quaternion",
    ("sample_annotation", "translation"): "of 3 finite numbers",
    ("sample_annotation", "size"): "of 3 finite numbers",
    ("sample_annotation", "rotation"): "quaternion",
}


@pytest.mark.parametrize(("table", "field"), LISTS)
def test_an_entry_of_a_list_that_is_no_number_in_its_range_is_named(root, table, field):
    for number, entry in enumerate((None, True, "1", [1], {}, math.nan, math.inf, 1e10, 10**400)):
        found = copy.deepcopy(tables())
        row = next(i for i, each in enumerate(found[table]) if each[field])  # lidars have no K
        values = found[table][row][field]
        values = values[number % 3] if isinstance(values[0], list) else values
        values[number % 3] = entry
        write_tables(root, found)
        words = rf"{table}\.json: record {row} .*{LISTS[table, field]}"
        with pytest.raises(ValueError, match=words):
            summary(root)


def test_every_used_field_is_named_if_it_is_missing_or_of_the_wrong_type(root, unchanged):
    for table, fields in USED.items():
        row = 1 if table == "calibrated_sensor" else 0
        for number, field in enumerate(fields):
            if (table, field) in OPTIONAL:
                continue
            kind = ("no field", "an object")[number % 2]
            assert check(root, unchanged, table, row, field, kind) == "named"


@given(
    case=st.sampled_from(CASES),
    row=st.integers(0, 31),
    number=st.integers(0, 5),
)
def test_mutations_of_any_record(root, unchanged, case, row, number):
    table, _, field, kind = case
    check(root, unchanged, table, row % len(tables()[table]), field, kind, number)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(case=st.sampled_from(CASES), value=json_values)
def test_any_json_value_in_a_field(root, unchanged, case, value):
    table, row, field, _ = case
    found = tables()
    found[table][row][field] = value
    write_tables(root, found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            summary(root)
    except (ValueError, FileNotFoundError) as error:
        assert str(root) in str(error) and "\n" not in str(error)


@given(table=st.sampled_from(sorted(USED)), value=json_values)
def test_any_json_value_as_a_table_or_a_record(root, unchanged, table, value):
    for content in (value, [value], [*tables()[table], value]):
        write_tables(root, tables() | {table: content})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                summary(root)
        except (ValueError, FileNotFoundError) as error:
            assert str(root) in str(error) and "\n" not in str(error)


@given(table=st.sampled_from(sorted(USED)), place=st.floats(0, 1, exclude_max=True), byte=st.binary(
    min_size=1, max_size=3))  # fmt: skip
def test_any_bytes_in_a_table(root, unchanged, table, place, byte):
    text = bytearray(json.dumps(tables()[table]).encode())
    start = int(place * len(text))
    text[start : start + len(byte)] = byte
    write_tables(root, tables())
    (root / VERSION / f"{table}.json").write_bytes(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            summary(root)
    except (ValueError, FileNotFoundError) as error:
        assert str(root) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1e999]", '[{"token": 1', "\xff", "[9" + "9" * 5000]
)
def test_text_that_breaks_json_readers_is_named(root, unchanged, text):
    write_tables(root, tables())
    (root / VERSION / "sensor.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        ValueError, match="sensor.json: (not valid JSON|expected a list of records)"
    ):
        NuScenesFolder(root)


def test_the_helper_writes_what_the_reader_reads(root, unchanged):
    token = "data-LIDAR_TOP-0-1"
    rows = small_root.scan(3).astype(np.float32)
    assert unchanged[token]["points"] == rows[:, :3].tolist() + rows[:, 3].tolist()
    assert set(unchanged[token]["cameras"]) == {"CAM_FRONT", "CAM_LEFT"}
    assert unchanged[token]["labels"][:2] == [3, 10] and len(unchanged[token]["boxes"]) == 1
