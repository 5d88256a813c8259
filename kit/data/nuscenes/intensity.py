"""Statistics of the intensities of a lidar: ScaLR's constants for nuScenes, else measured."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from kit.data.keyframe import Sensor
from kit.data.nuscenes.scans import read_scan

# Source of the mean and standard deviation: ScaLR's nuScenes loader (arXiv:2310.17504).
HDL_32E = Sensor("nuScenes HDL-32E", 18.742355, 22.04632)
# A scan of the HDL-32E has intensities of 0..255, of which few are bright. The mean of one scan
# changes with the place, by less than these factors.
_BRIGHTEST, _MEANS = 255.0, (HDL_32E.intensity_mean / 5, HDL_32E.intensity_mean * 4)
_SAME_UNIT = 50.0  # times the deviation of another scan of the same lidar
_FLAT = 1e-6  # a smaller deviation shows that the lidar has no intensities


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
    scans = _readable(files)
    _warn_of_units(scans)
    values = torch.cat(list(scans.values())).double()
    mean, std = float(values.mean()), float(values.std(correction=0))
    if vehicles and all(vehicle.startswith("n0") for vehicle in vehicles):
        if values.min() >= 0 and values.max() <= _BRIGHTEST and _MEANS[0] <= mean <= _MEANS[1]:
            return HDL_32E
        warnings.warn(
            f"the cars have names of nuScenes ({', '.join(vehicles)}), but their intensities (mean "
            f"{mean:.4g}, maximum {float(values.max()):.4g}) are not those of nuScenes (mean "
            f"{HDL_32E.intensity_mean:.1f}, at most 255): the measured mean and deviation are used",
            stacklevel=2,
        )
    lidar = f"{' and '.join(vehicles)} {channel}".strip()
    keyframes = f"{len(scans)} keyframe{'s' * (len(scans) != 1)}"
    std = std if std >= _FLAT else 1.0
    return Sensor(f"{lidar}, intensity measured on {keyframes}", mean, std)


def _readable(files: Sequence[Path]) -> dict[Path, Tensor]:
    """The intensities of the files that can be read; raises the last error if none can."""
    scans = {}
    for number, file in enumerate(files, start=1):
        try:
            scans[file] = read_scan(file)[1]
        except (OSError, ValueError):
            if not scans and number == len(files):
                raise
    return scans


def _warn_of_units(scans: dict[Path, Tensor]) -> None:
    """Warn if a scan has intensities in another unit, e.g. 0..1 among scans of 0..255."""
    spread = {file: float(values.double().std(correction=0)) for file, values in scans.items()}
    spread = {file: std for file, std in spread.items() if std >= _FLAT}
    if not spread:
        return
    least, most = min(spread, key=spread.__getitem__), max(spread, key=spread.__getitem__)
    if spread[most] > _SAME_UNIT * spread[least]:
        warnings.warn(
            f"{least}: its intensities have a deviation of {spread[least]:.3g}, those of {most} of "
            f"{spread[most]:.3g}. Expected one unit in all scans, e.g. 0..255. Scale those of one, "
            "or features of these keyframes are not comparable",
            stacklevel=3,
        )
