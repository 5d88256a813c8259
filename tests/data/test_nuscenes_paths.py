"""Files are below the root, or refused with the record; links, versions and lidars are chosen."""

import os
import re
import shutil

import pytest
import small_root
from hypothesis import given
from hypothesis import strategies as st
from small_root import VERSION, tables, write_root, write_tables

from kit.data import open_dataset, split
from kit.data.untrusted import path_below


@pytest.fixture
def root(tmp_path):
    return write_root(tmp_path / "root")


def rename(root, change, table="sample_data"):
    found = tables()
    for row in found[table]:
        row["filename"] = change(row["filename"])
    write_tables(root, found)
    return root


OUTSIDE = {
    "parent": lambda name: "../outside/" + name,
    "deep parent": lambda name: "samples/../../outside/" + name,
    "absolute": lambda name: "/etc/" + name,
    "the root itself": lambda name: "samples/..",
    "backslashes": lambda name: name.replace("/", "\\"),
    "drive": lambda name: "C:\\" + name,
    "300 characters": lambda name: "samples/" + "x" * 300,
}


@pytest.mark.parametrize("kind", OUTSIDE)
@pytest.mark.parametrize("table", ["sample_data", "lidarseg"])
def test_names_outside_of_the_root_are_refused_with_the_record(root, kind, table):
    shutil.copytree(root, root.parent / "outside")  # the files exist there
    rename(root, OUTSIDE[kind], table)
    message = rf'{table}.json: record "data-.*": field .filename.: expected a path below {root}'
    with pytest.raises(ValueError, match=message):
        open_dataset(root)


@pytest.mark.parametrize("text", ["samples/a\0.png", "", "samples/\ud800.png", "a\nb"])
def test_names_that_are_no_text_are_refused_with_the_record(root, text):
    with pytest.raises(ValueError, match="sample_data.json: record 0 .*'filename': expected text"):
        open_dataset(rename(root, lambda name: text))


@pytest.mark.parametrize(
    "change",
    [
        lambda name: "./" + name,
        lambda name: name.replace("/", "//", 1),
        lambda name: "samples/../" + name,
        lambda name: "../root/" + name,
        lambda name: None,
    ],
)
def test_other_spellings_of_a_path_below_the_root_are_read(root, change):
    before = open_dataset(root)[0].cameras["CAM_FRONT"].pixels()
    rename(root, lambda name: change(name) or str(root / name))  # None: absolute
    dataset = open_dataset(root)
    assert dataset.num_missing_images == 0
    assert (dataset[0].cameras["CAM_FRONT"].pixels() == before).all()


def test_links_that_the_user_made_are_followed_out_of_the_root(root):
    # Large data sets lie on several disks. Tables cannot make a link, its owner can.
    elsewhere = root.parent / "disk"
    shutil.move(root / "samples", elsewhere)
    (root / "samples").symlink_to(elsewhere)
    assert open_dataset(root)[0].cameras["CAM_FRONT"].pixels().shape == (*small_root.SIZE, 3)


UP_AND_DOWN = ["..", "a"]  # often leads out of the root, in paths that are else usual
NAMES = [".", "", "b.png", "x" * 300, "\\", "~", "$HOME", "C:", "ü", "%2e%2e", *UP_AND_DOWN]
PARTS = st.sampled_from([UP_AND_DOWN, NAMES]).flatmap(
    lambda names: st.lists(st.sampled_from(names), min_size=1, max_size=8)
)


@given(parts=PARTS, absolute=st.booleans())
def test_a_path_stays_below_the_root_or_is_refused(tmp_path_factory, parts, absolute):
    root = tmp_path_factory.getbasetemp() / "a root"
    try:
        path = path_below(root, "/" * absolute + "/".join(parts))
    except ValueError as error:
        assert "expected a path below" in str(error)
    else:
        whole = os.path.normpath(os.path.join(root, path))
        assert whole.startswith(str(root) + os.sep) and not os.path.isabs(path)


# Versions, lidars and keyframes


