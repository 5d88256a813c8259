"""Reading data sets in the nuScenes schema: complete and partial downloads."""

import math
import pickle
import re
import shutil

import numpy as np
import pytest
import torch
from nuscenes.eval.lidarseg.utils import LidarsegClassMapper
from nuscenes.nuscenes import NuScenes
from nuscenes.utils.data_classes import LidarPointCloud
from nuscenes.utils.geometry_utils import transform_matrix
from PIL import Image
from pyquaternion import Quaternion
from roots import VERSION, edit, read, replace_file, sensor_files, write

from kit.data import open_dataset
from kit.data.classes import IGNORE, NUSCENES
from kit.data.nuscenes import recognises
from kit.data.nuscenes import tables as nuscenes_tables
from kit.data.nuscenes.folder import NuScenesFolder

# Content


def test_points_equal_the_devkit(shared_data):
    frame = open_dataset(shared_data / "nuscenes")[0]
    (file,) = sensor_files(shared_data / "nuscenes", "LIDAR_TOP")
    theirs = torch.from_numpy(LidarPointCloud.from_file(str(file)).points)
    assert torch.equal(frame.points, theirs[:3].T) and torch.equal(frame.intensity, theirs[3])
    assert frame.token == "9d9bf11fb0e144c8b446d54a8a00184f" and frame.scene == "scene-0061"
    assert len(frame.points) == 34688 and frame.num_dropped == 0 and frame.labels is None
    assert frame.timestamp == 1532402927647951
    assert {camera.image_size for camera in frame.cameras.values()} == {(900, 1600)}


@pytest.mark.parametrize("root", ["nuscenes", "pandaset"])
def test_extrinsics_equal_the_devkit_with_ego_motion(shared_data, root):
    dataset = open_dataset(shared_data / root)
    tables = NuScenes(VERSION, str(shared_data / root), verbose=False)

    def steps(token, inverse):
        shot = tables.get("sample_data", token)
        pose = tables.get("ego_pose", shot["ego_pose_token"])
        mount = tables.get("calibrated_sensor", shot["calibrated_sensor_token"])
        both = [
            transform_matrix(m["translation"], Quaternion(m["rotation"]), inverse)
            for m in (pose, mount)
        ]
        return both[1] @ both[0] if inverse else both[0] @ both[1]

    for index in range(0, len(dataset), 5):
        frame = dataset[index]
        sample = tables.get("sample", tables.get("sample_data", frame.token)["sample_token"])
        T_global_lidar = steps(frame.token, inverse=False)
        assert np.abs(frame.T_global_lidar.numpy() - T_global_lidar).max() < 1e-9
        assert len(frame.cameras) == 6
        for name, camera in frame.cameras.items():
            T_cam_global = steps(sample["data"][name], inverse=True)
            assert camera.T_cam_lidar.dtype == torch.float64
            difference = camera.T_cam_lidar.numpy() - T_cam_global @ T_global_lidar
            assert np.abs(difference).max() < 1e-9


def test_extrinsics_stay_precise_far_from_the_origin(nuscenes_copy):
    near = open_dataset(nuscenes_copy)[0].cameras
    edit(nuscenes_copy, "ego_pose", lambda r: r["translation"].__setitem__(0, 1e6))
    same_place = open_dataset(nuscenes_copy)[0].cameras
    edit(nuscenes_copy, "ego_pose", lambda r: r["translation"].__setitem__(0, 0.0))
    for name, camera in open_dataset(nuscenes_copy)[0].cameras.items():
        assert (camera.T_cam_lidar - same_place[name].T_cam_lidar).abs().max() < 1e-8
        assert (camera.T_cam_lidar - near[name].T_cam_lidar).abs().max() > 1e-4, "ego motion"


