"""Bags that are damaged behind their headers: one error that names the bag, wherever it is met."""

import sqlite3
import struct

import numpy as np
import pytest
from bags import START, cloud, odometry, tf, transform, write_bag
from ruamel.yaml import YAML

import kit
from kit.__main__ import main


def small_bag(path, mcap=False, extra=()):
    """Three scans of 9 points, 1 ns apart."""
    columns = {name: ("f4", np.arange(9.0) + 1) for name in "xyz"}
    scans = [("/points", START + n, cloud(columns, START + n)) for n in range(3)]
    return write_bag(path, [*scans, *extra], mcap)


def set_data(bag, data):
    """Replace the second message of a bag in SQLite."""
    with sqlite3.connect(next(bag.glob("*.db3"))) as database:
        database.execute("update messages set data=? where id=2", (data,))
    database.close()


def records_of_mcap(data):
    """(kind, start of the content) of every record; source: the specification of MCAP."""
    at = 8
    while at + 9 < len(data):
        yield data[at], at + 9
        at += 9 + struct.unpack_from("<Q", data, at + 1)[0]


def assert_named(bag, reason, opens=False):
    """Opening, or reading the second keyframe, raises one ValueError with the bag's path."""
    with pytest.raises(ValueError, match=f"{bag.name}.*cannot be read.*{reason}") as error:
        dataset = kit.open_dataset(bag)
        assert opens and len(dataset) == 3
        _ = dataset[0].points
        _ = dataset[1]
    assert "\n" not in str(error.value)


CUT = b"\0\1\0\0"  # a header of CDR, little-endian


@pytest.mark.parametrize(
    ("data", "reason", "opens"),
    [
        (b"", "", False),
        (b"\0\1", "12 bytes", False),  # struct.error: no time stamp
        ("text", "", False),  # SQLite stores any type in any column
        (7, "", False),
        (CUT + bytes(8), "PointCloud2", True),  # a time stamp and nothing else
        (CUT + bytes(8) + struct.pack("<I", 2**31), "2147483648", True),  # 2 GB of frame_id
    ],
)
def test_a_message_that_is_no_message_is_named(tmp_path, data, reason, opens):
    bag = small_bag(tmp_path / "drive")
    set_data(bag, data)
    assert_named(bag, reason, opens)


def test_a_chunk_with_a_wrong_checksum_is_named(tmp_path):
    bag = small_bag(tmp_path / "drive", mcap=True)
    file = next(bag.glob("*.mcap"))
    data = bytearray(file.read_bytes())
    (chunk,) = (start for kind, start in records_of_mcap(data) if kind == 6)
    data[chunk + 24 : chunk + 28] = b"\1\2\3\4"  # the CRC; 0 stands for none
    file.write_bytes(data)
    assert_named(bag, "checksum")
    assert_named(file, "checksum")  # alone, too


def test_every_byte_of_an_mcap_file_may_be_wrong(tmp_path):
    """The bag is read, or there is one error of a kind that commands print in one line."""
    bag = small_bag(tmp_path / "drive", mcap=True)
    file = next(bag.glob("*.mcap"))
    good = file.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(good), 60):
        data = bytearray(good)
        data[at] ^= 255
        file.write_bytes(data)
        try:
            _ = [keyframe.points for keyframe in kit.open_dataset(file)]
        except (ValueError, OSError) as error:
            assert str(file) in str(error)


def test_a_damaged_page_of_sqlite_is_named(tmp_path):
    bag = small_bag(tmp_path / "drive")
    file = next(bag.glob("*.db3"))
    data = bytearray(file.read_bytes())
    page = next(at for at in range(0, len(data), 4096) if b"lidar\0" in data[at : at + 4096])
    data[page : page + 100] = b"\xff" * 100
    file.write_bytes(data)
    assert_named(bag, "malformed")


@pytest.mark.parametrize("topic", ["/tf", "/odometry"])
def test_a_transform_that_is_none_is_named_with_its_topic(tmp_path, topic):
    pose = np.eye(4)
    pose[0, 3] = np.nan
    wrong = tf(transform("map", "lidar", pose, START))
    if topic == "/odometry":
        wrong = odometry("map", "lidar", [np.nan, 0, 0], START)
    bag = small_bag(tmp_path / "drive", extra=[(topic, START, wrong)])
    assert_named(bag, f"{topic} at {START} ns: .*must be finite")


def test_commands_and_the_doctor_print_one_line(tmp_path, capsys):
    bag = small_bag(tmp_path / "drive")
    set_data(bag, b"\0\1")
    with pytest.raises(SystemExit, match="1"):
        main(["doctor", str(bag)])
    assert "drive: this bag cannot be read" in " ".join(capsys.readouterr().out.split())
    assert main(["distill", "--data", str(bag), "--out", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    bag = small_bag(tmp_path / "later")
    set_data(bag, CUT + bytes(8))
    (finding,) = kit.doctor(bag).problems
    assert finding.subject == "keyframe 1" and "later: this bag cannot be read" in finding.text


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("relative_file_paths", None, "metadata.yaml: relative_file_paths: .*list of file names"),
        ("relative_file_paths", 7, "metadata.yaml: relative_file_paths: .*got 7"),
        ("relative_file_paths", {"a": "b"}, "metadata.yaml: relative_file_paths: .*got"),
        ("relative_file_paths", [None], r"metadata.yaml: relative_file_paths: .*got \[null\]"),
        ("relative_file_paths", ["gone.db3"], "files are missing"),
        ("version", None, "Invalid bag metadata"),
        ("files", None, "cannot be read"),
        ("duration", None, "Invalid bag metadata"),
        ("topics_with_message_count", None, "Invalid bag metadata"),
        ("topics_with_message_count", [7], "Invalid bag metadata"),
        ("compression_mode", None, "Invalid bag metadata"),
        ("storage_identifier", 7, "Storage plugin 7"),
    ],
)
def test_metadata_of_a_wrong_type_is_named(tmp_path, field, value, message):
    bag = small_bag(tmp_path / "drive")
    change_metadata(bag, lambda content: content.update({field: value}))
    with pytest.raises(ValueError, match=f"drive.*{message}"):
        kit.open_dataset(bag)


@pytest.mark.parametrize(
    ("field", "value"), [("name", 7), ("name", None), ("type", 7), ("message_count", "many")]
)
def test_topics_of_a_wrong_type_are_named(tmp_path, field, value):
    bag = small_bag(tmp_path / "drive")

    def change(content):
        (topic,) = content["topics_with_message_count"]
        (topic if field in topic else topic["topic_metadata"])[field] = value

    change_metadata(bag, change)
    with pytest.raises(ValueError, match="drive: this bag cannot be read .a topic with the name"):
        kit.open_dataset(bag)


def change_metadata(bag, change):
    yaml, file = YAML(typ="safe"), bag / "metadata.yaml"
    content = yaml.load(file.read_text())
    change(content["rosbag2_bagfile_information"])
    with file.open("w") as opened:
        yaml.dump(content, opened)
