"""Calibrations in another convention are refused or named, and never accepted silently."""

import warnings

import cv2
import numpy as np
import pytest
import small_root
from PIL import Image
from scipy.spatial.transform import Rotation
from small_root import R_EGO_CAM, SIZE, K, tables, true_pixels, write_root, wxyz

import kit
from kit.distill.batches import TrainingBatches
from kit.lens import BrownConrady, Fisheye
from kit.student.scans import InputConfig


def changed(tmp_path, **fields):
    """A data set in which CAM_FRONT has other fields in calibrated_sensor."""
    found = tables(keyframes=1)
    for row in found["calibrated_sensor"]:
        if row["token"] == "calibration-CAM_FRONT":
            row.update(fields)
    return write_root(tmp_path, found)


def open_and_find(root):
    keyframe = kit.open_dataset(root)[0]
    return keyframe, kit.find_pairs(keyframe.points, keyframe.cameras)


def test_the_right_calibration_gives_the_true_pixels_without_a_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keyframe, pairs = open_and_find(changed(tmp_path))
    uv, visible = true_pixels(keyframe.points.double().numpy())
    front = pairs.of_camera("CAM_FRONT")
    assert front.point.tolist() == np.nonzero(visible)[0].tolist() and len(front) > 50
    assert np.abs(front.uv.numpy() - uv[visible]).max() < 1e-3


SCALED = [[2 * v for v in K[0]], [2 * v for v in K[1]], K[2]]
INVALID = {
    "K for twice the image size": (
        SCALED,
        r"principal point \(32, 24\) is outside.*32 x 24 pixels",
    ),
    "K for four times the size": (
        [[4 * v for v in K[0]], [4 * v for v in K[1]], K[2]],
        r"principal point \(64, 48\) is outside",
    ),
    "normalised by width and height": (
        [[K[0][0] / 32, 0, 0.5], [0, K[1][1] / 24, 0.5], [0, 0, 1]],
        r"principal point \(0.5, 0.5\) is outside",
    ),
    "normalised, wide": (
        [[0.6, 0, 0.5], [0, 0.9, 0.5], [0, 0, 1]],
        "focal lengths of 1 to 1e.06 pixels, got 0.6 and 0.9.*multiply its first row by the width",
    ),
    "transposed": (np.transpose(K).tolist(), "transposed"),
    "3x4": ([[*row, 0.0] for row in K], "expected a 3x3 matrix"),
    "4x4": ([[*row, 0.0] for row in K] + [[0, 0, 0, 1]], "expected a 3x3 matrix"),
    "flat": (sum(K, []), "expected a 3x3 matrix"),
    "negative": ([[-40.0, 0, 16], [0, 40, 12], [0, 0, 1]], "positive focal lengths"),
    "1e300": ([[1e300, 0, 16], [0, 1e300, 12], [0, 0, 1]], "expected a 3x3 matrix of finite"),
    "1e8": ([[1e8, 0, 16], [0, 1e8, 12], [0, 0, 1]], "focal lengths of 1 to 1e.06"),
    "far principal point": ([[40, 0, 1e7], [0, 40, 12], [0, 0, 1]], "in pixels, finite"),
    "large skew": ([[40, 1e4, 16], [0, 40, 12], [0, 0, 1]], "in pixels, finite"),
    "missing": ([], "must be 3x3"),
}


@pytest.mark.parametrize("kind", INVALID)
def test_wrong_intrinsics_are_named_with_the_record(tmp_path, kind):
    matrix, message = INVALID[kind]
    root = changed(tmp_path, camera_intrinsic=matrix)
    with pytest.raises(
        ValueError, match=f"calibrated_sensor.json: record .*calibration-CAM_FRONT.*{message}"
    ):
        open_and_find(root)


def test_intrinsics_for_the_size_in_the_header_are_checked_too(tmp_path):
    found = tables(keyframes=1)
    for row in found["sample_data"]:
        row["height"] = row["width"] = None
    root = write_root(tmp_path, found)
    file = root / "samples/CAM_FRONT/CAM_FRONT-0-0.png"
    Image.fromarray(small_root.picture()).resize((SIZE[1] // 2, SIZE[0] // 2)).save(file)
    with pytest.raises(ValueError, match=f"image {file}: K of CAM_FRONT: the principal point"):
        open_and_find(root)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("camera_distortion", [-0.35, 0.12, 0.0, 0.0]),
        ("camera_distortion", [-0.35, 0.12, 0.0, 0.0, -0.02, 0.1]),
        ("distortion_coefficients", {"k1": -0.3}),
        ("D", [0.1, 0, 0, 0]),
        ("k1", -0.35),
    ],
)
def test_distortion_of_an_unclear_model_is_refused_and_zeros_are_not(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"record 1 .*field '{name}'.*Undistort the images"):
        open_and_find(changed(tmp_path / "a", **{name: value}))
    zeros = {"list": [0.0, 0, 0], "dict": {"k1": 0}}.get(type(value).__name__, 0.0)
    open_and_find(changed(tmp_path / "b", **{name: zeros, "distortion_model": "plumb_bob"}))


