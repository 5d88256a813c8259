"""Points that something nearer hides from a camera: by hand, and on a street of boxes."""

import numpy as np
import open3d
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pinhole import FORWARD, SIZE, camera

from kit.data import open_dataset
from kit.projection import find_pairs, hidden_points


def rows_of_pixels(us, vs, depth):
    v, u = np.meshgrid(vs, us, indexing="ij")
    uv = torch.from_numpy(np.stack([u.ravel(), v.ravel()], 1)).float()
    return uv, torch.as_tensor(depth(uv[:, 1])) + torch.zeros(len(uv))


def test_a_far_point_within_a_near_panel_is_hidden_and_one_beside_it_is_not():
    uv, depth = rows_of_pixels(np.arange(600, 1000, 6), np.arange(300, 600, 8), lambda v: 10.0)
    wall = torch.tensor([[803.0, 444.0], [1100.0, 444.0], [500.0, 444.0], [803.0, 250.0]])
    uv, depth = torch.cat([uv, wall]), torch.cat([depth, torch.full((4,), 30.0)])
    hidden = hidden_points(uv, depth, (900, 1600))
    assert hidden[:-4].sum() == 0
    assert hidden[-4:].tolist() == [True, False, False, False]
    near = torch.where(depth == 30, 10.9, depth)
    assert not hidden_points(uv, near, (900, 1600)).any(), "less than a metre is not in front"


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ("above below", True),
        ("above left right", True),
        ("above left right below", True),
        ("above left", False),
        ("above right", False),
        ("above", False),
        ("left right below", False),
        ("", False),
    ],
)
def test_hidden_points_have_nearer_points_above_and_below_or_on_both_sides(sides, expected):
    offsets = {"above": (0, -20), "below": (0, 20), "left": (-20, 0), "right": (20, 0)}
    far = [300.0, 200.0]
    near = [[300.0 + offsets[side][0], 200.0 + offsets[side][1]] for side in sides.split()]
    elsewhere = [[900.0, 700.0], [5.0, 5.0]]  # far from the other points
    uv = torch.tensor([far, *near, *elsewhere])
    depth = torch.tensor([30.0] + [10.0] * (len(near) + 2))
    assert hidden_points(uv, depth, (900, 1600)).tolist() == [expected] + [False] * (len(near) + 2)


def test_no_point_of_a_flat_road_is_hidden():
    # rows of a 64-beam lidar on a flat road, 1.5 m below a camera with f = 1260 px
    uv, depth = rows_of_pixels(
        np.arange(5, 1600, 7), np.arange(460, 900, 5), lambda v: 1260 * 1.5 / (v - 450)
    )
    assert not hidden_points(uv, depth, (900, 1600)).any()


def test_occlusion_finds_most_hidden_points_of_a_street_of_boxes():
    """The reference: rays from the camera to the points, cast by Open3D through the boxes."""
    world = boxes_on_a_street()
    elevation = np.deg2rad(np.linspace(-25, 10, 64))[:, None]
    azimuth = np.deg2rad(np.linspace(0, 360, 1800, endpoint=False))
    level = np.cos(elevation)
    rays = level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation) + 0 * azimuth
    rays = np.stack(rays, -1).reshape(-1, 3)
    distance = first_hit(world, np.array([0, 0, 1.84]), rays)
    hit = distance < 100
    points = torch.from_numpy(rays[hit] * distance[hit, None]).float()  # lidar frame: at its centre
    T = FORWARD.clone()
    T[:3, 3] = torch.tensor([0.0, -0.34, -1.0])  # the camera sits 0.34 m lower and 1 m ahead
    intrinsics = torch.tensor([[1260.0, 0, 800], [0, 1260, 450], [0, 0, 1]], dtype=torch.float64)
    cameras = {"CAM_FRONT": camera(T=T, K=intrinsics, size=(900, 1600))}
    pairs = find_pairs(points, cameras)
    from_camera = points[pairs.point].numpy() - np.array([0, 1.0, -0.34])
    range_ = np.linalg.norm(from_camera, axis=1)
    blocked_at = first_hit(world, np.array([0, 1.0, 1.5]), from_camera / range_[:, None])
    hidden = torch.from_numpy(blocked_at < range_ - 0.05)
    kept = torch.isin(pairs.point, find_pairs(points, cameras, occlusion=True).point)
    assert 0.03 < hidden.float().mean() < 0.3, "the street must hide some points"
    assert (hidden & ~kept).sum() / hidden.sum() > 0.7
    assert (~hidden & ~kept).sum() / (~hidden).sum() < 0.005


def boxes_on_a_street():
    world = open3d.t.geometry.RaycastingScene()
    draw = np.random.default_rng(0)

    def box(x, y, width, length, height):
        mesh = open3d.t.geometry.TriangleMesh.create_box(width, length, height)
        world.add_triangles(mesh.translate([x - width / 2, y - length / 2, 0.05]))

    box_floor = open3d.t.geometry.TriangleMesh.create_box(400, 400, 0.5)
    world.add_triangles(box_floor.translate([-200, -200, -0.5]))
    for side in (-1, 1):
        for y in range(-60, 90, 15):
            box(side * draw.uniform(14, 20), y, 6, 14, 12)
            box(side * 8, y + draw.uniform(-3, 3), 0.3, 0.3, 6)
        for y in range(-60, 90, 7):
            box(side * 5.5, y + draw.uniform(-1, 1), 1.9, 4.5, 1.5)
            box(side * draw.uniform(7, 10), y, 0.5, 0.5, 1.75)
    for y in (12, 25, 40, 60):
        box(draw.choice([-2, 2]), y, 1.9, 4.5, 1.6)
    return world


def first_hit(world, origin, rays):
    both = np.concatenate([np.broadcast_to(origin, rays.shape), rays], 1).astype(np.float32)
    return world.cast_rays(open3d.core.Tensor(both))["t_hit"].numpy()


def test_occlusion_is_off_by_default(shared_data):
    nuscenes = open_dataset(shared_data / "nuscenes")[0]
    cameras = {"CAM_BACK": nuscenes.cameras["CAM_BACK"]}
    everything = find_pairs(nuscenes.points, cameras)
    fewer = find_pairs(nuscenes.points, cameras, occlusion=True)
    assert 0.9 < len(fewer) / len(everything) < 1
    assert torch.isin(fewer.point, everything.point).all()


@given(
    rows=st.lists(
        st.tuples(
            st.floats(0, 199, width=32), st.floats(0, 99, width=32), st.floats(0.5, 500, width=32)
        ),
        max_size=40,
    )
)
def test_the_nearest_point_of_an_image_is_never_occluded(rows):
    values = torch.tensor(rows, dtype=torch.float32).view(-1, 3)
    hidden = hidden_points(values[:, :2], values[:, 2], SIZE)
    assert hidden.shape == (len(rows),)
    if len(rows):
        assert not hidden[values[:, 2].argmin()]
