"""Statistics of the intensities of a lidar: ScaLR's constants for nuScenes, else measured."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch

from kit.data.intensity import HDL_32E, measured_sensor, read_some
from kit.data.keyframe import Sensor
from kit.data.nuscenes.scans import read_scan


def lidar_of(files: Sequence[Path], vehicles: Sequence[str], channel: str) -> Sensor:
    """Make the sensor of a data set in the nuScenes schema.

    The cars of nuScenes have names that begin with "n0". Their constants are used only if the scans
    agree with them, because converted data sets often keep the names.

    Args:
        files: some scans; broken ones are skipped.
        vehicles: names of the cars.
        channel: of the lidar, for the sensor's name.

    Raises:
        ValueError: all files are broken.
    """
    scans = read_some(files, lambda file: read_scan(file).intensity)
    is_named = bool(vehicles) and all(vehicle.startswith("n0") for vehicle in vehicles)
    lidar = f"{' and '.join(vehicles)} {channel}".strip()
    sensor = measured_sensor(scans, lidar, HDL_32E if is_named else None)
    if is_named and sensor != HDL_32E.sensor:
        brightest = float(torch.cat(list(scans.values())).max())
        warnings.warn(
            f"the cars have names of nuScenes ({', '.join(vehicles)}), but their intensities (mean "
            f"{sensor.intensity_mean:.4g}, maximum {brightest:.4g}) are not those of nuScenes "
            f"(mean {HDL_32E.sensor.intensity_mean:.1f}, at most 255): the measured mean and "
            "deviation are used",
            stacklevel=2,
        )
    return sensor