def test_a_version_folder_that_is_a_link_is_followed(root):
    shutil.move(root / VERSION, root.parent / "tables")
    (root / VERSION).symlink_to(root.parent / "tables")
    for given_root in (root, root / VERSION):
        dataset = open_dataset(given_root)
        assert dataset.name == f"root {VERSION}" and len(dataset[0].cameras) == 2


def test_a_relative_root_is_read(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert len(open_dataset("root")[0].cameras) == 2
    monkeypatch.chdir(root / VERSION)
    assert len(open_dataset(".")[0].cameras) == 2


def other_lidar(root):
    found = tables()
    found["sensor"][0]["channel"] = "LIDAR_FRONT"
    write_tables(root, found)
    return root


def test_the_lidar_can_be_chosen(root):
    before = open_dataset(root)[1]
    dataset = open_dataset(other_lidar(root), lidar="LIDAR_FRONT")
    assert dataset[1].points.equal(before.points) and len(dataset) == 2
    assert dataset.sensor.name.startswith("robot1 LIDAR_FRONT")
    with pytest.raises(ValueError, match=r"with LIDAR_TOP; the sensors are .*lidar='LIDAR_FRONT'"):
        open_dataset(root)


def test_the_error_says_what_the_tables_lack(root):
    found = tables()
    for row in found["sample_data"]:
        row["is_key_frame"] = False
    write_tables(root, found)
    with pytest.raises(
        ValueError, match="LIDAR_TOP: no record of sample_data.json has is_key_frame"
    ):
        open_dataset(root)
    found = tables()
    found["sample_data"] = [r for r in found["sample_data"] if "LIDAR" not in r["filename"]]
    write_tables(root, found)
    with pytest.raises(ValueError, match="is_key_frame true belongs to LIDAR_TOP"):
        open_dataset(root)


def test_samples_without_a_scan_are_counted(root):
    found = tables()
    del found["sample_data"][0]
    write_tables(root, found)
    with pytest.warns(UserWarning, match="lidarseg.json: 1 records are left out"):
        dataset = open_dataset(root)
    assert len(dataset) == 1 and dataset.num_without_scan == 1
    assert "1 keyframes without LIDAR_TOP in the tables (left out)" in repr(dataset)


def test_two_scans_of_one_keyframe_are_named(root):
    found = tables()
    found["sample_data"].append(found["sample_data"][0] | {"token": "again"})
    write_tables(root, found)
    message = 'sample_data.json: records "data-LIDAR_TOP-0-0" and "again" are both the keyframe'
    with pytest.raises(ValueError, match=message):
        open_dataset(root)


@pytest.mark.parametrize(
    "table", ["category", "log", "sensor", "sample", "sample_data", "ego_pose"]
)
def test_two_records_of_one_token_are_named(root, table):
    found = tables()
    found[table].append(found[table][0])
    write_tables(root, found)
    token = re.escape(found[table][0]["token"])
    with pytest.raises(ValueError, match=f'{table}.json: two records have the token "{token}"'):
        open_dataset(root)


def test_two_scenes_of_one_name_stay_two_scenes(root):
    found = tables(scenes=2)
    for scene in found["scene"]:
        scene["name"] = "drive"
    write_tables(root, found)
    dataset = open_dataset(root)
    assert dataset.scenes == ["drive"] * 2 + ["drive (2)"] * 2
    assert split.split(dataset).held_out == (2, 3)


def test_boxes_of_unknown_samples_are_counted(root):
    found = tables()
    found["sample_annotation"].append(found["sample_annotation"][0] | {"sample_token": "gone"})
    write_tables(root, found)
    with pytest.warns(UserWarning, match='1 boxes are left out.*e.g. "gone"'):
        assert len(open_dataset(root)[0].boxes) == 1


def test_a_pipe_in_place_of_a_table_does_not_block(root):
    (root / VERSION / "log.json").unlink()
    os.mkfifo(root / VERSION / "log.json")
    with pytest.raises(ValueError, match="log.json: expected a regular file, this is a named pipe"):
        open_dataset(root)
