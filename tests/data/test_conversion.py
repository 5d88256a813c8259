"""Arrays of other types and shapes in keyframes and cameras: converted, or refused at once."""

import dataclasses

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import kit
from kit.data.annotations import Box
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.data.limits import (
    MAX_INTENSITY,
    MAX_RANGE,
    check_unit,
    invalid_counts,
    is_valid,
    to_tensor,
)

POINTS = np.random.default_rng(0).uniform(-20, 20, (50, 3))
INTENSITY = np.random.default_rng(1).uniform(0, 255, 50)
SIZE = (20, 40)
RAMP = np.arange(20 * 40 * 3, dtype=np.uint32).reshape(20, 40, 3).astype(np.uint8)
K = torch.tensor([[50.0, 0, 20], [0, 50, 10], [0, 0, 1]], dtype=torch.float64)
T = torch.tensor(  # lidar x right, y forward, z up -> camera x right, y down, z forward
    [[1.0, 0, 0, 0.1], [0, 0, -1, 0.2], [0, 1, 0, 0.3], [0, 0, 0, 1]], dtype=torch.float64
)


def camera(**changes):
    fields = dict(name="CAM_FRONT", T_cam_lidar=T, K=K, image_size=SIZE, source=lambda: RAMP)
    return Camera(**fields | changes)


def keyframe(**changes):
    fields = dict(token="t0", scene="s0", cameras={"CAM_FRONT": camera()})
    fields |= dict(sensor=Sensor("test lidar", 10.0, 5.0), classes=NUSCENES)
    return Keyframe(**fields | changes)


