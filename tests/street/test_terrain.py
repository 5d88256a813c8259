"""Hills of the street, compared with derivatives, the exact ground and the level street."""

import numpy as np
import pytest
import torch
from small_street import street

from kit.data.ground import height_above_ground
from kit.street.assets.shapes import tilt_rotation
from kit.street.dataset import Street
from kit.street.world.terrain import Terrain

HILLS = 0.06


@pytest.fixture(scope="module")
def hilly():
    return street(hills=HILLS)


def world_of(dataset, index):
    """Points of a keyframe in the world, metres, and the elevation of the ground below them."""
    moment, keyframe = dataset.moments[index], dataset[index]
    T = moment.T_world_lidar(np.zeros(1))[0]
    world = keyframe.points.double().numpy() @ T[:3, :3].T + T[:3, 3]
    return world, moment.draw_scene().terrain.elevation(world[:, 0], world[:, 1])


def test_normals_are_those_of_the_elevation():
    x, y = np.random.default_rng(0).uniform(-300, 300, (2, 200))
    terrain, step = Terrain(np.random.default_rng(3), 0.1), 1e-4
    slope_x = (terrain.elevation(x + step, y) - terrain.elevation(x - step, y)) / (2 * step)
    slope_y = (terrain.elevation(x, y + step) - terrain.elevation(x, y - step)) / (2 * step)
    normal = terrain.normal(x, y)
    assert np.allclose(normal[:, :2] / normal[:, 2:], -np.stack([slope_x, slope_y], 1), atol=1e-6)
    assert np.allclose(np.linalg.norm(normal, axis=1), 1)


def test_hills_is_the_root_mean_square_slope():
    x, y = np.random.default_rng(0).uniform(-5000, 5000, (2, 50_000))
    found = []
    for seed in range(20):
        normal = Terrain(np.random.default_rng(seed), 0.05).normal(x, y)
        found.append((normal[:, :2] ** 2 / normal[:, 2:] ** 2).sum(1).mean())
    assert np.sqrt(np.mean(found)) == pytest.approx(0.05, rel=0.02)


def test_a_tilt_turns_up_to_the_normal_about_a_level_axis():
    up = np.random.default_rng(1).normal(size=(50, 3)) * (0.3, 0.3, 0) + (0, 0, 1)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    R = tilt_rotation(up)
    assert np.allclose(R[..., 2], up) and np.allclose(np.linalg.det(R), 1)
    assert np.allclose(R @ np.swapaxes(R, 1, 2), np.eye(3))
    axis = np.cross((0, 0, 1), up)  # level, and it does not move
    assert np.allclose(np.einsum("nij,nj->ni", R, axis), axis)


def test_the_road_lies_on_the_ground(hilly):
    world, ground = world_of(hilly, 1)
    road = hilly[1].labels.numpy() == hilly.classes.names.index("driveable_surface")
    assert np.ptp(ground[road]) > 1
    assert np.abs(world[road, 2] - ground[road]).max() < 0.2  # range noise and chords


def test_the_car_stands_on_the_ground_and_is_inclined_with_it(hilly):
    for moment in hilly.moments:
        T, terrain = moment.T_world_ego(np.array([-0.03, 0.0])), moment.draw_scene().terrain
        x, y = T[:, 0, 3], T[:, 1, 3]
        assert np.allclose(T[:, 2, 3], terrain.elevation(x, y))
        assert np.allclose(T[:, :3, 2], terrain.normal(x, y))
        assert np.allclose(T[:, :3, :3] @ np.swapaxes(T[:, :3, :3], 1, 2), np.eye(3))


def test_points_of_objects_lie_in_their_boxes(hilly):
    count = 0
    for index in range(len(hilly)):
        keyframe = hilly[index]
        for number, box in enumerate(keyframe.boxes):
            points = keyframe.points[keyframe.annotations.object_of_point == number]
            T = torch.linalg.inv(box.T_lidar_box)
            local = points.double() @ T[:3, :3].T + T[:3, 3]
            off = (local.abs() - torch.tensor(box.size) / 2).amax(1)
            assert (off < 0.15).all()  # range noise
            count += len(points)
    assert count > 500


def test_people_stand_upright_and_vehicles_do_not(hilly):
    up = {}
    for index in range(len(hilly)):
        T = hilly.moments[index].T_world_lidar(np.zeros(1))[0]
        for box in hilly[index].boxes:
            kind = box.category.split(".")[0]
            up.setdefault(kind, []).append((T @ box.T_lidar_box.numpy())[2, 2])
    assert np.allclose(up["human"], 1)
    assert min(up["vehicle"]) < 0.9999


def test_heights_above_the_ground_are_found_on_hills(hilly):
    world, ground = world_of(hilly, 0)
    near = np.hypot(*hilly[0].points[:, :2].T.numpy()) < 40
    found = height_above_ground(hilly[0].points).numpy()
    error = np.abs(found - (world[:, 2] - ground))[near]
    assert np.quantile(error, 0.9) < 0.2


def test_level_streets_have_no_hills_in_their_keys():
    assert "hills" not in street().moments[0].key
    assert street(hills=HILLS).moments[0].key.endswith("hills 0.06")
    assert street(hills=HILLS).content() != street().content()


@pytest.mark.parametrize("hills", [-0.01, 0.16, float("nan")])
def test_other_hills_are_refused(hills):
    with pytest.raises(ValueError, match=r"must be 0 to 0.15, got"):
        Street(hills=hills)
