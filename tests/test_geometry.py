import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pyquaternion import Quaternion
from scipy.spatial.transform import Rotation, Slerp

from kit import geometry


def random_rigid(seed):
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.randn(4, generator=generator, dtype=torch.float64)
    translation = 100 * torch.randn(3, generator=generator, dtype=torch.float64)
    return geometry.rigid_transform(rotation, translation), rotation, translation


def test_quarter_turn_about_z_by_hand():
    # half the angle is 45 degrees: x goes to y, then one metre up
    half = math.sqrt(0.5)
    T = geometry.rigid_transform([half, 0.0, 0.0, half], [0.0, 0.0, 1.0])
    moved = geometry.transform_points(T, torch.tensor([[2.0, 0.0, 0.0]]))
    assert torch.allclose(moved, torch.tensor([[0.0, 2.0, 1.0]], dtype=torch.float64))


@pytest.mark.parametrize("seed", range(5))
def test_rotation_agrees_with_pyquaternion(seed):
    T, rotation, translation = random_rigid(seed)
    expected = torch.from_numpy(Quaternion(rotation.numpy()).transformation_matrix)
    expected[:3, 3] = translation
    assert (T - expected).abs().max() < 1e-12


def test_inverse_transform_returns_the_points():
    T, _, _ = random_rigid(7)
    points = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    back = geometry.transform_points(
        geometry.invert_rigid(T), geometry.transform_points(T, points).float()
    )
    assert torch.allclose(back.float(), points, atol=1e-4)
    assert (geometry.invert_rigid(T) - torch.linalg.inv(T)).abs().max() < 1e-10