@pytest.fixture(autouse=True)
def _without_type_checks():
    """The tests' type checks would refuse arrays before the kit converts them."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


KINDS = {
    "float32 tensors": lambda array: torch.tensor(array, dtype=torch.float32),
    "float64 tensors": lambda array: torch.tensor(array, dtype=torch.float64),
    "float16 tensors": lambda array: torch.tensor(array, dtype=torch.float16),
    "float32 arrays": lambda array: array.astype(np.float32),
    "float64 arrays": lambda array: array,
    "big-endian arrays": lambda array: array.astype(">f4"),
    "Fortran arrays": np.asfortranarray,
    "reversed arrays": lambda array: array[::-1][::-1],
    "read-only arrays": lambda array: np.frombuffer(array.tobytes()).reshape(array.shape),
    "lists": lambda array: array.tolist(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_points_of_every_number_type_are_float32(kind):
    convert = KINDS[kind]
    frame = keyframe(points=convert(POINTS), intensity=convert(INTENSITY))
    assert frame.points.dtype == frame.intensity.dtype == torch.float32
    atol = 0.1 if "16" in kind else 1e-5
    assert np.allclose(frame.points.numpy(), POINTS, atol=atol)
    assert np.allclose(frame.intensity.numpy(), INTENSITY, atol=atol)
    assert kit.find_pairs(frame.points, frame.cameras) is not None


def test_the_right_types_are_kept_without_a_copy():
    points = torch.tensor(POINTS, dtype=torch.float32)
    assert keyframe(points=points, intensity=points[:, 0].abs()).points is points


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, ">u2"])
def test_integer_intensities_and_labels_are_converted(dtype):
    frame = keyframe(
        points=POINTS, intensity=INTENSITY.astype(dtype), labels=np.full(50, 3).astype(dtype)
    )
    assert frame.intensity.dtype == torch.float32 and frame.labels.dtype == torch.int64
    assert np.array_equal(frame.intensity.numpy(), INTENSITY.astype(dtype))


@pytest.mark.parametrize(
    "convert", [np.asarray, np.float32, lambda t: t.tolist(), lambda t: t.float()]
)
def test_calibrations_of_every_type_are_float64(convert):
    made = camera(T_cam_lidar=convert(T), K=convert(K))
    assert made.T_cam_lidar.dtype == made.K.dtype == torch.float64
    assert torch.allclose(made.T_cam_lidar, T) and torch.allclose(made.K, K)


BROKEN_FRAMES = {
    "(N, 4) points": ({"points": np.c_[POINTS, INTENSITY]}, r"points of .*\(N, 3\), got \(50, 4\)"),
    "(3, N) points": ({"points": POINTS.T}, r"points of keyframe t0: .*\(N, 3\), got \(3, 50\)"),
    "(1, N, 3) points": ({"points": POINTS[None]}, r"got \(1, 50, 3\)"),
    "(N, 1) intensity": ({"intensity": INTENSITY[:, None]}, r"intensity of .*\(N\), got \(50, 1\)"),
    "text": ({"points": "scan.bin"}, "points of keyframe t0: expected numbers"),
    "objects": ({"points": np.array([[None] * 3] * 50)}, "expected numbers, got"),
    "complex": ({"points": POINTS.astype(complex)}, "cannot convert"),
    "float labels": ({"labels": INTENSITY}, "labels of .*cannot convert torch.float64"),
    "bool labels": ({"labels": INTENSITY > 3}, "labels of .*cannot convert torch.bool"),
    "far": ({"points": np.r_[POINTS[:49], [[0, 0, 1e30]]]}, "of 50 points 1 farther than 10 km"),
    "beyond float32": ({"points": np.r_[POINTS[:49], [[0, 0, 1e300]]]}, "1 not finite"),
    "bright": ({"intensity": np.r_[INTENSITY[:49], 3e38]}, "1 with an intensity beyond 65,535"),
    "rows beyond the file": (
        {"row_in_file": np.arange(50), "num_rows_in_file": 49},
        "row_in_file must be 0 to 48, got 0 to 49",
    ),
    "negative rows": ({"row_in_file": np.arange(50) - 1, "num_rows_in_file": 50}, "got -1 to 48"),
    "time": ({"timestamp": -1}, "time stamp in microseconds"),
    "huge time": ({"timestamp": 1e300}, "time stamp in microseconds"),
    "pose of 3 x 4": ({"T_global_lidar": np.eye(4)[:3]}, r"T_global_lidar of .*\(4, 4\)"),
    "scaled pose": ({"T_global_lidar": 2 * np.eye(4)}, "T_global_lidar of keyframe t0"),
}


@pytest.mark.parametrize("kind", BROKEN_FRAMES)
def test_other_shapes_and_ranges_are_refused(kind):
    changes, message = BROKEN_FRAMES[kind]
    with pytest.raises(ValueError, match=message):
        keyframe(**{"points": POINTS, "intensity": INTENSITY} | changes)


def moved(value):
    matrix = T.clone()
    matrix[0, 3] = value
    return matrix


BROKEN_CAMERAS = {
    "T of 3 x 4": ({"T_cam_lidar": T[:3]}, r"T_cam_lidar of CAM_FRONT: .*\(4, 4\), got \(3, 4\)"),
    "K of 3 x 4": ({"K": torch.cat([K, K[:, :1]], 1)}, r"K of CAM_FRONT: .*\(3, 3\), got \(3, 4\)"),
    "transposed T": ({"T_cam_lidar": T.T}, "transposed"),
    "K of 1e300": ({"K": K * torch.tensor([[1e300], [1e300], [1]])}, "K of CAM_FRONT"),
    "T of 1e300": (
        {"T_cam_lidar": moved(1e300)},
        "T_cam_lidar of CAM_FRONT: expected a translation",
    ),
    "T of 1e9": ({"T_cam_lidar": moved(1e9)}, r"at most 1e\+08 m"),
    "NaN": ({"T_cam_lidar": moved(np.nan)}, "not a rigid transform"),
    "rotation of 1e300": ({"T_cam_lidar": torch.diag(torch.tensor([1e300, 1, 1, 1]))}, "rotation"),
    "K for another size": ({"K": K * torch.tensor([[2.0], [2], [1]])}, "principal point"),
    "no source": ({"source": None}, "source of CAM_FRONT: expected a path"),
    "an array as source": ({"source": RAMP}, "source of CAM_FRONT: expected a path"),
}


@pytest.mark.parametrize("kind", BROKEN_CAMERAS)
def test_broken_cameras_are_refused_at_once(kind):
    changes, message = BROKEN_CAMERAS[kind]
    with pytest.raises(ValueError, match=message):
        camera(**changes)


@pytest.mark.parametrize(
    "size", [(0, 40), (20, 70_000), (20,), (20, 40, 3), (20.5, 40), "ab", None]
)
def test_image_sizes_must_be_two_integers_in_range(size):
    with pytest.raises(ValueError, match="image_size of CAM_FRONT"):
        dataclasses.replace(camera(), image_size=size)
    assert dataclasses.replace(camera(), image_size=np.array([20, 40])).image_size == SIZE


def test_a_path_may_be_text_and_pixels_must_be_an_array(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.png: this image is missing"):
        camera(source=str(tmp_path / "gone.png")).pixels()
    with pytest.raises(ValueError, match="source of CAM_FRONT: expected an array, got a list"):
        camera(source=lambda: RAMP.tolist()).pixels()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300, 0.0, -1.0])
def test_sensors_and_boxes_have_ranges(value):
    with pytest.raises(ValueError, match="intensity"):
        Sensor("x", 0.0, value)
    if value not in (0.0, -1.0):
        with pytest.raises(ValueError, match="intensity"):
            Sensor("x", value, 1.0)
    for place in range(3):
        size = [4.0, 2.0, 1.5]
        size[place] = value
        with pytest.raises(ValueError, match="box of car: sizes must be positive, at most 1000 m"):
            Box("car", "vehicle.car", 3, torch.eye(4).double(), tuple(size), "t")


# The shared checks


@given(
    values=st.lists(st.tuples(*[st.floats(width=32)] * 4), min_size=1, max_size=20),
)
def test_a_row_is_valid_exactly_if_a_lidar_can_have_measured_it(values):
    rows = torch.tensor(values, dtype=torch.float32)
    mask = is_valid(rows[:, :3], rows[:, 3])
    for row, valid in zip(values, mask.tolist(), strict=True):
        near = all(abs(value) <= MAX_RANGE for value in row[:3])
        assert valid == (near and abs(row[3]) <= MAX_INTENSITY)
    assert (invalid_counts(rows[:, :3], rows[:, 3]) == "") == bool(mask.all())
    kept = rows[mask]
    if len(kept):
        assert len(keyframe(points=kept[:, :3], intensity=kept[:, 3]).points) == len(kept)


@given(
    values=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=9,
    ),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.int64]),
)
def test_any_value_is_converted_or_refused_with_its_name(values, dtype):
    try:
        made = to_tensor(values, dtype, (None, 3), "points of x")
    except ValueError as error:
        assert str(error).startswith("points of x: ")
    else:
        assert made.dtype == dtype and made.shape[1] == 3


def test_scans_of_mostly_far_points_are_not_in_metres():
    points = torch.tensor(POINTS, dtype=torch.float32)
    check_unit(points, "scan")
    with pytest.raises(ValueError, match="scan: 50 of 50 points are farther than 10 km"):
        check_unit(points * 1000 + 20_000, "scan")
