"""The simulated street against geometry that is written down here a second time."""

import pickle

import numpy as np
import pytest
import torch

import kit
from kit.data.street import Street, sensors
from kit.data.street.paint import PAINTERS
from kit.data.street.shapes import Mesh, Part, box
from kit.data.street.world import Road, build

SIZE = (112, 224)


def street(**options) -> Street:
    return Street(**{"num_scenes": 2, "keyframes_per_scene": 2, "image_size": SIZE} | options)


@pytest.fixture(scope="module")
def keyframes():
    return list(street())


def names(keyframe):
    """Names of the classes of every point."""
    return np.array(keyframe.classes.names)[keyframe.labels]


def test_it_opens_by_name_and_lists_its_keyframes():
    dataset = kit.open_dataset("street", num_scenes=2, keyframes_per_scene=3)
    assert len(dataset) == 6 and dataset.has_labels and dataset.name == "street"
    assert dataset.tokens[4] == "street-s001-k01" and dataset.scenes[4] == "street-s001"
    assert street(seed=7).tokens[0] == "street-seed7-s000-k00"
    assert len(set(dataset.tokens) | set(street(seed=7).tokens)) == 10


def test_same_seed_gives_the_same_bytes_in_any_order(keyframes):
    for cache in (kit.data.street._scan, kit.data.street._image, kit.data.street._world):
        cache.cache_clear()
    again = street()
    for index in (3, 0):
        fresh, known = again[index], keyframes[index]
        assert torch.equal(fresh.points, known.points)
        assert torch.equal(fresh.intensity, known.intensity)
        assert torch.equal(fresh.labels, known.labels)
        first = known.cameras["CAM_BACK"].pixels().tobytes()
        kit.data.street._image.cache_clear()
        assert fresh.cameras["CAM_BACK"].pixels().tobytes() == first


def test_another_seed_another_scene_and_another_moment_differ(keyframes):
    others = [street(seed=1)[0], keyframes[1], keyframes[2]]
    image = keyframes[0].cameras["CAM_FRONT"].pixels()
    for other in others:
        assert other.points.shape != keyframes[0].points.shape
        assert np.abs(other.cameras["CAM_FRONT"].pixels().astype(int) - image).mean() > 2


def test_a_keyframe_does_not_depend_on_how_many_there_are(keyframes):
    assert torch.equal(street(num_scenes=1, keyframes_per_scene=9)[1].points, keyframes[1].points)


def test_changing_what_was_handed_out_changes_nothing_else():
    dataset = street()
    dataset[0].points.zero_()
    assert dataset[0].points.abs().max() > 50
    with pytest.raises(ValueError, match="read-only"):
        dataset[0].cameras["CAM_FRONT"].pixels()[:] = 0


def test_a_scan_looks_like_one_of_an_hdl_32e(keyframes):
    for keyframe in keyframes:
        distance = keyframe.points.norm(dim=1)
        assert 25_000 <= len(keyframe.points) <= 35_000
        assert distance.max() < 100.2 and distance.min() > 0.5
        elevation = torch.rad2deg(torch.asin(keyframe.points[:, 2] / distance))
        beam = (elevation + 30.67) / (41.34 / 31)
        assert (beam - beam.round()).abs().max() < 1e-3
        assert beam.round().unique().tolist() == list(range(32))
        assert keyframe.intensity.min() >= 0 and keyframe.intensity.max() <= 255


def test_the_sensor_states_the_intensities_that_are_measured():
    intensity = torch.cat(
        [keyframe.intensity for keyframe in street(num_scenes=5, keyframes_per_scene=1)]
    )
    assert intensity.mean().item() == pytest.approx(Street.sensor.intensity_mean, rel=0.1)
    assert intensity.std().item() == pytest.approx(Street.sensor.intensity_std, rel=0.15)


