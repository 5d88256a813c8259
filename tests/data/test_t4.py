"""T4, the format of TIER IV: generated roots, because no sample is at hand."""

import json

import numpy as np
import pytest
import small_root

import kit
from kit.lens import BrownConrady

NAMES = {"vehicle.car": "car", "human.pedestrian.adult": "pedestrian"}


def t4_root(root, own_names=True, distortion=(), lidarseg=True):
    """A root in the nuScenes schema, with the names of T4."""
    small_root.write_root(root)
    for folder in ("annotation", "data"):
        (root / {"annotation": small_root.VERSION, "data": "samples"}[folder]).rename(root / folder)
    (root / "data" / "LIDAR_TOP").rename(root / "data" / "LIDAR_CONCAT")
    for file in (root / "annotation").glob("*.json"):
        text = file.read_text().replace("samples/LIDAR_TOP", "data/LIDAR_CONCAT")
        text = text.replace('"samples/', '"data/').replace("LIDAR_TOP", "LIDAR_CONCAT")
        rows = json.loads(text)
        for row in rows:
            if "filename" in row and "LIDAR" in row["filename"] and "lidarseg" not in str(file):
                row["filename"] = row["filename"].replace("LIDAR_CONCAT-", "LIDAR_TOP-")
            if own_names and file.stem == "category":
                row["name"] = NAMES.get(row["name"], f"other.{row['index']}")
            if file.stem == "calibrated_sensor":
                row["camera_distortion"] = list(distortion) if row["camera_intrinsic"] else []
        file.write_text(json.dumps(rows))
    if lidarseg:
        for file in (root / "lidarseg" / small_root.VERSION).iterdir():
            file.rename(file.with_name(file.name.replace("LIDAR_TOP", "LIDAR_CONCAT")))
    else:
        (root / "annotation" / "lidarseg.json").unlink()
    return root


def test_a_t4_root_is_read(tmp_path):
    data = kit.open_dataset(t4_root(tmp_path / "a" / "drive"))
    assert data.lidar == "LIDAR_CONCAT" and data.name == "drive T4" and len(data) == 2
    keyframe = data[0]
    np.testing.assert_allclose(keyframe.points, small_root.scan(0)[:, :3], atol=1e-5)
    uv, visible = small_root.true_pixels(small_root.scan(0))
    pairs = kit.find_pairs(keyframe.points, keyframe.cameras).of_camera("CAM_FRONT")
    assert pairs.point.tolist() == np.flatnonzero(visible).tolist()
    np.testing.assert_allclose(pairs.uv, uv[visible], atol=1e-3)


def test_own_categories_become_own_classes(tmp_path):
    data = kit.open_dataset(t4_root(tmp_path))
    assert "car" in data.classes.names and "vehicle.car" not in data.classes.names
    keyframe = data[0]
    names = {data.classes.names[label] for label in keyframe.labels.unique()}
    assert names == {"car", "other.24"}
    assert [data.classes.names[box.label] for box in keyframe.boxes] == ["car"]


def test_boxes_have_own_classes_without_labels_of_points(tmp_path):
    data = kit.open_dataset(t4_root(tmp_path, lidarseg=False))
    assert not data.has_labels
    assert [data.classes.names[box.label] for box in data[0].boxes] == ["car"]


def test_categories_of_nuscenes_keep_the_classes_of_nuscenes(tmp_path):
    data = kit.open_dataset(t4_root(tmp_path, own_names=False))
    assert data.classes.names == kit.NUSCENES.names


def test_distortion_is_a_lens(tmp_path):
    numbers = (0.1, -0.05, 0.001, 0.002, 0.01)
    data = kit.open_dataset(t4_root(tmp_path, distortion=numbers))
    assert data[0].cameras["CAM_FRONT"].lens == BrownConrady(*numbers)


def test_the_latest_revision_is_read(tmp_path):
    for number in (2, 10):
        t4_root(tmp_path / "id" / str(number))
    data = kit.open_dataset(tmp_path / "id")
    assert data.root == tmp_path / "id" / "10" and data.name == "id revision 10"
    assert len(kit.open_dataset(tmp_path / "id" / "2")) == 2
    assert len(kit.open_dataset(tmp_path / "id" / "2" / "annotation")) == 2


def test_two_categories_with_one_index_are_named(tmp_path):
    root = t4_root(tmp_path)
    file = root / "annotation" / "category.json"
    rows = json.loads(file.read_text())
    rows[0]["index"] = 1
    file.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match="category.json: two categories have the same index"):
        kit.open_dataset(root)