def test_a_product_equals_two_transforms():
    T_b_a, T_c_b = random_rigid(1)[0], random_rigid(2)[0]
    points = torch.randn(10, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    two_steps = geometry.transform_points(T_c_b, geometry.transform_points(T_b_a, points))
    assert (geometry.transform_points(T_c_b @ T_b_a, points) - two_steps).abs().max() < 1e-10


def test_float32_points_are_transformed_in_float64():
    # a million metres away float32 steps by 6 cm; the shift of 1 mm must survive
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = 1e6 + 0.001
    moved = geometry.transform_points(T, torch.zeros(1, 3))
    assert moved.dtype == torch.float64
    assert abs(moved[0, 0].item() - 1e6 - 0.001) < 1e-9


@pytest.mark.parametrize(
    ("rotation", "translation"),
    [
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        ([float("nan"), 0.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
        ([1.0, 0.0, 0.0, 0.0], [0.0, float("inf"), 0.0]),
    ],
)
def test_invalid_poses_raise(rotation, translation):
    with pytest.raises(ValueError, match="rotation"):
        geometry.rigid_transform(rotation, translation)


def test_rigid_transforms_pass_the_check():
    for seed in range(5):
        geometry.check_rigid(random_rigid(seed)[0])
        geometry.check_rigid(random_rigid(seed)[0].float())


def test_errors_tell_what_is_wrong_with_a_transform():
    T, _, _ = random_rigid(3)
    with pytest.raises(ValueError, match="T_cam_lidar.*transposed"):
        geometry.check_rigid(T.T, "T_cam_lidar")
    scaled = T.clone()
    scaled[:3, :3] *= 1.01
    mirrored = T @ torch.diag(torch.tensor([1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    singular = T.clone()
    singular[:3, 0] = 0
    holed = T.clone()
    holed[0, 3] = float("nan")
    for broken, word in (
        (scaled, "scaled"),
        (mirrored, "mirrors"),
        (singular, "singular"),
        (holed, "rigid"),
    ):
        with pytest.raises(ValueError, match=word):
            geometry.check_rigid(broken)


def test_intrinsics_are_checked():
    K = torch.tensor([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]])
    geometry.check_intrinsics(K)
    with pytest.raises(ValueError, match="transposed"):
        geometry.check_intrinsics(K.T)
    for row, column, value in ((0, 0, 0.0), (1, 1, -5.0), (0, 2, float("inf")), (1, 0, 1e9)):
        broken = K.clone()
        broken[row, column] = value
        if (row, column) == (1, 0):
            broken[0, 1] = 1.0  # singular or worse
        with pytest.raises(ValueError, match="focal"):
            geometry.check_intrinsics(broken)


def test_image_sizes_are_positive():
    geometry.check_image_size((900, 1600))
    with pytest.raises(ValueError, match="height, width"):
        geometry.check_image_size((900, 0))


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_a_pose_between_two_poses_agrees_with_slerp(ratio):
    ends = Rotation.from_euler("zyx", [[10, 20, 30], [-100, 5, 60]], degrees=True)
    T = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    T[:, :3, :3] = torch.from_numpy(ends.as_matrix())
    T[:, :3, 3] = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 3.0]])
    found = geometry.interpolate_rigid(T[0], T[1], ratio)
    expected = torch.from_numpy(Slerp([0, 1], ends)(ratio).as_matrix())
    assert torch.allclose(found[:3, :3], expected, atol=1e-12)
    moved = torch.tensor([1 + 3 * ratio, 2 - 2 * ratio, 3.0], dtype=torch.float64)
    assert torch.allclose(found[:3, 3], moved)
    on = geometry.interpolate_rigid(T[0], T[1], 2.0)  # the same motion once more
    again = T[1, :3, :3] @ T[0, :3, :3].T @ T[1, :3, :3]
    assert torch.allclose(on[:3, :3], again, atol=1e-12)


def brute_force(points, at, k):
    """All distances in float64, sorted."""
    distance = torch.cdist(
        at.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    return distance.sort(dim=1, stable=True).values[:, :k]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 7])
def test_k_nearest_agrees_with_brute_force(dtype, k):
    generator = torch.Generator().manual_seed(0)
    points = 20 * torch.randn(500, 3, generator=generator, dtype=dtype)
    at = 20 * torch.randn(40, 3, generator=generator, dtype=dtype)
    distance, index = geometry.k_nearest(points, at, k)
    assert distance.dtype == dtype and index.dtype == torch.int64
    assert distance.shape == index.shape == (40, k)
    assert torch.allclose(distance.double(), brute_force(points, at, k), atol=1e-5)
    measured = (points[index] - at[:, None]).norm(dim=2)
    assert torch.allclose(measured, distance, atol=1e-5)


def test_a_point_is_its_own_nearest_neighbour():
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    distance, index = geometry.k_nearest(points, points, 3)
    assert torch.equal(index[:, 0], torch.arange(50)) and (distance[:, 0] == 0).all()
    assert (distance.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_k_nearest_returns_all_points_if_there_are_fewer_than_k(dtype):
    points = torch.tensor([[0.0, 0, 0], [0, 3, 4]], dtype=dtype)
    distance, index = geometry.k_nearest(points, points[:1], 16)
    assert index.tolist() == [[0, 1]] and distance.tolist() == [[0.0, 5.0]]
    distance, index = geometry.k_nearest(points[1:], points, 16)
    assert index.tolist() == [[0], [0]] and distance.tolist() == [[5.0], [0.0]]


def test_k_nearest_without_queries_is_empty():
    distance, index = geometry.k_nearest(torch.randn(9, 3), torch.zeros(0, 3), 4)
    assert distance.shape == index.shape == (0, 4)


def test_k_nearest_accepts_strided_points():
    wide = torch.randn(30, 5, generator=torch.Generator().manual_seed(2))
    distance, index = geometry.k_nearest(wide[:, :3], wide[::3, :3], 2)
    copy = wide[:, :3].contiguous()
    assert torch.equal(index, geometry.k_nearest(copy, copy[::3], 2)[1])


# Ranges of calibrations


@pytest.mark.parametrize("value", [1e9, -1e9, 1e300, float("inf"), float("nan")])
def test_translations_are_limited(value):
    T = torch.eye(4, dtype=torch.float64)
    T[1, 3] = value
    with pytest.raises(ValueError, match=r"^T_a_b"):
        geometry.check_rigid(T, "T_a_b")


@pytest.mark.parametrize("rotation", [[1e300, 0.0, 0.0, 0.0], [1e-9, 0.0, 0.0, 0.0], [1e9] * 4])
def test_quaternions_of_extreme_length_are_refused(rotation):
    with pytest.raises(ValueError, match="quaternion"):
        geometry.rigid_transform(rotation, [0.0, 0.0, 0.0])


K_OK = torch.tensor([[500.0, 0, 320], [0, 510.0, 240], [0, 0, 1]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, 0, 0.9),
        (1, 1, 0.5),
        (0, 0, 2e6),
        (0, 0, 1e300),
        (0, 2, 1e300),
        (0, 1, 1e300),
        (1, 0, 600.0),
    ],
)
def test_intrinsics_out_of_range_are_refused(row, column, value):
    broken = K_OK.clone()
    broken[row, column] = value
    with pytest.raises(ValueError, match="focal"):
        geometry.check_intrinsics(broken)


def test_intrinsics_must_fit_the_image():
    geometry.check_intrinsics(K_OK, "K", (480, 640))
    geometry.check_intrinsics(K_OK, "K", (250, 640))  # cropped at the bottom
    for size in (
        (240, 640),
        (480, 320),
        (240, 320),
        (260, 340),
        (4800, 6400),
        (0, 640),
        (480, 10**6),
    ):
        with pytest.raises(ValueError, match="K"):
            geometry.check_intrinsics(K_OK, "K", size)


finite = st.floats(-1e3, 1e3)


@given(
    q=st.tuples(*[st.floats(-10, 10)] * 4).filter(lambda q: math.hypot(*q) > 1e-3),
    t=st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    points=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=5),
)
def test_any_rigid_transform_passes_keeps_distances_and_returns(q, t, points):
    T = geometry.rigid_transform(list(q), list(t))
    geometry.check_rigid(T)
    xyz = torch.tensor(points, dtype=torch.float64)
    moved = geometry.transform_points(T, xyz)
    assert torch.allclose(torch.cdist(moved, moved), torch.cdist(xyz, xyz), atol=1e-3)
    back = geometry.transform_points(geometry.invert_rigid(T), moved)
    assert (back - xyz).abs().max() < 1e-7
    expected = [Quaternion(q).rotate(p) for p in points] + np.array(t)
    assert (moved - torch.from_numpy(expected)).abs().max() < 1e-6


