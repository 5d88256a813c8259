"""Augmentations of a scan, applied before any feature is computed from it."""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from kit.data.keyframe import Sensor

# Standard deviations of the changes of `vary_sensor`.
TILT = math.radians(2.0)
HEIGHT = 0.3  # metres
GAMMA, GAIN, OFFSET = 0.4, 0.3, 0.3  # gamma and gain as natural logarithms; offset in deviations
NO_INTENSITY = 0.2  # ratio of the changed scans that have the same intensity everywhere


def rotate_flip_scale(points: Float[Tensor, "N 3"], generator: Generator) -> Float[Tensor, "N 3"]:
    """Rotate about z by any angle, flip x or y in two of three scans, scale by 0.9 to 1.1.

    Args:
        points: lidar frame, metres.
        generator: draws the angle, the flip and the scale.

    Source: ScaLR (arXiv:2310.17504), augmentations of the pretraining.
    """
    angle, flip, scale = torch.rand(3, generator=generator).tolist()
    axis = int(torch.randint(2, (1,), generator=generator))
    angle = (2 * angle - 1) * math.pi
    c, s = math.cos(angle), math.sin(angle)
    rotated = points @ torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
    if flip < 2 / 3:
        rotated[:, axis] *= -1
    return rotated * (0.9 + 0.2 * scale)


def vary_sensor(
    points: Float[Tensor, "N 3"],
    intensity: Float[Tensor, " N"],
    sensor: Sensor,
    generator: Generator,
) -> tuple[Float[Tensor, "N 3"], Float[Tensor, " N"]]:
    """Change a scan as if a lidar of another kind, mounted in another way, had recorded it.

    The lidar is tilted and lifted a little. Intensities get another gamma curve, gain and offset,
    or are the same for all points: lidars of different makers, and a lidar on another day, agree
    in positions and not in intensities.

    Args:
        points: lidar frame, metres.
        intensity: in the sensor's own unit.
        sensor: its mean and standard deviation of intensities are those of the result, roughly.
        generator: draws the changes.

    Returns:
        points and intensities, changed; the inputs stay as they are.
    """
    pitch, roll, height, gamma, gain, offset = torch.randn(6, generator=generator).tolist()
    without = float(torch.rand(1, generator=generator)) < NO_INTENSITY
    moved = points @ _tilt(TILT * pitch, TILT * roll).T
    moved[:, 2] += HEIGHT * height
    mean, std = sensor.intensity_mean, sensor.intensity_std
    if without or len(intensity) < 2:
        return moved, torch.full_like(intensity, mean)
    curved = intensity.clamp(min=0).pow(math.exp(GAMMA * gamma))
    standard = (curved - curved.mean()) / curved.std().clamp(min=1e-6)
    return moved, mean + std * (math.exp(GAIN * gain) * standard + OFFSET * offset)


def _tilt(pitch: float, roll: float) -> Float[Tensor, "3 3"]:
    """The rotation about y by `pitch` and then about x by `roll`, in radians."""
    c, s = math.cos(pitch), math.sin(pitch)
    about_y = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    c, s = math.cos(roll), math.sin(roll)
    return torch.tensor([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]]) @ about_y
