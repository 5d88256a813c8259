import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pinhole import FORWARD, SIZE, K, camera
from safetensors.torch import load_file

from kit.data import open_dataset
from kit.geometry import rigid_transform, transform_points
from kit.projection import Pairs, find_pairs, project_points, why_unseen


def project(*point, T=FORWARD, **options):
    """Project one camera-frame point (x, y, z), moved to the lidar frame by the inverse of T."""
    cam = torch.tensor([point], dtype=torch.float64)
    points = transform_points(torch.linalg.inv(T), cam).float()
    return project_points(points, T, K, SIZE, **options)


@pytest.fixture(scope="module")
def nuscenes(shared_data):
    return open_dataset(shared_data / "nuscenes")[0]


def test_known_value_by_hand():
    # u = 50 * 2 / 10 + 100 = 110, v = 50 * -1 / 10 + 50 = 45
    uv, depth, visible = project(2.0, -1.0, 10.0)
    assert uv.tolist() == [[110.0, 45.0]]
    assert depth.tolist() == [10.0] and visible.tolist() == [True]


def test_lidar_axes_turn_into_camera_axes():
    # ten metres ahead, three to the right, two up: right of and above the centre
    uv, depth, _ = project_points(torch.tensor([[3.0, 10.0, 2.0]]), FORWARD, K, SIZE)
    assert uv.tolist() == [[115.0, 40.0]] and depth.item() == 10


def test_a_translation_of_the_camera_by_hand():
    T = FORWARD.clone()
    T[:3, 3] = torch.tensor([0.0, 0.5, -2.0])  # the camera sits 0.5 m higher and 2 m ahead
    uv, depth, _ = project_points(torch.tensor([[0.0, 12.0, 0.0]]), T, K, SIZE)
    assert depth.item() == 10 and uv.tolist() == [[100.0, 52.5]]


def test_points_behind_the_camera_and_too_near_have_no_pixel():
    for z in (-10.0, 0.0, 0.5, 1.0):
        uv, depth, visible = project(0.0, 0.0, z)
        assert uv.isnan().all() and depth.item() == z and not visible.item()
    assert project(0.0, 0.0, 1.001)[2].item()
    assert not project(0.0, 0.0, 9.0, min_depth=9.0)[2].item()
    assert project(0.0, 0.0, 0.1, min_depth=0.0)[2].item()


@pytest.mark.parametrize(
    ("u", "v", "inside"),
    [
        (0.0, 50.0, False),
        (0.5, 50.0, True),
        (199.0, 50.0, False),
        (198.5, 50.0, True),
        (100.0, 0.0, False),
        (100.0, 0.5, True),
        (100.0, 99.0, False),
        (100.0, 98.5, True),
        (-5.0, 50.0, False),
        (100.0, 120.0, False),
    ],
)
def test_pixels_on_the_four_borders_are_not_visible(u, v, inside):
    uv, _, visible = project(u - 100, v - 50, 50.0)
    assert uv.tolist() == [[u, v]]
    assert visible.item() is inside


def test_halving_the_image_and_K_halves_the_pixels():
    half = torch.diag(torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)) @ K
    points = torch.tensor([[1.0, 7.0, -0.5], [-2.0, 9.0, 1.0]])
    uv, _, _ = project_points(points, FORWARD, K, SIZE)
    small, _, _ = project_points(points, FORWARD, half, (50, 100))
    assert torch.allclose(small, uv / 2)


def test_visible_pixels_index_the_image_for_any_camera():
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        T = rigid_transform(
            torch.randn(4, generator=generator), torch.randn(3, generator=generator)
        )
        points = 30 * torch.randn(2000, 3, generator=generator)
        uv, depth, visible = project_points(points, T, K, SIZE, min_depth=0.0)
        column, row = uv[visible].floor().long().unbind(1)
        assert ((column >= 0) & (column < 200) & (row >= 0) & (row < 100)).all()
        assert torch.equal(uv.isnan().any(1), depth <= 0)


def test_transposed_extrinsics_are_named_in_the_error():
    T = FORWARD.clone()
    T[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="T_cam_lidar.*transposed"):
        project_points(torch.ones(1, 3), T.T, K, SIZE)
    with pytest.raises(ValueError, match="K .*transposed"):
        project_points(torch.ones(1, 3), T, K.T, SIZE)
    with pytest.raises(ValueError, match="height, width"):
        project_points(torch.ones(1, 3), T, K, (0, 200))
    with pytest.raises(ValueError, match="min_depth"):
        project_points(torch.ones(1, 3), T, K, SIZE, min_depth=-1.0)


def test_equal_to_the_oracle_for_all_six_cameras(nuscenes, oracles):
    oracle = load_file(oracles / "projection_nuscenes_keyframe.safetensors")
    assert len(nuscenes.cameras) == 6
    for name, cam in nuscenes.cameras.items():
        uv, depth, visible = project_points(nuscenes.points, cam.T_cam_lidar, cam.K, cam.image_size)
        seen = visible.nonzero()[:, 0]
        assert len(seen) == oracle[f"{name}.num_visible"].item()
        every_7th = seen[::7]
        assert (uv[every_7th] - oracle[f"{name}.uv"]).abs().max() < 0.05
        assert (depth[every_7th] - oracle[f"{name}.depth"]).abs().max() < 1e-3
        # The stored index lists the first visible rows, not every 7th of them.
        index = oracle[f"{name}.index"].long()
        assert torch.equal(index, seen[: len(index)])