@given(
    values=st.lists(st.floats(), min_size=16, max_size=16),
    exact_row=st.booleans(),
)
def test_a_matrix_that_passes_is_a_rotation_and_a_bounded_translation(values, exact_row):
    T = torch.tensor(values, dtype=torch.float64).view(4, 4)
    if exact_row:
        T[3] = torch.tensor([0.0, 0, 0, 1])
    try:
        geometry.check_rigid(T, "T_a_b")
    except ValueError as error:
        assert str(error).startswith("T_a_b")
    else:
        R = T[:3, :3]
        assert (R @ R.T - torch.eye(3)).abs().max() <= 1e-3 and torch.linalg.det(R) > 0.9
        assert T[:3, 3].abs().max() <= geometry.MAX_TRANSLATION


@given(
    q=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 1e-3),
    row=st.integers(0, 2),
    column=st.integers(0, 2),
    change=st.floats(0.01, 10) | st.floats(-10, -0.01),
)
def test_one_wrong_number_in_a_rotation_is_found(q, row, column, change):
    T = geometry.rigid_transform(list(q), [0.0, 0.0, 0.0])
    R = T[:3, :3].clone()
    T[row, column] += change
    # The row's length or its angle to another row changes, unless the change mirrors the entry.
    changed = T[:3, :3] @ T[:3, :3].T - torch.eye(3)
    assume(changed.abs().max() > 2e-3)
    with pytest.raises(ValueError, match="T"):
        geometry.check_rigid(T)
    assert not torch.equal(R, T[:3, :3])


@given(
    values=st.lists(st.floats(), min_size=6, max_size=6),
    size=st.tuples(*[st.integers(-1, 10**5)] * 2),
)
def test_intrinsics_that_pass_project_the_axis_into_the_image(values, size):
    K = torch.tensor([values[:3], values[3:], [0, 0, 1]], dtype=torch.float64)
    try:
        geometry.check_intrinsics(K, "K of CAM", size)
    except ValueError as error:
        assert "K of CAM" in str(error)
    else:
        u, v, _ = K @ torch.tensor([0, 0, 1.0], dtype=torch.float64)
        assert 0 < u < size[1] and 0 < v < size[0] and min(K[0, 0], K[1, 1]) >= 1
