"""Corruptions of a scan in the manner of Robo3D: weather, a shaken lidar, lost and wrong returns.

Each is a function of a keyframe, a severity from 1 to 3 and a generator. It returns a keyframe with
other points. Points that the corruption invents or displaces by metres have no label.

Source: Robo3D (arXiv:2303.17597), kinds of corruption and three severities each. Differs: simple
    models with strengths of our own, not the authors' simulators; so figures can be compared with
    each other, and not with published ones.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from kit.data.classes import IGNORE
from kit.data.keyframe import Keyframe
from kit.data.limits import MAX_INTENSITY
from kit.student.beams import find_beams

SEVERITIES = (1, 2, 3)
VEHICLES = ("bicycle", "bus", "car", "construction_vehicle", "motorcycle", "trailer", "truck")
EXTINCTION = (0.005, 0.015, 0.04)  # of fog, per metre: one sees 600, 200 and 75 m far
SNOW = (0.02, 0.05, 0.1)  # ratio of the points that a snowflake returns
WET = (60.0, 30.0, 15.0)  # metres at which e of the ground's returns is left
SHAKE = (0.05, 0.1, 0.2)  # standard deviation of the points' places, metres
LOST_BEAMS = (0.25, 0.5, 0.75)  # ratio
CROSSTALK = (0.01, 0.03, 0.06)  # ratio of the points
LOST_ECHO = (0.5, 0.75, 0.9)  # ratio of the points on vehicles
FEWER = (2, 3, 4)  # every second, third or fourth beam is kept
CELL, ABOVE = 4.0, 0.3  # the ground: so many metres above the lowest point of a cell

Corruption = Callable[[Keyframe, int, Generator], Keyframe]


def fog(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Fog: returns get weaker with the distance; some are lost, others come from the fog itself.

    A return is lost with the probability 1 - exp(-2 a r). Half of the lost ones are replaced by a
    weak return from nearer by.
    """
    distance = keyframe.points.norm(dim=1)
    left = torch.exp(-2 * EXTINCTION[severity - 1] * distance)
    lost = torch.rand(len(distance), generator=generator) > left
    nearer = lost & (torch.rand(len(distance), generator=generator) < 0.5)
    hazy = replace(keyframe, intensity=keyframe.intensity * left)
    return _with_wrong_returns(hazy, nearer, lost & ~nearer, 15.0, generator)


