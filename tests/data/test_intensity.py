"""The constants of nuScenes are used only where the scans agree with them."""

import warnings

import numpy as np
import pytest
import small_root

from kit.data import open_dataset
from kit.student.scans import point_features


def root_of(tmp_path, scale_of, vehicle="robot1"):
    def scan_of(number):
        points = small_root.scan(number)
        points[:, 3] *= scale_of(number // 3) / 60  # three files in each keyframe
        return points

    return small_root.write_root(
        tmp_path, small_root.tables(keyframes=3, vehicle=vehicle), scan_of=scan_of
    )


def input_channel(keyframe) -> np.ndarray:
    return point_features(keyframe.points, keyframe.intensity, keyframe.sensor)[:, 0].numpy()


@pytest.mark.parametrize("scale", [1.0, 255.0, 65_535.0, 2000.0])
def test_other_units_with_names_of_nuscenes_are_measured_with_a_warning(tmp_path, scale):
    dataset = open_dataset(root_of(tmp_path, lambda number: scale, vehicle="n015"))
    with pytest.warns(UserWarning, match=r"names of nuScenes \(n015\).*not those of nuScenes"):
        sensor = dataset.sensor
    assert sensor.name == "n015 LIDAR_TOP, intensity measured on 3 keyframes"
    for index in range(3):
        values = input_channel(dataset[index])
        assert abs(values.mean()) < 0.2 and 0.8 < values.std() < 1.2


def test_intensities_like_those_of_nuscenes_have_its_constants(tmp_path):
    dataset = open_dataset(root_of(tmp_path, lambda number: 60.0, vehicle="n008"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dataset.sensor.name == "nuScenes HDL-32E"


@pytest.mark.parametrize("scale", [0.0, 1.0, 65_535.0])
def test_own_vehicles_are_measured_whatever_the_unit(tmp_path, scale):
    dataset = open_dataset(root_of(tmp_path, lambda number: scale))
    values = np.concatenate([input_channel(dataset[index]) for index in range(3)])
    assert abs(values.mean()) < 1e-3
    assert abs(values.std() - (scale > 0)) < 1e-2


def test_nearly_constant_intensities_are_not_amplified(tmp_path):
    dataset = open_dataset(root_of(tmp_path, lambda number: 1e-9))
    assert dataset.sensor.intensity_std == 1.0
    assert np.abs(input_channel(dataset[0])).max() < 1e-6


def test_a_scan_in_another_unit_is_named(tmp_path):
    dataset = open_dataset(root_of(tmp_path, lambda number: 1.0 if number == 0 else 255.0))
    with pytest.warns(UserWarning, match="LIDAR_TOP-0-0.pcd.bin: its intensities have.*one unit"):
        assert dataset.sensor is not None


def test_a_data_set_without_vehicles_has_no_constants_of_nuscenes(tmp_path):
    dataset = open_dataset(root_of(tmp_path, lambda number: 60.0, vehicle=""))
    assert dataset.sensor.name == "LIDAR_TOP, intensity measured on 3 keyframes"
