import dataclasses
import io
import pickle
import warnings

import cv2
import numpy as np
import pytest
import torch
from bags import (
    ROS_FROM_STREET,
    START,
    camera_info,
    cloud,
    compressed,
    image,
    messages_of,
    tf,
    transform,
    write_bag,
)
from PIL import Image

import kit
from kit.data.bag.messages import cloud_of, intrinsics_of, pixels_of
from kit.data.bag.topics import camera_name, info_topic, is_depth, is_rectified
from kit.lens import BrownConrady, Fisheye
from kit.projection import project_into

CAMERAS = ("CAM_FRONT", "CAM_BACK")


@pytest.fixture(scope="module")
def street():
    return kit.open_dataset("street", num_scenes=1, keyframes_per_scene=2, image_size=(56, 112))


@pytest.fixture(scope="module")
def messages(street):
    return messages_of(street, CAMERAS)


@pytest.fixture(scope="module", params=[False, True], ids=["sqlite3", "mcap"])
def bag(request, messages, tmp_path_factory):
    path = tmp_path_factory.mktemp("bags") / "drive"
    return kit.open_dataset(write_bag(path, messages, mcap=request.param))


def test_a_street_comes_back_from_a_bag(street, bag):
    assert len(bag) == 2 and bag.scenes == ["drive", "drive"] and not bag.has_labels
    for number in range(2):
        was, now = street[number], bag[number]
        rotated = torch.from_numpy(was.points.numpy() @ ROS_FROM_STREET.T.astype(np.float32))
        assert torch.equal(now.points, rotated) and torch.equal(now.intensity, was.intensity)
        assert now.timestamp == START // 1000 + was.timestamp
        assert set(now.cameras) == set(CAMERAS)
        for name in CAMERAS:
            np.testing.assert_array_equal(now.cameras[name].pixels(), was.cameras[name].pixels())
            uv, _, visible = project_into(was.cameras[name], was.points)
            again, _, seen = project_into(now.cameras[name], now.points)
            assert (visible ^ seen).sum() <= 2 and visible.any()
            both = visible & seen
            assert (uv[both] - again[both]).abs().max() < 0.1


def test_poses_are_those_of_the_drive(street, bag):
    turn = np.eye(4)
    turn[:3, :3] = ROS_FROM_STREET
    for number in range(2):
        expected = street[number].T_global_lidar.numpy() @ turn.T
        np.testing.assert_allclose(bag[number].T_global_lidar, expected, atol=1e-4)
    joined = kit.accumulate(bag, 1, 5)
    assert joined.token.endswith("+ 1 sweep")


def test_a_bag_can_be_pickled_and_has_a_content(bag):
    again = pickle.loads(pickle.dumps(bag))
    assert torch.equal(again[1].points, bag[1].points) and again.content() == bag.content()
    assert "/lidar/points" in repr(bag) and "CAM_BACK (/CAM_BACK/image_raw)" in repr(bag)


def test_one_file_of_a_bag_is_enough(messages, tmp_path):
    folder = write_bag(tmp_path / "drive", messages, mcap=True)
    file = next(folder.glob("*.mcap"))
    alone = tmp_path / "alone.mcap"
    alone.write_bytes(file.read_bytes())
    assert len(kit.open_dataset(alone)) == 2


def test_a_bag_learns(bag):
    teacher = kit.build_teacher(image_size=(64, 128))
    student = kit.build_student("wi-6-64", teacher.dim, depth=2, width=8)
    config = kit.DistillConfig(steps=2, batch_size=2)
    run = kit.distill(bag, teacher, student, config, progress=False)
    assert run.finished


# --- topics --------------------------------------------------------------------------------------


def small_cloud(stamp=START, **options):
    columns = {name: ("f4", np.arange(9.0) + 1) for name in "xyz"}
    return cloud({**columns, "intensity": ("f4", np.arange(9.0))}, stamp, **options)


def test_topics_can_be_named(messages, tmp_path):
    path = write_bag(tmp_path / "b", [*messages, ("/other", START, small_cloud())])
    data = kit.open_dataset(path)
    assert data.lidar == "/lidar/points" and data.other_lidars == ["/other"]
    data = kit.open_dataset(path, lidar="/other", cameras={"front": "/CAM_FRONT/image_raw"})
    assert len(data) == 1 and list(data[0].cameras) == ["front"]