def snow(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Snow: flakes within some metres of the lidar return the light instead of what is behind."""
    flakes = torch.rand(len(keyframe.points), generator=generator) < SNOW[severity - 1]
    return _with_wrong_returns(keyframe, flakes, torch.zeros_like(flakes), 6.0, generator)


def wet_ground(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Wet ground: it reflects the light away from the lidar, the more the farther away it is."""
    left = torch.exp(-keyframe.points.norm(dim=1) / WET[severity - 1])
    gone = torch.rand(len(left), generator=generator) > left
    ground = _near_the_ground(keyframe.points)
    darker = torch.where(ground, keyframe.intensity / 2, keyframe.intensity)
    return _select(replace(keyframe, intensity=darker), ~(ground & gone))


def motion_blur(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """A shaken lidar: Gaussian noise on the place of every point."""
    noise = torch.randn(keyframe.points.shape, generator=generator) * SHAKE[severity - 1]
    return replace(keyframe, points=keyframe.points + noise)


def missing_beams(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Some beams fail; which ones is random. Beams are estimated by `find_beams`."""
    beam = find_beams(keyframe.points)
    count = int(beam.max()) + 1
    failed = torch.randperm(count, generator=generator)[: round(LOST_BEAMS[severity - 1] * count)]
    return _select(keyframe, ~torch.isin(beam, failed))


def crosstalk(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Light of other lidars: some points have an error of metres in their distance."""
    wrong = torch.rand(len(keyframe.points), generator=generator) < CROSSTALK[severity - 1]
    shift = 3.0 * torch.randn(len(wrong), generator=generator)
    distance = keyframe.points.norm(dim=1).clamp(min=1e-6)
    scale = ((distance + shift).clamp(min=1.0) / distance)[:, None]
    points = torch.where(wrong[:, None], keyframe.points * scale, keyframe.points)
    return replace(keyframe, points=points, labels=_unlabelled(keyframe, wrong))


def incomplete_echo(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Dark vehicles return too little light: many of their points are lost.

    Raises:
        ValueError: the keyframe has no labels, which tell where vehicles are.
    """
    if keyframe.labels is None:
        raise ValueError(f"incomplete_echo needs labels, keyframe {keyframe.token} has none")
    numbers = [i for i, name in enumerate(keyframe.classes.names) if name in VEHICLES]
    vehicle = torch.isin(keyframe.labels, torch.tensor(numbers, dtype=torch.int64))
    gone = torch.rand(len(vehicle), generator=generator) < LOST_ECHO[severity - 1]
    return _select(keyframe, ~(vehicle & gone))


def cross_sensor(keyframe: Keyframe, severity: int, generator: Generator) -> Keyframe:
    """Another lidar: only every second, third or fourth beam, see `find_beams`."""
    every = FEWER[severity - 1]
    first = int(torch.randint(every, (1,), generator=generator))
    return _select(keyframe, find_beams(keyframe.points) % every == first)


CORRUPTIONS: dict[str, Corruption] = {
    "fog": fog,
    "snow": snow,
    "wet ground": wet_ground,
    "motion blur": motion_blur,
    "missing beams": missing_beams,
    "crosstalk": crosstalk,
    "incomplete echo": incomplete_echo,
    "cross sensor": cross_sensor,
}


def corrupt(keyframe: Keyframe, name: str, severity: int, seed: int = 0) -> Keyframe:
    """Corrupt the scan of a keyframe; images stay as they are.

    Args:
        keyframe: stays as it is.
        name: of `CORRUPTIONS`.
        severity: 1 (light) to 3 (heavy).
        seed: of everything that is drawn.

    Raises:
        ValueError: unknown name or severity; lists the names.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption {name!r}; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"severity must be 1, 2 or 3, got {severity}")
    return CORRUPTIONS[name](keyframe, severity, Generator().manual_seed(seed))


def _with_wrong_returns(
    keyframe: Keyframe,
    wrong: Bool[Tensor, " N"],
    lost: Bool[Tensor, " N"],
    mean: float,
    generator: Generator,
) -> Keyframe:
    """Move some points towards the lidar, to exponentially distributed distances; remove others."""
    distance = keyframe.points.norm(dim=1).clamp(min=1e-6)
    drawn = -mean * torch.rand(len(distance), generator=generator).clamp(min=1e-6).log()
    scale = (torch.minimum((drawn + 1).clamp(min=1.0), distance) / distance)[:, None]
    points = torch.where(wrong[:, None], keyframe.points * scale, keyframe.points)
    weak = 0.1 * keyframe.intensity.median() * torch.ones_like(keyframe.intensity)
    intensity = torch.where(wrong, weak, keyframe.intensity).clamp(max=MAX_INTENSITY)
    moved = replace(
        keyframe, points=points, intensity=intensity, labels=_unlabelled(keyframe, wrong)
    )
    return _select(moved, ~lost)


def _unlabelled(keyframe: Keyframe, points: Bool[Tensor, " N"]) -> Tensor | None:
    if keyframe.labels is None:
        return None
    return torch.where(points, torch.full_like(keyframe.labels, IGNORE), keyframe.labels)


def _select(keyframe: Keyframe, kept: Bool[Tensor, " N"]) -> Keyframe:
    """A keyframe with some of its points; at least one stays."""
    if not kept.any():
        kept = torch.arange(len(kept)) == 0
    return keyframe.select(kept)


def _near_the_ground(points: Float[Tensor, "N 3"]) -> Bool[Tensor, " N"]:
    """Points a little above the lowest point of their cell, seen from above."""
    _, cell = (points[:, :2] / CELL).floor().long().unique(dim=0, return_inverse=True)
    lowest = torch.full((int(cell.max()) + 1,), torch.inf)
    lowest = lowest.scatter_reduce(0, cell, points[:, 2], "amin")
    return points[:, 2] < lowest[cell] + ABOVE