def test_labels_equal_the_lidarseg_challenge(shared_data):
    dataset = open_dataset(shared_data / "pandaset")
    tables = NuScenes(VERSION, str(shared_data / "pandaset"), verbose=False)
    mapper = LidarsegClassMapper(tables)
    assert dataset.has_labels and dataset.classes == NUSCENES
    for index in (0, -1):
        frame = dataset[index]
        file = shared_data / "pandaset" / tables.get("lidarseg", frame.token)["filename"]
        theirs = mapper.convert_label(np.fromfile(file, np.uint8)).astype(int)  # 0 is ignored
        assert np.array_equal(np.where(theirs == 0, IGNORE, theirs - 1), frame.labels.numpy())
        assert frame.labels.unique().numel() > 8
    assert mapper.coarse_name_2_coarse_idx_mapping == {
        "ignore": 0,
        **{name: index + 1 for index, name in enumerate(dataset.classes.names)},
    }


def test_keyframes_are_in_order_of_time(shared_data):
    dataset = open_dataset(shared_data / "pandaset")
    stamps = [dataset[i].timestamp for i in range(len(dataset))]
    assert len(dataset) == 12 and stamps == sorted(stamps)
    assert [frame.token for frame in (dataset[0], dataset[11])] == dataset.tokens[:: 12 - 1]
    assert dataset.scenes == ["pandaset-002"] * 12


def test_negative_and_numpy_indices_work_and_others_raise_index_errors(shared_data):
    dataset = open_dataset(shared_data / "pandaset")
    assert dataset[-12].token == dataset[np.int64(0)].token == dataset.tokens[0]
    for index in (12, -13):
        with pytest.raises(IndexError, match=f"keyframe {index} of pandaset.*which has 12"):
            dataset[index]


def test_images_are_decoded_only_when_requested(shared_data, monkeypatch):
    opened, original = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(a) or original(*a, **k))
    frame = open_dataset(shared_data / "nuscenes")[0]
    repr(frame)
    assert opened == []
    assert frame.cameras["CAM_BACK"].image.shape == (3, 900, 1600) and len(opened) == 1


def test_opening_prints_nothing_and_pickles_no_devkit(shared_data, capsys):
    dataset = open_dataset(shared_data / "pandaset")
    assert capsys.readouterr() == ("", "")
    stored = pickle.dumps(dataset)
    assert len(stored) < 60_000 and b"nuscenes.nuscenes" not in stored
    copy = pickle.loads(stored)
    assert torch.equal(copy[3].points, dataset[3].points) and copy.sensor == dataset.sensor


def test_repr_counts_keyframes_labels_and_missing_files(shared_data):
    text = repr(open_dataset(shared_data / "pandaset"))
    for part in ("pandaset v1.0-mini", "12 in 1 scene\n", "labelled   12", "missing    nothing"):
        assert part in text


# Intensity statistics


def test_nuscenes_cars_have_the_published_intensity_statistics(shared_data):
    sensor = open_dataset(shared_data / "nuscenes").sensor
    assert (sensor.intensity_mean, sensor.intensity_std) == (18.742355, 22.04632)
    assert "HDL-32E" in sensor.name


def test_other_lidars_are_measured_on_eight_keyframes(shared_data):
    dataset = open_dataset(shared_data / "pandaset")
    evenly = [0, 2, 3, 5, 6, 8, 9, 11]
    values = np.concatenate([dataset[i].intensity.numpy() for i in evenly]).astype(np.float64)
    assert math.isclose(dataset.sensor.intensity_mean, values.mean(), rel_tol=1e-6)
    assert math.isclose(dataset.sensor.intensity_std, values.std(), rel_tol=1e-6)
    assert dataset.sensor.name == "pandaset LIDAR_TOP, intensity measured on 8 keyframes"
    assert dataset.sensor is dataset.sensor


def test_zero_intensities_have_deviation_one_and_only_broken_files_raise(nuscenes_copy):
    edit(nuscenes_copy, "log", lambda r: r.update(vehicle="golf cart"))
    (file,) = sensor_files(nuscenes_copy, "LIDAR_TOP")
    rows = np.fromfile(file, np.float32).reshape(-1, 5)
    rows[:, 3] = 0
    replace_file(file, rows.tobytes())
    sensor = NuScenesFolder(nuscenes_copy).sensor
    assert (sensor.intensity_mean, sensor.intensity_std) == (0.0, 1.0)
    assert sensor.name == "golf cart LIDAR_TOP, intensity measured on 1 keyframe"
    replace_file(file, b"")
    with pytest.raises(ValueError, match=re.escape(str(file))):
        _ = NuScenesFolder(nuscenes_copy).sensor


