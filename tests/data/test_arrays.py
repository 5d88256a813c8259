import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import kit
from kit.data.keyframe import Dataset
from kit.lens import BrownConrady, Fisheye
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-20, 20, (500, 3))
INTENSITY = RNG.uniform(0, 255, 500)
PIXELS = RNG.integers(0, 255, (60, 100, 3), np.uint8)
K = np.array([[80.0, 0, 50], [0, 80, 30], [0, 0, 1]])
T = np.array([[1.0, 0, 0, 0.1], [0, 0, -1, 0], [0, 1, 0, 0.2], [0, 0, 0, 1]])
ONE = dict(images={"front": PIXELS}, K=K, T_cam_lidar=T)


@pytest.mark.parametrize(
    "convert",
    [
        np.float16,
        np.float32,
        np.float64,
        lambda values: values.astype(">f8"),
        np.asfortranarray,
        torch.from_numpy,
        lambda values: torch.from_numpy(values).to(torch.bfloat16),
        lambda values: torch.from_numpy(values).requires_grad_(),
        np.ndarray.tolist,
    ],
)
def test_arrays_of_any_kind_and_float_type_become_a_keyframe(convert):
    made = kit.keyframe(convert(POINTS), convert(INTENSITY))
    assert made.points.dtype == made.intensity.dtype == torch.float32
    assert np.allclose(made.points, POINTS, rtol=0.01, atol=0.1)
    assert np.allclose(made.intensity, INTENSITY, rtol=0.01, atol=0.1)
    assert made.sensor.intensity_mean == pytest.approx(float(made.intensity.mean()), rel=1e-5)
    assert made.sensor.intensity_std == pytest.approx(made.intensity.numpy().std(), rel=1e-5)
    assert not made.cameras and made.labels is None


def test_the_intensity_may_be_the_fourth_column_or_missing():
    four = kit.keyframe(np.column_stack([POINTS, INTENSITY]))
    assert torch.equal(four.intensity, kit.keyframe(POINTS, INTENSITY[:, None]).intensity)
    none = kit.keyframe(POINTS)
    assert not none.intensity.any() and none.sensor.intensity_std == 1


def test_rows_that_are_not_valid_are_dropped_with_their_labels_and_counted():
    points, labels, time = POINTS.copy(), np.arange(500) % 3, np.arange(500) / 1e4
    points[7] = np.nan
    points[11, 1] = 1e6
    intensity = INTENSITY.copy()
    intensity[13] = np.inf
    made = kit.keyframe(points, intensity, labels=labels, time=time, classes=["a", "b", "c"])
    assert made.num_dropped == 3 and "3 invalid rows dropped" in repr(made)
    kept = np.setdiff1d(np.arange(500), [7, 11, 13])
    assert made.row_in_file.tolist() == kept.tolist()
    assert made.labels.tolist() == labels[kept].tolist()
    assert np.allclose(made.time, time[kept])


@pytest.mark.parametrize(
    "image",
    [
        PIXELS,
        PIXELS / 255.0,
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(2, 0, 1),
        torch.from_numpy(PIXELS / 255.0).float().permute(2, 0, 1),
        lambda: PIXELS,
    ],
)
def test_images_are_taken_in_any_usual_form(image):
    camera = kit.keyframe(POINTS, None, image, K, T).cameras["camera"]
    assert np.array_equal(camera.pixels(), PIXELS)


def test_images_may_be_grey_or_files(tmp_path):
    grey = kit.keyframe(POINTS, None, PIXELS[:, :, 0], K, T).cameras["camera"].pixels()
    assert np.array_equal(grey, np.repeat(PIXELS[:, :, :1], 3, 2))
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    for file in (tmp_path / "a.png", str(tmp_path / "a.png")):
        made = kit.keyframe(POINTS, None, {"front": file}, K, T)
        assert np.array_equal(made.cameras["front"].pixels(), PIXELS)


def test_one_camera_or_many_by_name_with_their_lenses():
    lens = [-0.3, 0.1, 0, 0, 0]
    one = kit.keyframe(POINTS, **ONE, distortion=lens).cameras["front"]
    assert one.lens == BrownConrady(-0.3, 0.1) and one.image_size == (60, 100)
    assert np.allclose(one.T_cam_lidar, T) and np.allclose(one.K, K)
    images = {"left": PIXELS, "right": PIXELS[:50]}
    fish = {"model": "fisheye", "coefficients": [0.1, 0, 0, 0]}
    both = kit.keyframe(
        POINTS,
        images=images,
        K={"left": K, "right": torch.from_numpy(K)},
        T_cam_lidar={"left": T[:3], "right": torch.from_numpy(T)},
        distortion={"right": fish},
    ).cameras
    assert list(both) == ["left", "right"]
    assert both["right"].lens == Fisheye(0.1) and both["left"].lens == kit.lens.PINHOLE
    assert np.allclose(both["left"].T_cam_lidar, T)