def test_a_wrong_topic_names_those_that_are_there(messages, tmp_path):
    path = write_bag(tmp_path / "b", messages)
    with pytest.raises(ValueError, match=r"on /velodyne.*\/lidar\/points \(sensor_msgs"):
        kit.open_dataset(path, lidar="/velodyne")
    with pytest.raises(ValueError, match=r"no images on /a.*/CAM_BACK/image_raw"):
        kit.open_dataset(path, cameras=["/a"])
    images = [each for each in messages if each[0] != "/lidar/points"]
    with pytest.raises(ValueError, match=r"found none.*/CAM_BACK/image_raw"):
        kit.open_dataset(write_bag(tmp_path / "c", images))


def test_a_camera_without_calibration_is_left_out_and_said(messages, tmp_path):
    without = [each for each in messages if each[0] != "/CAM_BACK/camera_info"]
    path = write_bag(tmp_path / "b", without)
    with pytest.warns(UserWarning, match="CAM_BACK is left out, no K"):
        data = kit.open_dataset(path)
    assert list(data[0].cameras) == ["CAM_FRONT"] and "CAM_BACK: no K" in repr(data)


def test_a_camera_without_transform_is_left_out_or_given(street, messages, tmp_path):
    path = write_bag(tmp_path / "b", [e for e in messages if e[0] != "/tf_static"])
    with pytest.warns(UserWarning, match="CAM_FRONT is left out, no transform from 'lidar'"):
        assert kit.open_dataset(path)[0].cameras == {}
    T = street[0].cameras["CAM_FRONT"].T_cam_lidar
    with pytest.warns(UserWarning, match="CAM_BACK is left out"):
        data = kit.open_dataset(path, calibration={"CAM_FRONT": {"T_cam_lidar": T}})
    assert torch.equal(data[0].cameras["CAM_FRONT"].T_cam_lidar, T)


FOURTEEN = (*np.linspace(0.01, 0.14, 14),)  # OpenCV's rational model with prism and tilt


def with_lens(messages, name, coefficients, model):
    """The messages with another lens in the calibration of a camera."""
    found = []
    for topic, stamp, message in messages:
        if topic == f"/{name}/camera_info":
            message = dataclasses.replace(
                message, d=np.array(coefficients, float), distortion_model=model
            )
        found.append((topic, stamp, message))
    return found


