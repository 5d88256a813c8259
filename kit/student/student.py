"""What every student offers: the interface between 3-D networks and the rest of the kit.

A new kind of student is one file with a `StudentConfig` and an `nn.Module` that follows `Student`,
and one line in `kit.student.presets.PRESETS`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kit.student.scans import InputConfig, PointBatch

HEAD = "head"  # the distillation head, where a layer can be named


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Settings that every student has.

    Attributes:
        head: widths of the distillation head's layers; the last one is the teacher's D.
        inputs: how scans are prepared.
    """

    network: ClassVar[str]  # "module:Class", imported when a student of this kind is built
    head: tuple[int, ...] = (1024,)
    inputs: InputConfig = InputConfig()

    def __post_init__(self):
        if not self.head or min(self.head) < 1:
            raise ValueError(f"every head width must be at least 1, got {self.head}")


@dataclass(frozen=True)
class DistilledFrom:
    """The teacher of a student: its name, and its fingerprint, which identifies its features."""

    name: str
    fingerprint: str


@runtime_checkable
class Student(Protocol):
    """A 3-D network on lidar points with a distillation head; it is an `nn.Module` too.

    Attributes:
        config: its settings.
        layers: names of the places where `features` can read, from input to output.
        distilled_from: the teacher whose features the head predicts; None before distillation.
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
        """The network's parts by name, as a profile groups them."""


def device_of(student: nn.Module) -> torch.device:
    """The device of a network's parameters."""
    return next(student.parameters()).device


@contextmanager
def eval_mode(network: nn.Module) -> Iterator[None]:
    """Put a network in eval mode, afterwards back into the mode it was in."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def check_layers(student: Student, layers: Sequence[str]) -> Sequence[str]:
    """Return the names, if the student has all of them.

    Raises:
        ValueError: no name, or unknown ones; lists the student's.
    """
    unknown = [name for name in layers if name not in student.layers]
    if unknown or not layers:
        raise ValueError(
            f"no layer {', '.join(map(repr, unknown)) or 'was named'}; this student has "
            f"{', '.join(student.layers)}, and its head"
        )
    return layers
