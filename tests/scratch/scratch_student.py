"""A new kind of student: every point by itself, through two linear layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from kit.student.student import DistilledFrom, StudentConfig, check_layers


@dataclass(frozen=True)
class PointwiseConfig(StudentConfig):
    """Settings of a pointwise student.

    Attributes:
        width: channels C of a point.
    """

    network: ClassVar[str] = "scratch_student:Pointwise"
    width: int = 16


class Pointwise(nn.Module):
    """Point features (N, C) from a point's own five inputs, and a head to the teacher's D."""

    layers = ("hidden", "output")
    distilled_from: DistilledFrom | None = None

    def __init__(self, config: PointwiseConfig):
        super().__init__()
        self.config = config
        self.first = nn.Linear(5, config.width)
        self.second = nn.Linear(config.width, config.width)
        self.classif = nn.Linear(config.width, config.head[-1])

    def features(self, batch, layers: Sequence[str] | None = None):
        hidden = torch.relu(self.first(batch.feat))
        found = {"hidden": hidden, "output": torch.relu(self.second(hidden))}
        if layers is None:
            return found["output"]
        return {name: found[name] for name in check_layers(self, layers)}

    def head(self, point_feat):
        return self.classif(point_feat)

    def stages(self) -> dict[str, list[nn.Module]]:
        return {"layers": [self.first, self.second]}

    def forward(self, batch):
        return self.head(self.features(batch))