@pytest.mark.parametrize(
    ("coefficients", "model", "reason"),
    [
        (FOURTEEN, "rational_polynomial", "5 or 8 coefficients, got 14"),
        ((0.1,) * 5, "magic", "expected one of"),
        ((np.nan,) * 5, "plumb_bob", "finite"),
    ],
)
def test_a_camera_with_an_unreadable_lens_is_left_out_and_said_or_given(
    street, messages, tmp_path, coefficients, model, reason
):
    path = write_bag(tmp_path / "b", with_lens(messages, "CAM_BACK", coefficients, model))
    with pytest.warns(UserWarning, match=f"CAM_BACK is left out, no K: /CAM_BACK/.*{reason}"):
        data = kit.open_dataset(path)
    assert list(data[0].cameras) == ["CAM_FRONT"] and "CAM_BACK: no K" in repr(data)
    K = street[0].cameras["CAM_BACK"].K
    for given, lens in (
        ({"K": K}, kit.lens.PINHOLE),
        ({"distortion": None}, kit.lens.PINHOLE),
        ({"distortion": [0.1, 0, 0, 0, 0]}, BrownConrady(0.1, 0.0)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            camera = kit.open_dataset(path, calibration={"CAM_BACK": given})[0].cameras["CAM_BACK"]
        assert torch.equal(camera.K, K) and camera.lens == lens
    with pytest.raises(ValueError, match="distortion"):
        kit.open_dataset(path, calibration={"CAM_BACK": {"distortion": [1, 2]}})


def test_a_camera_info_of_another_frame_is_not_used(tmp_path):
    """Two cameras in one name space: the calibration belongs to the one with its frame."""
    found = [("/points", START, small_cloud())]
    for side in ("left", "right"):
        found.append((f"/sensors/image_{side}", START, image(PIXELS, START, side)))
        found.append(("/tf_static", START, tf(transform("lidar", side, np.eye(4), START))))
    info = camera_info([[9.0, 0, 4], [0, 9, 3], [0, 0, 1]], PIXELS.shape[:2], START, "left")
    found.append(("/sensors/camera_info", START, info))
    with pytest.warns(UserWarning, match="image_right is left out.*'left', the images .*'right'"):
        data = kit.open_dataset(write_bag(tmp_path / "b", found))
    assert [*data[0].cameras] == ["sensors_image_left"]


def test_images_far_from_the_scan_are_left_out(messages, tmp_path):
    data = kit.open_dataset(write_bag(tmp_path / "b", messages), max_delay=0.02)
    assert list(data[0].cameras) == ["CAM_BACK"]  # 10 ms before; CAM_FRONT is 35 ms before
    assert data.missing["images"] == 2


def test_without_motion_the_static_transforms_are_enough(street, messages, tmp_path):
    data = kit.open_dataset(write_bag(tmp_path / "b", [e for e in messages if e[0] != "/tf"]))
    assert data[0].T_global_lidar is None
    moved = street[0].cameras["CAM_FRONT"].T_cam_lidar.numpy()
    turn = np.eye(4)
    turn[:3, :3] = ROS_FROM_STREET
    difference = data[0].cameras["CAM_FRONT"].T_cam_lidar.numpy() @ turn - moved
    assert 0.1 < np.abs(difference[:3, 3]).max() < 0.6  # the way of the car in 35 ms


def test_names_of_cameras_and_calibrations():
    assert camera_name("/front/image_raw/compressed") == "front"
    assert camera_name("/sensing/camera0/image_rect_color") == "sensing_camera0"
    assert camera_name("/image") == "image"
    assert camera_name("/sensors/image_left") == "sensors_image_left"
    infos = ["/a/camera_info", "/b/left/camera_info"]
    assert info_topic("/b/left/image_raw/compressed", infos) == "/b/left/camera_info"
    assert info_topic("/a/image", infos) == "/a/camera_info"
    assert info_topic("/c/image", infos) is None


def test_a_damaged_bag_is_named(tmp_path):
    file = tmp_path / "a.mcap"
    file.write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    with pytest.raises(ValueError, match=r"a\.mcap.*cannot be read"):
        kit.open_dataset(file)
    file = tmp_path / "b.db3"
    file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"b\.db3.*cannot be read"):
        kit.open_dataset(file)


def test_files_of_a_bag_stay_inside_its_folder(messages, tmp_path):
    path = write_bag(tmp_path / "b", messages)
    file = path / "metadata.yaml"
    text = file.read_text()
    file.write_text(text.replace("b.db3", "../../outside.db3"))
    with pytest.raises(
        ValueError, match=r"metadata\.yaml: relative_file_paths: expected a path below"
    ):
        kit.open_dataset(path)
    for broken in ("{", "a: 1", "[]"):
        file.write_text(broken)
        with pytest.raises(ValueError, match=r"metadata\.yaml: no description of a ROS 2 bag"):
            kit.open_dataset(path)


@pytest.mark.parametrize(
    ("topics", "names"),
    [
        (
            ["/sensors/image_left", "/sensors/image_right"],
            ["sensors_image_left", "sensors_image_right"],
        ),
        (["/a_b/image_raw", "/a/b/image_raw"], ["a_b_image_raw", "a_b_image_raw (2)"]),
        # The ZED's driver; each of its two topics has its own calibration.
        (
            ["/zed/left/image_rect_color", "/zed/left_raw/image_raw_color"],
            ["zed_left", "zed_left_raw"],
        ),
        (["/infrastructure/camera/image_raw"], ["infrastructure_camera"]),
        (["/a/image_raw", "/a/image_rect", "/a/image_raw/compressed", "/a/depth/image"], ["a"]),
        (["/a/rgb/image_raw", "/a/mono/image_raw"], ["a_mono_image_raw", "a_rgb_image_raw"]),
    ],
)
def test_every_camera_has_a_name_of_its_own(tmp_path, topics, names):
    found = [("/points", START, small_cloud())]
    for topic in topics:
        found.append((topic, START, image(PIXELS, START, topic)))
        if topic not in ("/a/image_rect", "/a/image_raw/compressed", "/a/depth/image"):
            info = camera_info(K, PIXELS.shape[:2], START, topic)
            found.append((f"{topic.rpartition('/')[0]}/camera_info", START, info))
            found.append(("/tf_static", START, tf(transform("lidar", topic[1:], np.eye(4), START))))
    path = write_bag(tmp_path / "b", found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = kit.open_dataset(path)
    assert sorted(data.topics) == names and len(set(data.topics.values())) == len(names)
    named = kit.open_dataset(path, cameras=[*topics[:2], topics[0]])
    assert set(named.topics.values()) == set(topics[:2])


def test_one_topic_with_two_names_is_refused(messages, tmp_path):
    path = write_bag(tmp_path / "b", messages)
    twice = dict.fromkeys(("front", "ahead"), "/CAM_FRONT/image_raw")
    with pytest.raises(ValueError, match="cameras: one topic has two names.*ahead"):
        kit.open_dataset(path, cameras=twice)


def test_rect_and_depth_are_words_of_a_topic():
    for topic in ("/direct/image_raw", "/rectory/image_raw", "/a/corrected"):
        assert not is_rectified(topic)
    for topic in ("/a/image_rect", "/a/image_rect_color/compressed", "/rectified/a", "/rect/a"):
        assert is_rectified(topic)
    for topic in (
        "/a/depth/image",
        "/a/aligned_depth_to_color/image_raw",
        "/a/infra1/image",
        "/a/image_raw/compressedDepth",
        "/a/depth_registered",
        "/disparity",
    ):
        assert is_depth(topic)
    for topic in ("/infrastructure/image_raw", "/adept/image"):
        assert not is_depth(topic)


# --- point clouds --------------------------------------------------------------------------------

XYZ = np.random.default_rng(0).normal(0, 20, (12, 3))


@pytest.mark.parametrize("bigendian", [False, True])
@pytest.mark.parametrize("kind", ["f4", "f8", "i2"])
@pytest.mark.parametrize("layout", [{}, {"point_padding": 7}, {"rows": 3, "row_padding": 5}])
def test_any_layout_of_points(bigendian, kind, layout):
    points = XYZ.astype(kind)
    columns = {
        "ring": ("u2", np.arange(12)),
        "z": (kind, points[:, 2]),
        "reflectivity": ("u1", np.arange(12) * 20),
        "x": (kind, points[:, 0]),
        "y": (kind, points[:, 1]),
    }
    found = cloud_of(cloud(columns, 0, bigendian=bigendian, **layout), 0, "here")
    np.testing.assert_array_equal(found.points, points.astype(np.float32))
    np.testing.assert_array_equal(found.intensity, np.arange(12.0) * 20)
    assert found.time is None


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("t", "u4", [0, 50_000_000]),  # Ouster: nanoseconds
        ("time", "f4", [0, 0.05]),  # Velodyne: seconds
        ("timestamp", "f8", [START / 1e9, START / 1e9 + 0.05]),  # Hesai: absolute seconds
        ("timestamp", "f8", [float(START), START + 5e7]),  # absolute nanoseconds
        ("time", "f4", [0, 50_000]),  # microseconds
    ],
)
def test_times_of_points_in_any_unit(name, kind, values):
    columns = {each: ("f4", [1.0, 2.0]) for each in "xyz"}
    found = cloud_of(cloud({**columns, name: (kind, values)}, START), START, "here")
    np.testing.assert_allclose(found.time, [0, 0.05], atol=1e-6)


