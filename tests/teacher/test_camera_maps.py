"""Feature maps of a keyframe's cameras: their order, the published features, and the cache."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import kit
from kit.data.classes import NUSCENES
from kit.data.keyframe import Camera, Keyframe, Sensor
from kit.store import FeatureCache
from kit.teacher.camera_maps import camera_maps
from kit.teacher.presets import build_teacher

SMALL = (64, 128)  # pixels


@pytest.fixture(scope="module")
def teacher():
    return build_teacher(image_size=SMALL)


def some_camera(name, image_size, seed, x=0.0):
    """A camera that looks along z, `x` metres to the left of the lidar."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*image_size, 3), dtype=np.uint8)
    u, v = (50, 30) if image_size[0] > 30 else (image_size[1] / 2, image_size[0] / 2)
    K = torch.tensor([[50.0, 0, u], [0, 50, v], [0, 0, 1]], dtype=torch.float64)
    T_cam_lidar = torch.eye(4, dtype=torch.float64)
    T_cam_lidar[0, 3] = x
    return Camera(name, T_cam_lidar, K, image_size, lambda: pixels)


def pixel(point, x=0.0):
    """Column and row of a point in `some_camera`."""
    return 50 * (point[0] + x) / point[2] + 50, 50 * point[1] / point[2] + 30


# Point 0 is seen by both cameras, 1 by none, 2 by the left and 3 by the right one only.
POINTS = [[-3.15, -0.7, 4.0], [0.0, 0.0, -5.0], [9.93, 4.33, 5.0], [-4.27, 1.1, 4.0]]
RIGHT = 1.5  # metres


@pytest.fixture(scope="module")
def keyframe():
    cameras = {
        "LEFT": some_camera("LEFT", (90, 160), 1),
        "RIGHT": some_camera("RIGHT", (60, 70), 2, RIGHT),
    }
    sensor, points = Sensor("lidar", 0.0, 1.0), torch.tensor(POINTS)
    return Keyframe("token", "scene", points, torch.zeros(4), cameras, sensor, NUSCENES)


def published_feature(teacher, camera, u, v):
    """Up-sample each map to the teacher's image and index it at the rescaled pixel."""
    height, width = camera.image_size
    row, column = int(v) * SMALL[0] // height, int(u) * SMALL[1] // width
    maps = teacher(camera.resized(SMALL)[None]).maps
    large = [F.interpolate(m, SMALL, mode="bilinear", align_corners=True) for m in maps]
    feat = torch.cat([F.normalize(m[0, :, row, column], dim=0) for m in large])
    return feat / feat.norm()


def test_a_keyframe_has_the_published_features_of_each_camera(teacher, keyframe):
    features = kit.extract(teacher, keyframe)
    assert features.index.tolist() == [0, 2, 3]
    left, right = keyframe.cameras.values()
    first = published_feature(teacher, left, *pixel(POINTS[0]))
    second = published_feature(teacher, right, *pixel(POINTS[0], RIGHT))
    expected = [
        (first + second) / 2,
        published_feature(teacher, left, *pixel(POINTS[2])),
        published_feature(teacher, right, *pixel(POINTS[3], RIGHT)),
    ]
    assert torch.allclose(features.feat, torch.stack(expected), atol=1e-4)
    assert F.cosine_similarity(first, second, dim=0) < 0.99


def test_maps_come_in_the_order_of_the_cameras_for_any_batch_size(teacher):
    cameras = [some_camera(str(seed), (30, 40 + seed), seed) for seed in range(5)]
    for batch_size in (1, 2, 6):
        found = camera_maps(teacher, cameras, batch_size=batch_size)
        for camera, maps in zip(cameras, found, strict=True):
            expected = teacher(camera.resized(SMALL)[None])
            assert torch.allclose(maps.maps[1], expected.maps[1], atol=1e-4)
    assert camera_maps(teacher, []) == []


def test_a_cached_map_is_close_to_a_computed_one_and_needs_no_network(
    teacher, keyframe, tmp_path, monkeypatch
):
    cache, cameras = FeatureCache(tmp_path), list(keyframe.cameras.values())
    exact = kit.extract(teacher, keyframe).feat
    cold = kit.extract(teacher, keyframe, cache=cache).feat
    other = build_teacher(layer=4, image_size=SMALL)  # another teacher in the same cache
    found, expected = camera_maps(other, cameras, cache), camera_maps(other, cameras)
    for one, two in zip(found, expected, strict=True):
        assert torch.allclose(one.maps[0], two.maps[0], rtol=1e-3, atol=1e-3)

    def refuse(*args, **kwargs):
        raise AssertionError("the network ran although the maps are cached")

    monkeypatch.setattr(teacher.network, "forward_intermediates", refuse)
    warm = kit.extract(teacher, keyframe, cache=cache).feat
    assert torch.equal(cold, warm)  # or a run that is resumed would not end as one that was not
    assert 0 < (exact - warm).abs().max() < 1e-3
    assert F.cosine_similarity(exact, warm).min() > 0.99999