FIVE, EIGHT = [-0.35, 0.12, 0.001, 0.0, -0.02], [7.1, 3.2, 0, 0, 0.1, 7.4, 5.6, 0.8]


@pytest.mark.parametrize(
    ("fields", "lens"),
    [
        ({"camera_distortion": FIVE}, BrownConrady(*FIVE)),
        ({"camera_distortion": EIGHT}, BrownConrady(*map(float, EIGHT))),
        ({"camera_distortion": FIVE[:4], "distortion_model": "radtan"}, BrownConrady(*FIVE[:4])),
        ({"D": [0.1, 0, 0, 0], "distortion_model": "equidistant"}, Fisheye(0.1)),
    ],
)
def test_points_land_on_the_pixels_of_a_lens_whose_model_is_clear(tmp_path, fields, lens):
    root = changed(tmp_path / "a", **fields)
    keyframe = kit.open_dataset(root)[0]
    camera = keyframe.cameras["CAM_FRONT"]
    assert camera.lens == lens
    pairs = kit.find_pairs(keyframe.points, {"CAM_FRONT": camera})
    T, K = camera.T_cam_lidar.numpy(), camera.K.numpy()
    cam = keyframe.points[pairs.point].double().numpy() @ T[:3, :3].T + T[:3, 3]
    if isinstance(lens, Fisheye):
        expected, _ = cv2.fisheye.projectPoints(cam[:, None], NO, NO, K, np.array([0.1, 0, 0, 0]))
    else:
        expected, _ = cv2.projectPoints(cam, NO, NO, K, np.array(lens.coefficients))
    assert len(pairs) > 20
    assert np.abs(pairs.uv.numpy() - expected[:, 0]).max() < 1e-3


NO = np.zeros(3)  # no rotation, no translation


def test_millimetres_matrices_and_scaled_quaternions_are_named(tmp_path):
    for number, (field, value, message) in enumerate(
        (
            ("translation", [1700.0, 0, 1500.0], "at most 100 m.*millimetres"),
            ("rotation", np.eye(3).tolist(), "quaternion .* of length 1"),
            ("rotation", [0.0, 0.0, 1.57], "quaternion .* of length 1"),
            ("rotation", [2 * v for v in wxyz(R_EGO_CAM)], "quaternion .* of length 1"),
            ("rotation", [1e300, 0, 0, 0], "quaternion .* of length 1"),
        )
    ):
        with pytest.raises(ValueError, match=f"record 1 .*field '{field}': expected .*{message}"):
            open_and_find(changed(tmp_path / str(number), **{field: value}))


EGO_CAM = np.eye(4)
EGO_CAM[:3, :3], EGO_CAM[:3, 3] = R_EGO_CAM, small_root.T_EGO_CAM
INVERSE = np.linalg.inv(EGO_CAM)
BODY = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]])  # from x forward, y left, z up


@pytest.mark.parametrize(
    "fields",
    [
        {"rotation": wxyz(INVERSE[:3, :3]), "translation": INVERSE[:3, 3].tolist()},
        {"rotation": wxyz(R_EGO_CAM.T)},
        {"rotation": wxyz(R_EGO_CAM @ BODY)},
        {"rotation": wxyz(R_EGO_CAM @ Rotation.from_euler("z", 180, degrees=True).as_matrix())},
    ],
    ids=["inverted", "inverted rotation", "x forward", "upside down"],
)
def test_unlikely_extrinsics_are_named_when_a_keyframe_is_read(tmp_path, fields):
    dataset = kit.open_dataset(changed(tmp_path, **fields))
    with pytest.warns(UserWarning, match="T_cam_lidar of CAM_FRONT.*tilted.*probably inverted"):
        dataset[0]


def test_scalar_last_quaternions_of_this_camera_are_the_same_rotation():
    # [0.5, -0.5, 0.5, -0.5] and its scalar-last order are one rotation: nothing to find out
    assert np.allclose(np.abs(wxyz(R_EGO_CAM)), 0.5)


@pytest.mark.filterwarnings("ignore:T_cam_lidar")
def test_training_on_inverted_extrinsics_names_the_likely_cause(tmp_path):
    found = tables(keyframes=1)
    for row in found["calibrated_sensor"]:
        if row["token"] == "calibration-CAM_FRONT":
            row["rotation"] = wxyz(INVERSE[:3, :3])
            row["translation"] = INVERSE[:3, 3].tolist()
    found["sample_data"] = [r for r in found["sample_data"] if "LEFT" not in r["filename"]]
    dataset = kit.open_dataset(write_root(tmp_path, found))
    batches = TrainingBatches(dataset, [0], InputConfig(), batch_size=1, steps=1, seed=0)
    with pytest.raises(
        ValueError, match="first one: CAM_FRONT: 1 of the 240 points.*Probably the extr"
    ):
        batches[0]