def test_times_that_are_not_understood_are_left_out():
    columns = {each: ("f4", [1.0, 2.0]) for each in "xyz"}
    assert cloud_of(cloud({**columns, "time": ("f4", [0, 5])}, 0), 0, "here").time is None


def test_clouds_that_are_wrong_are_named():
    with pytest.raises(ValueError, match="here: a point cloud without z; it has x, y"):
        cloud_of(cloud({name: ("f4", [1.0]) for name in "xy"}, 0), 0, "here")
    short = small_cloud()
    short.data = short.data[:-1]
    with pytest.raises(ValueError, match="here: 143 bytes for 1 rows of 9 points"):
        cloud_of(short, 0, "here")
    far = small_cloud()
    far.fields[0].offset = 14
    with pytest.raises(ValueError, match="'x' of type 7 at byte 14"):
        cloud_of(far, 0, "here")


def test_empty_slots_and_invalid_points_are_dropped(tmp_path):
    values = np.arange(9.0)
    values[3] = np.nan
    columns = {name: ("f4", values) for name in "xyz"}
    path = write_bag(tmp_path / "b", [("/points", START, cloud(columns, START))])
    keyframe = kit.open_dataset(path)[0]
    assert keyframe.row_in_file.tolist() == [1, 2, 4, 5, 6, 7, 8]
    assert keyframe.num_rows_in_file == 9


# --- images --------------------------------------------------------------------------------------

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
def test_colours_of_images(padding):
    for encoding, data in (
        ("rgb8", PIXELS),
        ("bgr8", PIXELS[:, :, ::-1]),
        ("rgba8", np.dstack([PIXELS, PIXELS[:, :, :1]])),
        ("bgra8", np.dstack([PIXELS[:, :, ::-1], PIXELS[:, :, :1]])),
    ):
        message = image(np.ascontiguousarray(data), 0, "a", encoding, padding)
        np.testing.assert_array_equal(pixels_of(message, "here"), PIXELS)
    grey = pixels_of(image(PIXELS[:, :, 0], 0, "a", "mono8", padding), "here")
    np.testing.assert_array_equal(grey, np.repeat(PIXELS[:, :, :1], 3, 2))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("colour", [0, 1, 2])
