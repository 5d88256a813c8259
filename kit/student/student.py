"""The interface of every student, between 3-D networks and the rest of the kit.

A new kind of student is one file, with a `StudentConfig` and an `nn.Module` that follows `Student`,
and one line in `kit.student.presets.PRESETS`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.data.keyframe import Sensor
from kit.store.ranges import check_whole
from kit.student.point_batch import PointBatch
from kit.student.scans import InputConfig

HEAD = "head"  # names the distillation head in place of a layer
MAX_SIZE = 2**14  # layers, or channels of a layer; far above every published student


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Settings that every student has.

    The settings `depth` and `width` of a student that has them are from 1 to `MAX_SIZE`.

    Attributes:
        head: channels after each layer of the distillation head; the last is the teacher's D.
        inputs: how scans are prepared.

    Raises:
        ValueError: a value outside of its range.
    """

    network: ClassVar[str]  # "module:Class" of the network, imported when it is built
    head: tuple[int, ...] = (1024,)
    inputs: InputConfig = InputConfig()

    def __post_init__(self):
        if not self.head:
            raise ValueError("head must have at least one layer, got none")
        check_whole(self, 1, MAX_SIZE, "head")
        names = {field.name for field in fields(self)}
        check_whole(self, 1, MAX_SIZE, *sorted(names & {"depth", "width"}))


@dataclass(frozen=True)
class DistilledFrom:
    """The teacher that a student was distilled from.

    Attributes:
        name: the teacher's name.
        fingerprint: a hash that identifies the teacher's features, `Teacher.fingerprint`.
        lidar: by whose mean and deviation the intensities were normalised during training; of
            several data sets their weighted mean. None: not known.
    """

    name: str
    fingerprint: str
    lidar: Sensor | None = None


@runtime_checkable
class Student(Protocol):
    """A 3-D network on lidar points with a distillation head.

    A student is an `nn.Module` too. Calling it gives `head(features(batch))`, (N, D).

    Attributes:
        config: its settings.
        distilled_from: the teacher whose features the head predicts; None before distillation.
        layers: names of the layers that `features` can return, from input to output.

    It may also have a property `bottleneck`: the name and the channels of the layer whose mean
    over many points describes what they show. Only `DistillConfig.class_token` needs it.
    """

    config: StudentConfig
    distilled_from: DistilledFrom | None

    @property
    def layers(self) -> tuple[str, ...]: ...

    def features(
        self, batch: PointBatch, layers: Sequence[str] | None = None
    ) -> Float[Tensor, "N C"] | dict[str, Float[Tensor, "N _"]]:
        """Point features of the last layer, before the head; or of several layers by name."""

    def head(self, point_feat: Float[Tensor, "N C"]) -> Float[Tensor, "N D"]:
        """Map point features to the teacher's feature space."""

    def stages(self) -> dict[str, list[nn.Module]]:
        """The parts of the network by name, for measuring the time of each."""


def device_of(student: nn.Module) -> torch.device:
    """The device of a network's parameters."""
    return next(student.parameters()).device


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into eval mode, and afterwards back into the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def check_layers(student: Student, layers: Sequence[str]) -> Sequence[str]:
    """Return the names if the student has all of these layers.

    Raises:
        ValueError: no name, or unknown names; lists the student's layers.
    """
    unknown = [name for name in layers if name not in student.layers]
    if unknown or not layers:
        raise ValueError(
            f"no layer {', '.join(map(repr, unknown)) or 'was named'}; this student has "
            f"{', '.join(student.layers)}, and its head"
        )
    return layers