def test_agrees_with_the_devkit_for_all_six_cameras(nuscenes, shared_data):
    from nuscenes.nuscenes import NuScenes

    tables = NuScenes("v1.0-mini", str(shared_data / "nuscenes"), verbose=False)
    sample = tables.sample[0]
    for name, cam in nuscenes.cameras.items():
        theirs, their_depth, _ = tables.explorer.map_pointcloud_to_image(
            sample["data"]["LIDAR_TOP"], sample["data"][name]
        )
        uv, depth, visible = project_points(nuscenes.points, cam.T_cam_lidar, cam.K, cam.image_size)
        inner = visible & (uv > 1).all(1)  # the devkit leaves out the first row and column
        assert int(inner.sum()) == theirs.shape[1]
        assert np.abs(uv[inner].numpy() - theirs[:2].T).max() < 0.05
        assert np.abs(depth[inner].numpy() - their_depth).max() < 1e-3


def test_a_transposed_rotation_moves_points_off_the_oracle(nuscenes, oracles):
    oracle = load_file(oracles / "projection_nuscenes_keyframe.safetensors")
    for name, cam in nuscenes.cameras.items():
        points, K, size = nuscenes.points, cam.K, cam.image_size
        _, _, visible = project_points(points, cam.T_cam_lidar, K, size)
        T = cam.T_cam_lidar.clone()
        T[:3, :3] = T[:3, :3].T.clone()
        uv, _, _ = project_points(points, T, K, size)
        # CAM_BACK's rotation is nearly its own transpose: it counts as many points, a little off
        moved = (uv[visible][::7] - oracle[f"{name}.uv"]).nan_to_num(torch.inf).norm(dim=1)
        assert moved.median() > 1


def test_pairs_are_the_visible_points_of_each_camera(nuscenes):
    pairs = find_pairs(nuscenes.points, nuscenes.cameras)
    assert pairs.camera_names == tuple(nuscenes.cameras)
    assert pairs.image_sizes == ((900, 1600),) * 6
    assert 0.58 < len(pairs.seen_points()) / len(nuscenes.points) < 0.60
    for index, (name, cam) in enumerate(nuscenes.cameras.items()):
        uv, depth, visible = project_points(nuscenes.points, cam.T_cam_lidar, cam.K, cam.image_size)
        mine = pairs.of_camera(name)
        assert torch.equal(mine.point, visible.nonzero()[:, 0])
        assert torch.equal(mine.uv, uv[visible]) and torch.equal(mine.depth, depth[visible])
        assert (mine.camera == index).all() and mine.camera_names == pairs.camera_names
    assert len(pairs) == sum(len(pairs.of_camera(name)) for name in pairs.camera_names)
    assert "CAM_BACK 4,822" in repr(pairs)


def test_a_point_in_two_images_is_two_pairs_and_one_seen_point():
    points = torch.tensor([[0.0, 10.0, 0.0], [0.0, -10.0, 0.0], [0.5, 10.0, 0.0]])
    pairs = find_pairs(points, {"A": camera("A"), "B": camera("B")})
    assert pairs.point.tolist() == [0, 2, 0, 2] and pairs.camera.tolist() == [0, 0, 1, 1]
    assert pairs.seen_points().tolist() == [0, 2]
    assert pairs.select(torch.tensor([3, 0])).point.tolist() == [2, 0]
    assert pairs.select(pairs.uv[:, 0] > 101).point.tolist() == [2, 2]
    with pytest.raises(KeyError, match="CAM_TOP"):
        pairs.of_camera("CAM_TOP")


def test_pairs_do_not_depend_on_the_order_of_points(nuscenes):
    order = torch.randperm(len(nuscenes.points), generator=torch.Generator().manual_seed(0))
    pairs = find_pairs(nuscenes.points, nuscenes.cameras)
    shuffled = find_pairs(nuscenes.points[order], nuscenes.cameras)
    back = order[shuffled.point]
    same = (shuffled.camera * len(order) + back).argsort()
    assert torch.equal(back[same], pairs.point) and torch.equal(shuffled.uv[same], pairs.uv)


def test_no_camera_and_no_visible_point_give_empty_pairs():
    for cameras in ({}, {"A": camera()}):
        pairs = find_pairs(torch.tensor([[0.0, -5.0, 0.0]]), cameras, occlusion=True)
        assert isinstance(pairs, Pairs) and len(pairs) == 0 and len(pairs.seen_points()) == 0
        assert pairs.uv.shape == (0, 2) and "0 pairs" in repr(pairs)


# Extrinsics that see nothing


def in_front(count=200):
    """Points 5 to 40 m in front of the lidar."""
    draw = np.random.default_rng(0)
    return torch.from_numpy(
        np.stack(
            [draw.uniform(-5, 5, count), draw.uniform(5, 40, count), draw.uniform(-1, 1, count)], 1
        )
    ).float()