def test_bayer_patterns_by_their_first_two_rows(pattern, colour):
    """A scene of one colour: only the pixels of that colour are bright."""
    cell = np.array(["rgb".index(each) == colour for each in pattern]).reshape(2, 2)
    mosaic = np.tile(cell, (8, 8)).astype(np.uint8) * 200
    decoded = pixels_of(image(mosaic, 0, "a", f"bayer_{pattern}8"), "here")[4:-4, 4:-4]
    expected = np.zeros(3)
    expected[colour] = 200
    np.testing.assert_array_equal(decoded, np.broadcast_to(expected, decoded.shape))


def test_compressed_images():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    found = pixels_of(compressed(file.getvalue(), 0, "a"), "here")
    np.testing.assert_array_equal(found, PIXELS)
    encoded = cv2.imencode(".jpg", np.full((6, 8, 3), (10, 20, 200), np.uint8))[1].tobytes()
    red = pixels_of(compressed(encoded, 0, "a", "rgb8; jpeg compressed bgr8"), "here")
    assert np.abs(red.astype(int) - (200, 20, 10)).max() < 12
    with pytest.raises(ValueError, match="here: no readable JPEG"):
        pixels_of(compressed(b"abc", 0, "a"), "here")


def test_images_that_are_wrong_are_named():
    with pytest.raises(ValueError, match="encoding '16UC1'; expected one of rgb8"):
        pixels_of(image(PIXELS, 0, "a", "16UC1"), "here")
    short = image(PIXELS, 0, "a")
    short.data = short.data[:-1]
    with pytest.raises(ValueError, match="here: 143 bytes for 6x8 pixels"):
        pixels_of(short, "here")


# --- calibrations --------------------------------------------------------------------------------

K = [[40.0, 0, 16], [0, 40, 12], [0, 0, 1]]


def test_models_of_lenses():
    five, four = (0.1, -0.2, 0.01, 0.02, 0.03), (0.1, 0.2, 0.3, 0.4)
    eight = (*five, 0.01, 0.02, 0.03)
    for model, coefficients, lens in (
        ("plumb_bob", five, BrownConrady(*five)),
        ("rational_polynomial", eight, BrownConrady(*eight)),
        ("equidistant", four, Fisheye(*four)),
        ("plumb_bob", (0,) * 5, kit.lens.PINHOLE),
    ):
        info = camera_info(K, (24, 32), 0, "a", coefficients, model)
        assert intrinsics_of(info, False, "here").lens == lens
    with pytest.raises(ValueError, match="here: distortion model"):
        intrinsics_of(camera_info(K, (24, 32), 0, "a", five, "magic"), False, "here")
    assert intrinsics_of(camera_info(np.zeros((3, 3)), (24, 32), 0, "a"), False, "here") is None


def test_rectified_images_have_the_matrix_p_and_no_distortion():
    info = camera_info(K, (24, 32), 0, "a", (0.1, 0, 0, 0, 0))
    info.p = np.array([[50.0, 0, 16, -5], [0, 50, 12, 0], [0, 0, 1, 0]]).ravel()
    found = intrinsics_of(info, True, "here")
    assert found.K[0, 0] == 50 and found.lens == kit.lens.PINHOLE
    # The pixel of a point, by hand: u = (50 x + 16 z - 5) / z
    x, z = 2.0, 10.0
    camera = found.T_image_camera @ torch.tensor([x, 0, z, 1], dtype=torch.float64)
    u = (found.K @ camera[:3])[0] / camera[2]
    assert u == pytest.approx((50 * x + 16 * z - 5) / z)


def test_the_first_parent_of_a_frame_counts_and_one_pose_is_fixed(tmp_path):
    moved = np.eye(4)
    moved[:3, 3] = [1, 2, 3]
    path = write_bag(
        tmp_path / "b",
        [
            ("/points", START, small_cloud()),
            ("/tf", START, tf(transform("base", "lidar", moved, START))),
            ("/tf", START + 1, tf(transform("other", "lidar", np.eye(4), START))),
        ],
    )
    data = kit.open_dataset(path)
    assert data._frames_of_robot.parents == {"lidar": "base"}
    assert data[0].T_global_lidar is None  # nothing is known about motion