def test_broken_files_are_skipped_when_intensities_are_measured(pandaset_copy):
    replace_file(sensor_files(pandaset_copy, "LIDAR_TOP")[-1], b"123")
    assert NuScenesFolder(pandaset_copy).sensor.name.endswith("measured on 7 keyframes")


# Partial downloads


def test_missing_files_are_skipped_and_counted(pandaset_copy):
    tokens = open_dataset(pandaset_copy).tokens
    for file in (
        *sensor_files(pandaset_copy, "LIDAR_TOP")[3:5],
        *sensor_files(pandaset_copy, "CAM_BACK")[:2],
    ):
        file.unlink()
    (pandaset_copy / "lidarseg" / VERSION / f"{tokens[0]}_lidarseg.bin").unlink()
    dataset = open_dataset(pandaset_copy)
    assert dataset.tokens == tokens[:3] + tokens[5:] and len(dataset.scenes) == 10
    assert (dataset.num_missing, dataset.num_missing_images) == (2, 2)
    assert dataset.num_missing_labels == 1 and dataset.has_labels
    assert "CAM_BACK" not in dataset[0].cameras and len(dataset[0].cameras) == 5
    assert dataset[0].labels is None and dataset[1].labels is not None
    assert len(dataset[2].cameras) == 6
    text = repr(dataset)
    assert "2 keyframes without their lidar file" in text and "2 images, 1 label files" in text
    assert "labelled   9" in text


def test_other_tables_and_folders_may_be_missing(pandaset_copy):
    shutil.rmtree(pandaset_copy / "maps")
    shutil.rmtree(pandaset_copy / "lidarseg")
    for name in ("map", "sample_annotation", "instance", "attribute", "visibility"):
        (pandaset_copy / VERSION / f"{name}.json").unlink()
    dataset = open_dataset(pandaset_copy)
    assert len(dataset) == 12 and not dataset.has_labels and dataset[0].labels is None
    with pytest.raises(FileNotFoundError):
        NuScenes(VERSION, str(pandaset_copy), verbose=False)  # the reason for our own reader


def test_without_any_lidar_file_the_error_names_an_expected_path(nuscenes_copy):
    shutil.rmtree(nuscenes_copy / "samples" / "LIDAR_TOP")
    with pytest.raises(FileNotFoundError, match=r"samples/LIDAR_TOP/n015.*\.pcd\.bin: missing"):
        open_dataset(nuscenes_copy)
    shutil.rmtree(nuscenes_copy / "samples")
    with pytest.raises(FileNotFoundError, match="all 1 lidar files"):
        open_dataset(nuscenes_copy)


def test_without_any_image_points_are_read(nuscenes_copy):
    for folder in (nuscenes_copy / "samples").glob("CAM_*"):
        shutil.rmtree(folder)
    dataset = open_dataset(nuscenes_copy)
    assert dataset.num_missing_images == 6 and dataset[0].cameras == {}


@pytest.mark.parametrize("broken", ["missing", "cycle", "half"])
def test_a_broken_chain_of_samples_falls_back_to_time_stamps(pandaset_copy, broken):
    tokens = open_dataset(pandaset_copy).tokens
    samples = sorted(read(pandaset_copy, "sample"), key=lambda r: r["timestamp"])
    target = {"missing": "0" * 32, "cycle": samples[2]["token"], "half": ""}[broken]
    samples[7]["next"] = target
    write(pandaset_copy, "sample", samples[::-1])
    assert open_dataset(pandaset_copy).tokens == tokens


def test_samples_with_equal_time_stamps_follow_the_chain(pandaset_copy):
    tokens = open_dataset(pandaset_copy).tokens
    edit(pandaset_copy, "sample", lambda r: r.update(timestamp=0))
    write(pandaset_copy, "sample", read(pandaset_copy, "sample")[::-1])
    assert open_dataset(pandaset_copy).tokens == tokens