def test_intensity_falls_as_a_wall_turns_away():
    turn, mesh = 0.6, Mesh(["wall"], PAINTERS)  # one grey wall, 10 m away, turned about z
    mesh.place(
        "wall", [Part(box(60.0, 0.2, 8.0, -4.0), "plain", (0.5, 0.5, 0.5))], (0, 10, 0, turn)
    )
    points, intensity, _ = sensors.scan(mesh.finish(), np.eye(4), np.random.default_rng(0))
    cosine = points @ (-np.sin(turn), np.cos(turn), 0) / np.linalg.norm(points, axis=1)
    frontal, slanted = np.abs(cosine) > 0.9, np.abs(cosine) < 0.5
    expected = np.sqrt(np.abs(cosine[slanted]).mean() / np.abs(cosine[frontal]).mean())
    assert frontal.sum() > 1000 and slanted.sum() > 300
    ratio = intensity[slanted].mean() / intensity[frontal].mean()
    assert ratio == pytest.approx(expected, rel=0.05)


def test_the_road_is_1_84_m_below_the_lidar_and_other_classes_are_elsewhere(keyframes):
    for keyframe in keyframes:
        height, name = keyframe.points[:, 2].numpy(), names(keyframe)
        road = height[name == "driveable_surface"] + 1.84
        assert road.max() < 0.06 and np.mean(np.abs(road) < 0.06) > 0.99  # the rest: its kerbs
        near_ahead = (np.abs(keyframe.points[:, 0].numpy()) < 0.8) & (height < -1.7)
        near_ahead &= np.abs(keyframe.points[:, 1].numpy()) < 6
        assert (name[near_ahead] == "driveable_surface").all()  # the car stands on the road
        assert height[name == "manmade"].max() > 4
        assert height[name == "car"].max() < 0.1 and height[name == "pedestrian"].max() < 0.3


def test_at_least_eight_classes_are_present(keyframes):
    for keyframe in keyframes:
        values, counts = keyframe.labels.unique(return_counts=True)
        assert (counts >= 10).sum() >= 8
    assert {"car", "pedestrian", "vegetation", "manmade", "sidewalk"} <= set(names(keyframes[0]))


def lidar_axes_in_the_camera(yaw_degrees, points):
    """Right, down, forward of a camera turned left by `yaw`, of lidar points (x right, y ahead)."""
    x, y, z = points.T
    yaw = np.radians(yaw_degrees)
    forward = y * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x * np.cos(yaw) + y * np.sin(yaw), -z, forward], 1)


YAW = {"CAM_FRONT": 0, "CAM_FRONT_LEFT": 55, "CAM_FRONT_RIGHT": -55}
YAW |= {"CAM_BACK": 180, "CAM_BACK_LEFT": 110, "CAM_BACK_RIGHT": -110}


def test_cameras_look_where_their_names_say(keyframes):
    assert set(keyframes[0].cameras) == set(YAW)
    points = keyframes[0].points.double()
    for name, camera in keyframes[0].cameras.items():
        expected = lidar_axes_in_the_camera(YAW[name], points.numpy())
        T = camera.T_cam_lidar
        found = (points @ T[:3, :3].T + T[:3, 3]).numpy()
        offset = found - expected
        assert T.dtype == torch.float64
        assert np.abs(offset).max() < 2.0  # metres between the sensors, and a little turning
        assert -0.36 < offset[:, 1].mean() < -0.24  # cameras are about 0.3 m below the lidar


def test_fields_of_view_are_those_of_nuscenes(keyframes):
    for name, camera in keyframes[0].cameras.items():
        width = 2 * np.degrees(np.arctan(SIZE[1] / 2 / camera.K[0, 0].item()))
        assert width == pytest.approx(89.4 if name == "CAM_BACK" else 64.6, abs=0.1)
        # the picture is 900 x 1600 squeezed to 112 x 224: pixels are not square
        assert (camera.K[1, 1] / camera.K[0, 0]).item() == pytest.approx((112 / 900) / (224 / 1600))


