"""Features and points made by hand, so that a test knows the answer."""

import math

import torch

from kit.features.spaces import Features, Space

SPACE = Space("a", 3, "key-of-a")
CORNERS = [[a, b, c] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)]
GROUND = -1.8  # metres; the lidar is as high above the ground


def features(feat, index=None, num_points=None, space=SPACE) -> Features:
    """Features from rows; by default of all points."""
    feat = torch.tensor(feat)
    index = torch.arange(len(feat)) if index is None else torch.tensor(index)
    return Features(space, feat, index, num_points or len(feat))


def ground(half=20.0, step=0.5):
    """Points on flat ground around the lidar."""
    x, y = torch.meshgrid(*[torch.arange(-half, half, step)] * 2, indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), torch.full((x.numel(),), GROUND)], 1)


def block(x, y, length=4.0, width=1.8, height=1.5, angle=0.0, count=400, seed=0):
    """Points that fill an upright block on the ground, its corners included."""
    unit = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) - 0.5
    unit = torch.cat([unit, torch.tensor(CORNERS)])
    local = unit * torch.tensor([length, width, height])
    c, s = math.cos(angle), math.sin(angle)
    rotated = local[:, :2] @ torch.tensor([[c, s], [-s, c]])
    return torch.cat([rotated + torch.tensor([x, y]), local[:, 2:] + GROUND + height / 2], 1)


def shell(x, y, length=4.0, width=1.8, height=1.5, count=400, seed=0):
    """Points on the sides and the roof of an upright block on the ground."""
    size, origin = torch.tensor([length, width, height]), torch.tensor([x, y, height / 2 + GROUND])
    unit = (block(x, y, length, width, height, count=count, seed=seed) - origin) / size
    to_side = 0.5 - unit.abs()
    to_side[:, 2] = torch.where(unit[:, 2] > 0, to_side[:, 2], torch.inf)
    nearest = to_side.argmin(1, keepdim=True)
    unit.scatter_(1, nearest, 0.5 * unit.gather(1, nearest).sign())
    return unit * size + origin