def test_pairs_are_those_of_the_same_camera_made_by_hand():
    made = kit.keyframe(POINTS, **ONE)
    pairs = kit.find_pairs(made.points, made.cameras)
    cam = POINTS.astype(np.float32).astype(float) @ T[:3, :3].T + T[:3, 3]
    uv = (cam @ K.T)[:, :2] / cam[:, 2:]
    u, v = uv.T
    seen = (cam[:, 2] > 1) & (u > 0) & (u < 99) & (v > 0) & (v < 59)
    assert pairs.point.tolist() == seen.nonzero()[0].tolist()
    assert np.abs(pairs.uv.numpy() - uv[seen]).max() < 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(points=POINTS.T), r"points: .*\(3, 500\).*transposed"),
        (dict(points=np.zeros((5, 6))), "intensity as `intensity`"),
        (dict(points=np.zeros((0, 3))), "at least one row"),
        (dict(points=np.full((5, 3), np.nan)), "none of its 5 rows is valid"),
        (dict(points=POINTS * 1e5), "farther than 10 km.*metres"),
        (dict(points=np.array([["a"] * 3])), "points: expected numbers"),
        (dict(points=np.zeros((500, 4)), intensity=INTENSITY), "given, too"),
        (dict(intensity=INTENSITY[:9]), "intensity: expected one value for each of the 500"),
        (dict(labels=np.zeros(9, int)), "labels: expected one value"),
        (dict(labels=np.zeros(500)), "labels: cannot convert"),
        (dict(labels=np.full(500, -1)), r"labels: .*got \[-1\]"),
        (dict(labels=np.full(500, 70_000)), "labels: expected class indices.*classes by id"),
        (dict(labels=np.full(500, 4), classes=["a", "b"]), r"indices of the 2 classes.*\[4\]"),
        (dict(labels=np.full(500, 4), classes={0: "a"}), r"label ids \[4\]"),
        (dict(labels=np.full(500, 0), classes=["a", "a"]), "different names"),
        (dict(labels=np.full(500, 0), classes=[]), "1 to 255 names"),
        (dict(classes={-1: "car"}), "label ids, integers of 0 to 65535, got -1"),
        (dict(images=None), "K, T_cam_lidar: given without `images`"),
        (dict(K=None), "K: expected a value for the camera 'front'"),
        (dict(T_cam_lidar={"rear": T}), "T_cam_lidar: there is no image of the camera 'rear'"),
        (dict(images={"a": PIXELS, "b": PIXELS}), "K: 2 images need values by camera name"),
        (dict(images={"front": PIXELS[:, :, :2]}), r"images\['front'\]: .*\(60, 100, 2\)"),
        (dict(images={"front": PIXELS.astype(int)}), "expected uint8 or float pixels"),
        (dict(images={"front": PIXELS * 1.0}), "expected float pixels from 0 to 1"),
        (dict(K=K.T), "K of front .*transposed"),
        (dict(K=2 * K + 0), r"K of front must end"),
        (dict(K=np.diag([4, 4, 1]) @ K), "K of front: the principal point.*outside"),
        (dict(K=np.eye(4)), r"K of front: expected the shape \(3, 3\)"),
        (dict(T_cam_lidar=T.T), "T_cam_lidar of front .*transposed"),
        (dict(T_cam_lidar=2 * T), "T_cam_lidar of front must end in the row"),
        (dict(T_cam_lidar=T[:2]), r"T_cam_lidar of front: expected the shape \(4, 4\)"),
        (dict(distortion=[1, 2, 3, 4]), "camera front: distortion: expected 5 or 8"),
        (dict(T_global_lidar=np.ones((4, 4))), "T_global_lidar of keyframe keyframe must end"),
        (dict(timestamp=-1), "time stamp in microseconds"),
    ],
)
def test_a_fault_anywhere_is_one_clear_error(changes, message):
    arguments = {"points": POINTS, "intensity": None, **ONE, **changes}
    with pytest.raises(ValueError, match=message):
        kit.keyframe(**arguments)


def test_raw_labels_are_mapped_by_their_ids():
    raw = np.array([0, 10, 252, 40] * 125)
    classes = {0: None, 10: "car", 252: "car", 40: "road"}
    made = kit.keyframe(POINTS, labels=raw, classes=classes)
    assert made.classes.names == ("car", "road")
    assert made.labels[:4].tolist() == [kit.IGNORE, 0, 0, 1]


def test_keyframes_are_a_data_set_with_statistics_of_all_of_them():
    a = kit.keyframe(POINTS, INTENSITY, **ONE, labels=np.full(500, 1))
    b = kit.keyframe(POINTS + 1, INTENSITY / 2, **ONE, labels=np.full(500, 4))
    both = kit.keyframes([a, b])
    assert isinstance(both, Dataset) and len(both) == 2 and both.has_labels
    assert both.tokens == ["keyframe", "keyframe (2)"] and both[1].token == "keyframe (2)"
    values = np.concatenate([INTENSITY, INTENSITY / 2])
    assert both.sensor.intensity_mean == pytest.approx(values.mean(), rel=1e-4)
    assert both.sensor.intensity_std == pytest.approx(values.std(), rel=1e-4)
    assert both[0].sensor == both[-1].sensor == both.sensor
    assert len(both.classes) == 5 == len(both[0].classes)
    assert both.content() != kit.keyframes([a, a]).content()
    assert kit.open_dataset(both) is both
    again = pickle.loads(pickle.dumps(both))
    assert np.array_equal(again[1].cameras["front"].pixels(), PIXELS)
    with pytest.raises(IndexError):
        both[2]


def test_keyframes_with_other_classes_are_named():
    a = kit.keyframe(POINTS, labels=np.zeros(500, int), classes=["car"])
    b = kit.keyframe(POINTS, labels=np.zeros(500, int), classes=["road"], token="b")
    with pytest.raises(ValueError, match="b has other classes"):
        kit.keyframes([a, b])
    with pytest.raises(ValueError, match="at least one"):
        kit.keyframes([])


def test_arrays_distil_and_have_features():
    made = kit.keyframe(POINTS * [1, 1, 0.1], INTENSITY, **ONE)
    teacher = kit.build_teacher(image_size=(64, 96))
    student = WaffleIron(WaffleIronConfig(2, 8, head=(teacher.dim,)))
    settings = kit.DistillConfig(steps=2, batch_size=1)
    run = kit.distill(kit.keyframes([made]), teacher, student, settings, keyframes=[0])
    assert run.history[-1]["loss"] > 0
    assert len(kit.extract(run.student, made).feat) == 500