def test_extrinsics_hold_the_ego_motion_between_the_time_stamps(keyframes):
    first, second = keyframes[0], keyframes[1]
    step = torch.linalg.inv(first.T_global_lidar) @ second.T_global_lidar
    speed = step[:3, 3].norm().item() / 0.5
    assert step[1, 3] > 1.9 and 8.5 <= speed <= 14.5  # forwards, metres
    standing = np.linalg.inv(sensors.T_ego_cam("CAM_FRONT")) @ sensors.T_EGO_LIDAR
    difference = first.cameras["CAM_FRONT"].T_cam_lidar.numpy() - standing
    # 35 ms earlier the camera was further back: the lidar's points are further ahead of it
    assert difference[2, 3] == pytest.approx(0.035 * speed, rel=0.05)
    assert (second.timestamp - first.timestamp) == 500_000


def class_image(mesh, T_world_cam, K, image_size):
    """Cast a ray through every pixel's centre; the class it hits, -1 for the sky."""
    centres = sensors.pixel_centres(image_size)
    hits = sensors.trace(mesh, T_world_cam[:3, 3], sensors.pixel_rays(T_world_cam, K, centres))
    classes = np.full(len(centres), -1)
    hit = np.isfinite(hits.t)
    classes[hit] = mesh.label[mesh.part[hits.triangle[hit]]]
    return classes.reshape(image_size)


def test_what_a_pixel_shows_is_what_the_point_projected_there_hit():
    """The rest is hidden from the camera but not from the lidar, which sits elsewhere."""
    height, width = 448, 896
    keyframe, mesh = Street(2, 2)[3], build(Road(0, 1), 0.5)
    for name, camera in keyframe.cameras.items():
        T_world_cam = (keyframe.T_global_lidar @ torch.linalg.inv(camera.T_cam_lidar)).numpy()
        T_world_cam[:3, 3] -= kit.data.street.MAP_ORIGIN
        classes = class_image(mesh, T_world_cam, camera.K.numpy(), (height, width))
        p = keyframe.points.double() @ camera.T_cam_lidar[:3, :3].T + camera.T_cam_lidar[:3, 3]
        x, y, z = p[p[:, 2] > 1].numpy().T
        (fx, _, cx), (_, fy, cy), _ = camera.K.tolist()
        u, v = fx * x / z + cx, fy * y / z + cy
        seen = (u > 0) & (u < width - 1) & (v > 0) & (v < height - 1)
        shown = classes[v[seen].astype(int), u[seen].astype(int)]
        labels = keyframe.labels.numpy()[p[:, 2] > 1][seen]
        assert len(labels) > 2000, name
        assert (shown == labels).mean() > 0.9, name


def test_pictures_show_sky_above_and_colour_below(keyframes):
    for camera in keyframes[0].cameras.values():
        image = camera.image
        assert image.shape == (3, *SIZE) and camera.pixels() is camera.pixels()
        assert image.std() > 0.1
    red, _, blue = keyframes[0].cameras["CAM_FRONT"].image[:, :10].mean(dim=(1, 2))
    assert blue > red


def test_it_survives_pickling_as_worker_processes_need(keyframes):
    camera = pickle.loads(pickle.dumps(keyframes[0].cameras["CAM_FRONT"]))
    assert np.array_equal(camera.pixels(), keyframes[0].cameras["CAM_FRONT"].pixels())
    assert torch.equal(pickle.loads(pickle.dumps(street()))[1].points, keyframes[1].points)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="num_scenes must be at least 1, got 0"):
        street(num_scenes=0)
    with pytest.raises(ValueError, match="keyframes_per_scene must be at least 1, got -2"):
        street(keyframes_per_scene=-2)
    with pytest.raises(ValueError, match="width of image_size must be at least 1, got 0"):
        street(image_size=(100, 0))
    with pytest.raises(ValueError, match="seed"):
        street(seed=-1)


def test_indices_run_from_the_front_and_the_back(keyframes):
    dataset = street()
    assert dataset[-1].token == dataset.tokens[3] == keyframes[3].token
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"{index} .* 4 keyframes"):
            dataset[index]
