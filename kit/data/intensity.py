"""Statistics of the intensities of a lidar: published constants where they apply, else measured."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from kit.data.keyframe import Sensor

Item = TypeVar("Item")
# The mean of one scan changes with the place, by less than these factors.
_LOWEST, _HIGHEST = 1 / 5, 4
_SAME_UNIT = 50.0  # times the deviation of another scan of the same lidar
_FLAT = 1e-6  # a smaller deviation shows that the lidar has no intensities


@dataclass(frozen=True)
class PublishedSensor:
    """A lidar whose intensity statistics were published.

    Attributes:
        sensor: with the published mean and standard deviation.
        brightest: largest intensity that the lidar gives.
    """

    sensor: Sensor
    brightest: float

    def agrees(self, values: Tensor) -> bool:
        """Return whether measured intensities can be those of this lidar."""
        low, high = (self.sensor.intensity_mean * factor for factor in (_LOWEST, _HIGHEST))
        inside = bool(values.min() >= 0 and values.max() <= self.brightest)
        return inside and low <= float(values.double().mean()) <= high


# Source of the means and standard deviations: ScaLR's data loaders (arXiv:2310.17504).
HDL_32E = PublishedSensor(Sensor("nuScenes HDL-32E", 18.742355, 22.04632), 255.0)
HDL_64E = PublishedSensor(Sensor("KITTI HDL-64E", 0.28613698, 0.14090556), 1.0)
PANDAR64 = PublishedSensor(Sensor("PandaSet Pandar64", 18.23640649, 25.86983417), 255.0)
PANDARGT = PublishedSensor(Sensor("PandaSet PandarGT", 23.06113565, 16.76273235), 255.0)


def read_some(items: Iterable[Item], read: Callable[[Item], Tensor]) -> dict[Item, Tensor]:
    """Read the intensities of some scans; broken ones are skipped.

    Args:
        items: what `read` takes, for example files.
        read: returns the (N,) intensities of one scan.

    Raises:
        OSError: no scan can be read; the error of the last one.
        ValueError: the same.
    """
    scans, last = {}, None
    for item in items:
        try:
            scans[item] = read(item)
        except (OSError, ValueError) as error:
            last = error
    if not scans and last is not None:
        raise last
    return scans


def measured_sensor(
    scans: Mapping[Item, Tensor], lidar: str, published: PublishedSensor | None = None
) -> Sensor:
    """Make a sensor from the intensities of some scans.

    Args:
        scans: the (N,) intensities by the name of their file, at least one.
        lidar: name of the sensor.
        published: its statistics are used if the scans agree with them.
    """
    warn_of_units(scans)
    values = torch.cat(list(scans.values())).double()
    if published is not None and published.agrees(values):
        return published.sensor
    mean, std = float(values.mean()), float(values.std(correction=0))
    std = std if std >= _FLAT else 1.0
    keyframes = f"{len(scans)} keyframe{'s' * (len(scans) != 1)}"
    return Sensor(f"{lidar}, intensity measured on {keyframes}", mean, std)


def warn_of_units(scans: Mapping[Item, Tensor]) -> None:
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
