"""Errors of broken data sets in the nuScenes schema: each names the file or the record."""

import re

import numpy as np
import pytest
import torch
from roots import VERSION, edit, read, replace_file, sensor_files, write

from kit.data import open_dataset
from kit.data.classes import NUSCENES
from kit.data.nuscenes.folder import NuScenesFolder

# Broken tables


@pytest.mark.parametrize(
    "table",
    [
        "category",
        "log",
        "sensor",
        "calibrated_sensor",
        "scene",
        "sample",
        "sample_data",
        "ego_pose",
    ],
)
def test_missing_and_broken_tables_are_named(nuscenes_copy, table):
    file = nuscenes_copy / VERSION / f"{table}.json"
    whole = file.read_text()
    for text, message in (
        (whole[: len(whole) // 2], "not valid JSON.*download complete"),
        ("", "not valid JSON"),
        ("{}", "(a list of records, got a dict|lacks the field)"),
        ("[1, 2]", "a list of records, one is not"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=f"{re.escape(str(file))}.*{message}"):
            NuScenesFolder(nuscenes_copy)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(file))}.*missing"):
        NuScenesFolder(nuscenes_copy, version=VERSION)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("ego_pose", "ego_pose.json: no record"),
        ("calibrated_sensor", "calibrated_sensor.json: no record"),
        ("sensor", "sensor.json: no record"),
        ("sample", "sample.json: no record"),
        ("scene", "scene.json: no record"),
        ("log", "log.json: no record"),
        ("sample_data", "no keyframe with LIDAR_TOP"),
    ],
)
def test_missing_records_that_others_refer_to_are_named(nuscenes_copy, table, named):
    write(nuscenes_copy, table, [])
    with pytest.raises(ValueError, match=re.escape(named)):
        open_dataset(nuscenes_copy)


def test_a_missing_field_is_named(nuscenes_copy):
    edit(nuscenes_copy, "sample_data", lambda r: r.pop("filename"))
    with pytest.raises(
        ValueError, match="sample_data.json: record 0 .*'filename'.*lacks the field"
    ):
        open_dataset(nuscenes_copy)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("camera_intrinsic", [], "3x3"),
        ("camera_intrinsic", [[1, 0], [0, 1]], "3x3"),
        ("camera_intrinsic", [[0, 0, 800], [0, 1266, 450], [0, 0, 1]], "focal"),
        ("camera_intrinsic", [[1266, 0, 0], [0, 1266, 0], [800, 450, 1]], "transposed"),
        ("rotation", [0, 0, 0, 0], "field 'rotation'.*quaternion"),
        ("rotation", [1, 0, 0], "field 'rotation'.*quaternion"),
        ("translation", [0, None, 0], "field 'translation'.*3 finite numbers"),
    ],
)
def test_invalid_calibrations_are_named_by_token(nuscenes_copy, field, value, message):
    sensors = read(nuscenes_copy, "sensor")
    (camera,) = (r["token"] for r in sensors if r["channel"] == "CAM_BACK")
    (broken,) = (r for r in read(nuscenes_copy, "calibrated_sensor") if r["sensor_token"] == camera)
    edit(
        nuscenes_copy,
        "calibrated_sensor",
        lambda r: r.update({field: value}),
        only=lambda r: r["token"] == broken["token"],
    )
    named = f"""calibrated_sensor.json: record .*"{broken["token"]}".*{message}"""
    with pytest.raises(ValueError, match=named):
        open_dataset(nuscenes_copy)


def test_invalid_poses_are_named(nuscenes_copy):
    edit(nuscenes_copy, "ego_pose", lambda r: r.update(translation=[0, float("nan"), 0]))
    with pytest.raises(ValueError, match="ego_pose.json: record 0 .*'translation'.*finite"):
        open_dataset(nuscenes_copy)[0]


# Broken files


def test_truncated_scans_name_the_file_and_the_expected_size(nuscenes_copy):
    (file,) = sensor_files(nuscenes_copy, "LIDAR_TOP")
    whole = file.read_bytes()
    for data in (whole[:-3], b""):
        replace_file(file, data)
        with pytest.raises(ValueError, match=f"{re.escape(str(file))}.*float32.*{len(data)} bytes"):
            open_dataset(nuscenes_copy)[0]


def test_invalid_rows_are_dropped_with_their_labels_and_counted(pandaset_copy):
    before = open_dataset(pandaset_copy)[0]
    file = sensor_files(pandaset_copy, "LIDAR_TOP")[0]
    rows = np.fromfile(file, np.float32).reshape(-1, 5)
    rows[[0, 7, 500], [0, 3, 2]] = np.nan, np.inf, -np.inf
    rows[9, 4] = np.nan  # the ring, which is not used
    replace_file(file, rows.tobytes())
    frame = open_dataset(pandaset_copy)[0]
    kept = torch.ones(len(rows), dtype=torch.bool)
    kept[[0, 7, 500]] = False
    assert torch.equal(frame.row_in_file, kept.nonzero()[:, 0])
    assert (frame.num_rows_in_file, frame.num_dropped) == (len(rows), 3)
    assert torch.equal(frame.points, before.points[kept])
    assert torch.equal(frame.labels, before.labels[kept])
    replace_file(file, np.full((4, 5), np.nan, np.float32).tobytes())
    with pytest.raises(ValueError, match=f"{re.escape(str(file))}: none of its 4 rows"):
        open_dataset(pandaset_copy)[0]


