"""The simulated street against geometry that is written down here a second time."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

import kit
from kit.store import FeatureCache
from kit.street.dataset import Street
from kit.street.render import moment
from kit.street.rigs import RIGS, Rig
from kit.street.world.layout import Scene, build
from kit.street.world.sky import Weather

SIZE = (112, 224)


def street(**options) -> Street:
    return Street(**{"num_scenes": 2, "keyframes_per_scene": 2, "image_size": SIZE} | options)


@pytest.fixture(scope="module")
def keyframes():
    return list(street())


@pytest.fixture(autouse=True)
def _forget():
    """Each test reads the cache on disk anew."""
    kit.data.street._observed.cache_clear()
    kit.data.street._image.cache_clear()


def names(keyframe):
    """Names of the classes of every point."""
    return np.array(keyframe.classes.names)[keyframe.labels]


def test_it_opens_by_name_and_lists_its_keyframes():
    dataset = kit.open_dataset("street", num_scenes=2, keyframes_per_scene=3)
    assert len(dataset) == 6 and dataset.has_labels and dataset.name == "street"
    assert dataset.tokens[4] == "street-s001-k01" and dataset.scenes[4] == "street-s001"
    assert street(seed=7).tokens[0] == "street-seed7-s000-k00"
    assert len(set(dataset.tokens) | set(street(seed=7).tokens)) == 10


def test_same_seed_gives_the_same_bytes_without_the_cache(keyframes):
    again = moment.observe(street().moments[3])
    kept = kit.data.street._observed(street().moments[3])
    assert again.keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in again.items())


def test_another_seed_another_scene_and_another_moment_differ(keyframes):
    others = [street(seed=1)[0], keyframes[1], keyframes[2]]
    image = keyframes[0].cameras["CAM_FRONT"].pixels()
    for other in others:
        assert other.points.shape != keyframes[0].points.shape
        assert np.abs(other.cameras["CAM_FRONT"].pixels().astype(int) - image).mean() > 2


def test_a_keyframe_does_not_depend_on_how_many_there_are(keyframes):
    assert torch.equal(street(num_scenes=1, keyframes_per_scene=9)[1].points, keyframes[1].points)


def test_changing_what_was_handed_out_changes_nothing_else(keyframes):
    dataset = street()
    dataset[0].points.zero_()
    assert dataset[0].points.abs().max() > 50
    with pytest.raises(ValueError, match="read-only"):
        dataset[0].cameras["CAM_FRONT"].pixels()[:] = 0


def test_it_is_rendered_once_and_says_so(keyframes, capsys, monkeypatch, tmp_path):
    street()[0]
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    kit.data.street._observed.cache_clear()
    small = street(num_scenes=1, keyframes_per_scene=1, image_size=(8, 16))
    small[0]
    assert "rendering the street, scene 0, keyframe 0" in capsys.readouterr().err
    assert FeatureCache().size() > 0


def test_preparing_renders_what_is_missing_with_a_bar(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KIT_CACHE", str(tmp_path))
    small = street(num_scenes=1, image_size=(8, 16))
    small.prepare()
    assert "rendering the street" in capsys.readouterr().err
    small.prepare()
    small[1]
    assert capsys.readouterr().err == ""


def test_a_cache_that_cannot_be_written_is_a_warning(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KIT_CACHE", str(tmp_path / "file"))
    small = street(num_scenes=1, keyframes_per_scene=1, image_size=(8, 16))
    with pytest.warns(UserWarning, match="rendered anew each time"):
        assert len(small[0].points) > 10_000


def test_a_scan_looks_like_one_of_an_hdl_32e(keyframes):
    for keyframe in keyframes:
        distance = keyframe.points.norm(dim=1)
        assert 25_000 <= len(keyframe.points) <= 34_700
        assert distance.max() < 101.0 and distance.min() > 0.5
        assert keyframe.intensity.min() >= 0 and keyframe.intensity.max() <= 255


def test_the_sensor_states_the_intensities_that_are_measured(keyframes):
    intensity = torch.cat([keyframe.intensity for keyframe in keyframes])
    sensor = keyframes[0].sensor
    assert intensity.mean().item() == pytest.approx(sensor.intensity_mean, rel=0.2)
    assert intensity.std().item() == pytest.approx(sensor.intensity_std, rel=0.25)


def test_the_road_is_1_84_m_below_the_lidar_and_other_classes_are_elsewhere(keyframes):
    for keyframe in keyframes:
        height, name = keyframe.points[:, 2].numpy(), names(keyframe)
        road = height[name == "driveable_surface"] + 1.84
        assert np.mean(np.abs(road) < 0.08) > 0.97  # the rest: its kerbs, and noise
        beside = np.abs(keyframe.points[:, 0].numpy()) < 0.8
        ahead = np.abs(keyframe.points[:, 1].numpy()) < 6
        near = name[beside & ahead & (height < -1.78)]
        assert (near == "driveable_surface").all()  # the car stands on the road
        assert height[name == "manmade"].max() > 4
        assert height[name == "car"].max() < 0.2 and height[name == "pedestrian"].max() < 0.5
        assert -1.80 < np.median(height[name == "sidewalk"]) < -1.64  # behind a kerb


def test_all_sixteen_classes_are_found_in_the_default_scenes():
    default = Street(image_size=(8, 16))
    found = set()
    for index in range(0, len(default), len(default) // len(set(default.scenes))):
        values, counts = default[index].labels.unique(return_counts=True)
        found |= {int(value) for value, count in zip(values, counts, strict=True) if count >= 5}
    assert found == set(range(16))


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
        assert width == pytest.approx(89.4 if name == "CAM_BACK" else 64.6, abs=0.4)
        # the picture is 900 x 1600 squeezed to 112 x 224: pixels are not square
        assert (camera.K[1, 1] / camera.K[0, 0]).item() == pytest.approx((112 / 900) / (224 / 1600))


def test_extrinsics_hold_the_ego_motion_between_the_time_stamps(keyframes):
    first, second = keyframes[0], keyframes[1]
    step = torch.linalg.inv(first.T_global_lidar) @ second.T_global_lidar
    speed = step[:3, 3].norm().item() / 0.5
    assert step[1, 3] > 1.9 and 5.5 <= speed <= 13.5  # forwards, metres
    rig = RIGS["nuscenes"]
    standing = np.linalg.inv(rig.cameras["CAM_FRONT"].T_ego_cam) @ rig.T_ego_lidar
    difference = first.cameras["CAM_FRONT"].T_cam_lidar.numpy() - standing
    # 35 ms earlier the camera was further back: the lidar's points are further ahead of it
    assert difference[2, 3] == pytest.approx(0.035 * speed, rel=0.05)
    assert (second.timestamp - first.timestamp) == 500_000


def test_what_a_pixel_shows_is_what_the_point_projected_there_hit(keyframes):
    """Where nothing is hidden; where something is, the pixel mostly shows another class."""
    for name, camera in keyframes[3].cameras.items():
        keyframe, (height, width) = keyframes[3], SIZE
        p = keyframe.points.double() @ camera.T_cam_lidar[:3, :3].T + camera.T_cam_lidar[:3, 3]
        x, y, z = p.numpy().T
        (fx, _, cx), (_, fy, cy), _ = camera.K.tolist()
        u, v = fx * x / z + cx, fy * y / z + cy
        seen = (z > 1) & (u > 0) & (u < width - 1) & (v > 0) & (v < height - 1)
        shown = keyframe.annotations.pixels(name)
        row, column = v[seen].astype(int), u[seen].astype(int)
        hidden = keyframe.annotations.hidden[name].numpy()[seen]
        same = shown.labels[row, column] == keyframe.labels.numpy()[seen]
        assert (~hidden).sum() > 1500 and same[~hidden].mean() > 0.93, name
        assert same[hidden].mean() < 0.6, name
        assert not keyframe.annotations.hidden[name].numpy()[z < 0].any()


def test_objects_lie_in_their_boxes_and_last(keyframes):
    first, second = keyframes[:2]
    owner = first.annotations.object_of_point
    on = owner >= 0
    assert torch.equal(first.annotations.foreground, on)
    assert set(names(first)[on]) <= set(first.classes.names[:10])
    for row in owner[on].unique().tolist():
        box = first.boxes[row]
        points = first.points[owner == row]
        assert box.contains(points, margin=0.12).all()
        assert set(first.labels[owner == row].tolist()) == {box.label}
    tracks = {box.track: box for box in first.boxes}
    both = [(tracks[box.track], box) for box in second.boxes if box.track in tracks]
    assert len(both) > 30 and all(a.name == b.name and a.size == b.size for a, b in both)
    moved = []
    for a, b in both:
        there = first.T_global_lidar @ a.T_lidar_box
        then = second.T_global_lidar @ b.T_lidar_box
        moved.append((a.speed, (then - there)[:3, 3].norm().item()))
    # metres in half a second; an arc is a little longer than its chord
    assert all(way == pytest.approx(speed / 2, rel=0.01, abs=1e-6) for speed, way in moved)
    assert any(speed > 3 for speed, _ in moved) and any(speed == 0 for speed, _ in moved)


def test_density_zero_leaves_an_empty_street():
    empty = street(num_scenes=1, keyframes_per_scene=1, density=0.0, image_size=(8, 16))[0]
    assert empty.boxes == () and not empty.annotations.foreground.any()
    assert {"manmade", "vegetation", "driveable_surface"} <= set(names(empty))


def test_leaving_things_out_moves_nothing_else():
    """Scene 1 has a junction, where cars wait."""
    full, empty = (build(Scene(0, 1), 0.0, density) for density in (1.0, 0.0))
    scenery = [mesh.label[mesh.thing < 0] for mesh in (full, empty)]
    colours = [mesh.colour[mesh.thing < 0] for mesh in (full, empty)]
    assert len(full.things) > 100 and empty.things == []
    assert np.array_equal(*scenery) and np.array_equal(*colours)


def test_tracks_are_of_one_object_each(keyframes):
    for keyframe in keyframes:
        tracks = [box.track for box in keyframe.boxes]
        assert len(set(tracks)) == len(tracks)


def test_streets_that_differ_in_anything_say_so():
    kinds = [street(), street(weather=Weather()), street(density=0.5), street(sensor="kitti")]
    assert len({dataset.content() for dataset in kinds}) == 4
    assert street().content() == street(sensor=RIGS["nuscenes"]).content()


def test_weather_changes_the_pictures_and_not_the_points():
    options = {"num_scenes": 1, "keyframes_per_scene": 1}
    day = street(**options, weather=Weather(sun_elevation=50.0, sun=1.0, clouds=0.0))[0]
    fog = street(**options, weather=Weather(sun=0.0, clouds=1.0, visibility=12.0))[0]
    assert torch.equal(day.points, fog.points)
    contrast = [keyframe.cameras["CAM_FRONT"].image.std() for keyframe in (day, fog)]
    assert contrast[0] > 1.5 * contrast[1]


@pytest.mark.parametrize(
    ("sensor", "least", "num_cameras"), [("pandaset", 80_000, 6), ("kitti", 80_000, 1)]
)
def test_other_sensors(sensor, least, num_cameras):
    keyframe = street(sensor=sensor, num_scenes=1, keyframes_per_scene=1, image_size=(16, 32))[0]
    assert len(keyframe.points) > least and len(keyframe.cameras) == num_cameras
    assert "Pandar64" in keyframe.sensor.name or "HDL-64E" in keyframe.sensor.name


def test_a_rig_of_ones_own():
    rig = RIGS["nuscenes"]
    few = replace(rig, name="mine", lidar=replace(rig.lidar, elevations=(-10.0, 0.0)), cameras={})
    keyframe = street(sensor=few, num_scenes=1, keyframes_per_scene=1)[0]
    assert keyframe.cameras == {} and 500 < len(keyframe.points) <= 2 * 1084


def test_images_have_the_sensors_size_if_none_is_asked_for():
    native = street(sensor="kitti", num_scenes=1, keyframes_per_scene=1, image_size=None)[0]
    assert native.cameras["CAM_FRONT"].pixels().shape == (375, 1242, 3)


def test_it_survives_pickling_as_worker_processes_need(keyframes):
    camera = pickle.loads(pickle.dumps(keyframes[0].cameras["CAM_FRONT"]))
    assert np.array_equal(camera.pixels(), keyframes[0].cameras["CAM_FRONT"].pixels())
    assert torch.equal(pickle.loads(pickle.dumps(street()))[1].points, keyframes[1].points)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_scenes": 0}, "num_scenes must be at least 1, got 0"),
        ({"keyframes_per_scene": -2}, "keyframes_per_scene must be at least 1, got -2"),
        ({"image_size": (100, 0)}, "width of image_size must be at least 1, got 0"),
        ({"seed": -1}, "seed"),
        ({"density": 1.5}, "density must be 0 to 1"),
        ({"sensor": "radar"}, "there are nuscenes, pandaset, kitti"),
    ],
)
def test_bad_arguments_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        street(**options)


def test_impossible_sensors_and_weather_are_named():
    rig = RIGS["nuscenes"]
    mount = rig.cameras["CAM_FRONT"]
    for bad, words in (
        (lambda: replace(rig.lidar, elevations=()), "at least one angle"),
        (lambda: replace(rig.lidar, elevations=(120.0,)), "between -90 and 90"),
        (lambda: replace(rig.lidar, azimuths=0), "azimuths must be above 0"),
        (lambda: replace(rig.lidar, max_range=0.5), "max_range must be above 1.0"),
        (lambda: replace(rig.lidar, noise=-0.1), "noise must not be negative"),
        (lambda: replace(mount, focal=0.0), "focal length and size must be positive"),
        (lambda: replace(mount, size=(0, 10)), "must be positive"),
        (lambda: replace(mount, centre=(-5.0, 3.0)), "centre inside the picture"),
        (lambda: replace(mount, place=(0.0, 0.0, -1.0)), "above the ground"),
        (lambda: Rig("low", rig.lidar, rig.sensor, (0.0, 0.0, 0.0)), "above the ground"),
        (lambda: replace(mount, yaw=float("nan")), "finite numbers"),
        (lambda: Weather(visibility=0.0), "visibility must be 5 to inf, got 0"),
        (lambda: Weather(clouds=2.0), "clouds must be 0 to 1"),
    ):
        with pytest.raises(ValueError, match=words):
            bad()


def test_indices_run_from_the_front_and_the_back(keyframes):
    dataset = street()
    assert dataset[-1].token == dataset.tokens[3] == keyframes[3].token
    for index in (4, -5):
        with pytest.raises(IndexError, match=f"{index} .* 4 keyframes"):
            dataset[index]