def test_scenes_keep_the_order_of_their_table(pandaset_copy):
    (scene,) = read(pandaset_copy, "scene")
    samples = sorted(read(pandaset_copy, "sample"), key=lambda r: r["timestamp"])
    tokens = open_dataset(pandaset_copy).tokens
    early, late = dict(scene, token="a", name="early"), dict(scene, token="b", name="late")
    for sample in samples:
        sample["scene_token"] = "a" if sample["timestamp"] < samples[5]["timestamp"] else "b"
    samples[4]["next"] = ""
    late["first_sample_token"] = samples[5]["token"]
    write(pandaset_copy, "sample", samples)
    write(pandaset_copy, "scene", [late, early])
    dataset = open_dataset(pandaset_copy)
    assert dataset.scenes == ["late"] * 7 + ["early"] * 5
    assert dataset.tokens == tokens[5:] + tokens[:5]
    assert "12 in 2 scenes" in repr(dataset)


def test_sweeps_and_radars_are_skipped(nuscenes_copy):
    shots = read(nuscenes_copy, "sample_data")
    radar = dict(read(nuscenes_copy, "calibrated_sensor")[0], token="r", sensor_token="rs")
    sensors = read(nuscenes_copy, "sensor")
    write(
        nuscenes_copy,
        "sensor",
        [*sensors, {"token": "rs", "channel": "RADAR_FRONT", "modality": "radar"}],
    )
    write(nuscenes_copy, "calibrated_sensor", [*read(nuscenes_copy, "calibrated_sensor"), radar])
    sweep = dict(shots[0], token="s", is_key_frame=False, ego_pose_token="nowhere")
    echo = dict(shots[0], token="e", calibrated_sensor_token="r", ego_pose_token="nowhere")
    write(nuscenes_copy, "sample_data", [sweep, *shots, echo])
    frame = open_dataset(nuscenes_copy)[0]
    assert len(frame.cameras) == 6


def test_rows_of_sweeps_are_dropped_while_parsing(nuscenes_copy):
    shots, poses = read(nuscenes_copy, "sample_data"), read(nuscenes_copy, "ego_pose")
    sweep = dict(shots[0], token="sweep", ego_pose_token="sweep", is_key_frame=False)
    write(nuscenes_copy, "sample_data", [sweep, *shots])
    write(nuscenes_copy, "ego_pose", [dict(poses[0], token="sweep"), *poses])
    tables = nuscenes_tables.Tables(nuscenes_copy, VERSION)
    assert len(tables.sample_data.rows) == len(tables.ego_pose.rows) == 7


# Versions and roots


def test_the_version_is_chosen_by_rule_and_shown(nuscenes_copy):
    shutil.copytree(nuscenes_copy / VERSION, nuscenes_copy / "my-own")
    dataset = open_dataset(nuscenes_copy)
    assert dataset.version == "v1.0-mini" and dataset.name == "nuscenes v1.0-mini"
    assert "also here: my-own" in repr(dataset)
    shutil.copytree(nuscenes_copy / VERSION, nuscenes_copy / "v1.0-trainval")
    assert open_dataset(nuscenes_copy).version == "v1.0-trainval"
    assert open_dataset(nuscenes_copy, version="my-own").version == "my-own"
    with pytest.raises(
        FileNotFoundError, match="v1.0-test.*found v1.0-trainval, v1.0-mini, my-own"
    ):
        open_dataset(nuscenes_copy, version="v1.0-test")


def test_the_only_version_may_have_any_name(nuscenes_copy):
    (nuscenes_copy / VERSION).rename(nuscenes_copy / "drive-7")
    assert open_dataset(nuscenes_copy).version == "drive-7"


def test_the_version_folder_itself_is_accepted(shared_data):
    dataset = open_dataset(shared_data / "nuscenes" / VERSION)
    assert dataset.name == "nuscenes v1.0-mini" and len(dataset[0].points) == 34688


def test_unrecognised_roots_raise_with_what_was_looked_for_and_found(shared_data, tmp_path):
    assert recognises(str(shared_data / "nuscenes"))
    assert not recognises(str(shared_data / "kitti"))
    (tmp_path / "other/training").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="sample.json in it.*found training"):
        open_dataset(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")
    for root in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(str(root))):
            NuScenesFolder(root)