def test_labels_of_the_wrong_length_name_the_file(pandaset_copy):
    file = next(
        (pandaset_copy / "lidarseg" / VERSION).glob(f"{open_dataset(pandaset_copy).tokens[0]}*")
    )
    replace_file(file, file.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{re.escape(str(file))}: 1999 labels.*2000 points"):
        open_dataset(pandaset_copy)[0]


def test_truncated_images_name_the_file_when_requested(nuscenes_copy):
    (file,) = sensor_files(nuscenes_copy, "CAM_FRONT")
    replace_file(file, file.read_bytes()[:50_000])
    frame = open_dataset(nuscenes_copy)[0]
    with pytest.raises(ValueError, match=f"{re.escape(str(file))}.*download complete"):
        _ = frame.cameras["CAM_FRONT"].image


def test_images_whose_size_differs_from_the_calibration_raise(nuscenes_copy):
    edit(nuscenes_copy, "sample_data", lambda r: r.update(height=850, width=1500))
    frame = open_dataset(nuscenes_copy)[0]
    with pytest.raises(ValueError, match=r"CAM_FRONT.*900x1600.*850x1500"):
        _ = frame.cameras["CAM_FRONT"].image


def test_image_sizes_missing_in_the_tables_are_read_from_the_image(nuscenes_copy):
    edit(nuscenes_copy, "sample_data", lambda r: r.update(height=0, width=0))
    assert open_dataset(nuscenes_copy)[0].cameras["CAM_BACK"].image_size == (900, 1600)
    edit(nuscenes_copy, "sample_data", lambda r: (r.pop("height"), r.pop("width")))
    assert open_dataset(nuscenes_copy)[0].cameras["CAM_BACK"].image_size == (900, 1600)
    (file,) = sensor_files(nuscenes_copy, "CAM_BACK")
    replace_file(file, b"not an image")
    with pytest.raises(ValueError, match=re.escape(str(file))):
        open_dataset(nuscenes_copy)[0]


# Label ids by category name


def test_label_ids_follow_the_category_table_of_the_root(pandaset_copy):
    before = open_dataset(pandaset_copy)[0].labels
    order = np.random.default_rng(0).permutation(64)[:32]  # with gaps
    edit(pandaset_copy, "category", lambda r: r.update(index=int(order[r["index"]])))
    token = open_dataset(pandaset_copy).tokens[0]
    (file,) = (pandaset_copy / "lidarseg" / VERSION).glob(f"{token}*")
    raw = np.fromfile(file, np.uint8)
    replace_file(file, order[raw].astype(np.uint8).tobytes())
    assert torch.equal(open_dataset(pandaset_copy)[0].labels, before)
    gap = min(set(range(64)) - set(order.tolist()))
    replace_file(file, np.full(len(raw), gap, np.uint8).tobytes())
    with pytest.raises(ValueError, match=rf"{file.name}: label ids \[{gap}\].*the 32 ids"):
        open_dataset(pandaset_copy)[0]


def test_categories_without_a_known_class_are_named(pandaset_copy):
    edit(
        pandaset_copy,
        "category",
        lambda r: r.update(name="vehicle.tram"),
        only=lambda r: r["name"] == "vehicle.truck",
    )
    with pytest.raises(ValueError, match="category.json: category 'vehicle.tram'.*32 of nuScenes"):
        open_dataset(pandaset_copy)
    (pandaset_copy / VERSION / "lidarseg.json").unlink()
    assert open_dataset(pandaset_copy).classes == NUSCENES, "names matter only where labels are"


def test_category_indices_must_exist_and_differ(pandaset_copy):
    edit(pandaset_copy, "category", lambda r: r.update(index=3))
    with pytest.raises(ValueError, match="category.json.*index 3: each needs its own"):
        open_dataset(pandaset_copy)
    edit(pandaset_copy, "category", lambda r: r.pop("index"))
    with pytest.raises(ValueError, match="category.json.*'index'.*lidarseg archive"):
        open_dataset(pandaset_copy)


def test_an_empty_label_table_means_no_labels(pandaset_copy):
    write(pandaset_copy, "lidarseg", [])  # as in v1.0-test
    dataset = open_dataset(pandaset_copy)
    assert not dataset.has_labels and "labelled   0" in repr(dataset)