PLACED = FORWARD.clone()
PLACED[:3, 3] = torch.tensor([0.3, 0.4, -1.0])
ROTATED = PLACED.clone()
ROTATED[:3, :3] = PLACED[:3, :3].T
BODY = torch.tensor([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]]).double()


@pytest.mark.parametrize(
    ("T", "cause"),
    [
        (torch.linalg.inv(PLACED), "the extrinsics are inverted"),
        (BODY @ PLACED, "the camera's axes are x forward, y left, z up"),
    ],
)
@pytest.mark.filterwarnings("ignore:T_cam_lidar")
def test_the_likely_mistake_is_named_where_no_camera_sees_a_point(T, cause):
    cameras = {"CAM_FRONT": camera(T=T)}
    with pytest.warns(
        UserWarning, match=f"CAM_FRONT: none of the 200 points can be seen. Probably {cause}"
    ):
        pairs = find_pairs(in_front(), cameras)
    assert len(pairs) == 0


@pytest.mark.filterwarnings("ignore:T_cam_lidar")
def test_an_inverted_rotation_is_named():
    text = why_unseen(in_front(), {"CAM_FRONT": camera(T=ROTATED)})
    assert "Probably" in text and "inverted" in text


def test_points_that_no_correction_makes_visible_have_no_named_mistake():
    far = in_front() + torch.tensor([0.0, 0, 5000.0])
    with pytest.warns(UserWarning, match="Check that T_cam_lidar takes lidar-frame points"):
        find_pairs(far, {"CAM_FRONT": camera()})


def test_few_points_or_no_camera_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        find_pairs(-in_front(50), {"CAM_FRONT": camera()})
        find_pairs(in_front(), {})
        assert len(find_pairs(in_front(), {"CAM_FRONT": camera()})) > 100


def test_intrinsics_for_another_image_size_are_refused():
    with pytest.raises(ValueError, match="principal point"):
        project_points(in_front(), FORWARD, K, (50, 100))


# Properties


@given(
    points=st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 3), min_size=1, max_size=30),
    focal=st.floats(1, 1e4),
    centre=st.tuples(st.floats(0.15, 0.85), st.floats(0.15, 0.85)),
    size=st.tuples(st.integers(3, 3000), st.integers(3, 3000)),
    angle=st.floats(-3.2, 3.2),
    min_depth=st.floats(0, 5),
)
def test_visible_points_are_in_front_and_inside_and_return_to_their_place(
    points, focal, centre, size, angle, min_depth
):
    turn = rigid_transform([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)], [0.5, -0.2, 0.1])
    T = FORWARD @ turn
    K = torch.tensor([[focal, 0, centre[0] * size[1]], [0, focal, centre[1] * size[0]], [0, 0, 1]])
    xyz = torch.tensor(points, dtype=torch.float32)
    uv, depth, visible = project_points(xyz, T, K.double(), size, min_depth)
    in_camera = (T @ torch.cat([xyz.double(), torch.ones(len(xyz), 1)], 1).T).T[:, :3]
    assert (depth - in_camera[:, 2]).abs().max() < 1e-2
    assert torch.equal(uv.isnan().any(1), ~(in_camera[:, 2] > min_depth))
    inside = (uv > 0).all(1) & (uv[:, 0] < size[1] - 1) & (uv[:, 1] < size[0] - 1)
    # float32 may round a point onto the border
    near = ((uv - uv.round()).abs() < 1e-3).any(1)
    assert torch.equal(visible[~near], inside[~near])
    ray = torch.linalg.solve(K.double(), torch.cat([uv.double(), torch.ones(len(uv), 1)], 1).T).T
    off = (ray * in_camera[:, 2:] - in_camera).abs().amax(1) * focal / in_camera[:, 2]  # px
    assert (off[visible] < 1e-3).all()


@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 10**6),
    num_cameras=st.integers(0, 4),
    occlusion=st.booleans(),
)
def test_pairs_are_sorted_unique_and_the_same_as_of_each_camera(
    count, seed, num_cameras, occlusion
):
    draw = np.random.default_rng(seed)
    points = torch.from_numpy(draw.normal(0, 20, (count, 3)).astype(np.float32))
    cameras = {}
    for number in range(num_cameras):
        half = number * np.pi / 4
        turn = rigid_transform([float(np.cos(half)), 0.0, 0.0, float(np.sin(half))], [0.0, 0, 0])
        cameras[f"CAM_{number}"] = camera(f"CAM_{number}", FORWARD @ turn)
    pairs = find_pairs(points, cameras, occlusion=occlusion)
    keys = list(zip(pairs.camera.tolist(), pairs.point.tolist(), strict=True))
    assert keys == sorted(set(keys)) and pairs.camera_names == tuple(cameras)
    for name, each in cameras.items():
        alone = find_pairs(points, {name: each}, occlusion=occlusion)
        assert torch.equal(alone.point, pairs.of_camera(name).point)
    assert set(pairs.seen_points().tolist()) == {point for _, point in keys}
