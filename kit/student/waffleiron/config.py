"""Settings of a WaffleIron; importing them loads no network."""

from dataclasses import dataclass
from typing import ClassVar

from kit.student.student import StudentConfig

NORMS = ("layer", "batch")
ACTIVATIONS = ("relu", "gelu")


@dataclass(frozen=True)
class WaffleIronConfig(StudentConfig):
    """Size and variant of a WaffleIron.

    Attributes:
        depth: number of layers; layer i works on plane i modulo 3.
        width: channels C of a point.
        norm: normalisation in the mixes: "layer" (ScaLR) or "batch" (the original WaffleIron). The
            embedding always has BatchNorm.
        activation: non-linearity in the mixes: "relu" (ScaLR) or "gelu" (ScaLR+).
        drop_path: probability that a mix is skipped for a scan, in training.
        checkpointing: activation checkpointing: keep only the input of each mix for the backward
            pass and compute the rest again (ScaLR+). It needs less memory and a third more time.
    """

    network: ClassVar[str] = "kit.student.waffleiron.model:WaffleIron"
    depth: int = 48
    width: int = 768
    norm: str = "layer"
    activation: str = "relu"
    drop_path: float = 0.0
    checkpointing: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.depth < 1 or self.width < 1:
            raise ValueError(f"depth and width must be at least 1, got {self}")
        if self.norm not in NORMS or self.activation not in ACTIVATIONS:
            raise ValueError(
                f"norm is one of {list(NORMS)} and activation one of {list(ACTIVATIONS)}, "
                f"got {self.norm!r} and {self.activation!r}"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path must be in [0, 1), got {self.drop_path}")
        if self.checkpointing and self.norm == "batch":
            raise ValueError(
                'checkpointing needs norm="layer": with norm="batch" every batch would enter the '
                "running statistics twice"
            )
