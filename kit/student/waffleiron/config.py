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
        norm: "layer" (ScaLR) or "batch" (the original); the embedding always has BatchNorm.
        activation: "relu" (ScaLR) or "gelu" (ScaLR+) in the mixes.
        drop_path: chance that a scan skips a mix in training.
        checkpointing: keep only the mixes' inputs for the backward pass and compute them again
            (ScaLR+): less memory, a third more time.
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
                'checkpointing needs norm="layer": computed twice, BatchNorm would count every '
                "batch twice in its running statistics"
            )
