"""Annotated boxes compared with the devkit's, and errors of broken annotation tables."""

import json

import numpy as np
import pytest
import torch
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.geometry_utils import points_in_box
from roots import VERSION

from kit import open_dataset
from kit.data.classes import NUSCENES
from kit.data.nuscenes import boxes as nuscenes_boxes
from kit.data.nuscenes.schema import SampleAnnotation


@pytest.mark.parametrize("root", ["nuscenes", "pandaset"])
def test_boxes_contain_the_same_points_as_the_devkit(shared_data, root):
    dataset = open_dataset(shared_data / root)
    keyframe, theirs = dataset[0], NuScenes(VERSION, str(shared_data / root), verbose=False)
    _, boxes, _ = theirs.get_sample_data(keyframe.token)  # in the lidar frame
    assert len(keyframe.boxes) == len(boxes) > 30
    points = keyframe.points[::7]
    for ours, other in zip(keyframe.boxes, boxes, strict=True):
        inside = points_in_box(other, points.double().numpy().T)
        assert (ours.contains(points).numpy() == inside).mean() > 0.9999
        assert ours.category == other.name
        assert ours.track == theirs.get("sample_annotation", other.token)["instance_token"]
        assert ours.size == pytest.approx(tuple(other.wlh[[1, 0, 2]]))


def test_points_in_boxes_equal_stored_box_labels(shared_data):
    (file,) = (shared_data / "nuscenes" / "box_derived_labels").glob("*.npy")
    keyframe = open_dataset(shared_data / "nuscenes")[0]
    inside = torch.zeros(len(keyframe.points), dtype=torch.bool)
    for box in keyframe.boxes:
        inside |= box.contains(keyframe.points)
    assert (inside.numpy() == (np.load(file) != 0)).all()


def test_name_and_label_of_a_box_follow_its_category():
    row = SampleAnnotation("a", "s", "i", (1.0, 2.0, 3.0), (2.0, 4.0, 1.5), (1.0, 0.0, 0.0, 0.0))

    def box_of(category):
        annotation = nuscenes_boxes.Annotation(row, category)
        (box,) = nuscenes_boxes.boxes_of([annotation], torch.eye(4, dtype=torch.float64))
        return box

    box = box_of("vehicle.bus.rigid")
    assert (box.name, box.label) == ("bus", NUSCENES.names.index("bus"))
    assert box.size == (4.0, 2.0, 1.5) and box.T_lidar_box[:3, 3].tolist() == [1, 2, 3]
    other = box_of("human.pedestrian.stroller")
    assert (other.name, other.label) == ("stroller", 255)


def test_boxes_can_be_disabled_or_required(nuscenes_copy, monkeypatch):
    assert open_dataset(nuscenes_copy, boxes=False)[0].boxes == ()
    monkeypatch.setattr(nuscenes_boxes, "MAX_SIZE", 10.0)
    assert open_dataset(nuscenes_copy)[0].boxes == ()  # large tables are read only on request
    assert len(open_dataset(nuscenes_copy, boxes=True)[0].boxes) == 68
    (nuscenes_copy / VERSION / "instance.json").unlink()
    assert open_dataset(nuscenes_copy)[0].boxes == ()
    with pytest.raises(FileNotFoundError, match="boxes need instance.json too"):
        open_dataset(nuscenes_copy, boxes=True)


def change(root, table, edit):
    file = root / VERSION / f"{table}.json"
    rows = json.loads(file.read_text())
    edit(rows)
    file.write_text(json.dumps(rows))


def test_broken_annotations_are_named(nuscenes_copy):
    file = nuscenes_copy / VERSION / "sample_annotation.json"
    whole = file.read_text()
    change(nuscenes_copy, "sample_annotation", lambda rows: rows[3].update(size=[1, 2]))
    with pytest.raises(ValueError, match="sample_annotation.json: record 3 .*field 'size'"):
        open_dataset(nuscenes_copy)[0]
    file.write_text(whole)
    change(nuscenes_copy, "instance", lambda rows: rows.pop())
    with pytest.raises(
        ValueError, match="instance.json: no record .* sample_annotation.json refers to it"
    ):
        open_dataset(nuscenes_copy)[0]
    file.write_text(whole[:100])
    with pytest.raises(ValueError, match="sample_annotation.json: not valid JSON"):
        open_dataset(nuscenes_copy)[0]
