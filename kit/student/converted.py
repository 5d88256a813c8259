"""Result of converting a checkpoint: settings, tensors by the kit's names, and a probe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from kit.store.state_dict import some
from kit.student.scans import InputConfig
from kit.student.student import StudentConfig


@dataclass(frozen=True)
class PublishedFile:
    """A published checkpoint that is to be converted.

    Attributes:
        tensors: by their names in the file, without prefixes.
        path: of the file, for messages.
        activation: "relu" or "gelu" of a WaffleIron; None: it is inferred.
        inputs: how scans are prepared; None: as in the publication.
    """

    tensors: Mapping[str, Tensor]
    path: str | Path
    activation: str | None = None
    inputs: InputConfig | None = None


@dataclass(frozen=True)
class Converted:
    """A student's settings and tensors.

    Attributes:
        config: the settings, inferred from the tensors.
        tensors: by the names that the kit's student has.
        left_out: names in the file without a place in the kit's student.
        probe: the classification head, if the file has one.
    """

    config: StudentConfig
    tensors: dict[str, Tensor]
    left_out: list[str] = field(default_factory=list)
    probe: nn.Sequential | None = None


def probe_from(tensors: Mapping[str, Tensor], where: str | Path) -> nn.Sequential:
    """A probe, BatchNorm and one linear layer in eval mode, from the tensors of one.

    Args:
        tensors: "0.weight", "0.bias", "0.running_mean" and "0.running_var" of the BatchNorm,
            "1.weight" and "1.bias" of the layer.
        where: names the file in messages.

    Raises:
        ValueError: tensors are missing or do not fit together.
    """
    weight = tensors.get("1.weight")
    if weight is None or weight.ndim not in (2, 3):
        raise ValueError(
            f"{where}: expected a classification head of BatchNorm and one linear layer, got "
            f"{some(tensors) or 'none'}"
        )
    classes, width = weight.shape[:2]
    probe = nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, classes))
    state = {**tensors, "1.weight": weight.flatten(1)}
    expected = probe.state_dict()
    state.setdefault("0.num_batches_tracked", expected["0.num_batches_tracked"])
    faults = [
        name
        for name in {*state, *expected}
        if name not in state
        or name not in expected
        or state[name].shape != expected[name].shape
        or state[name].is_floating_point() != expected[name].is_floating_point()
    ]
    if faults:
        raise ValueError(
            f"{where}: the classification head does not fit together: {some(sorted(faults))}"
        )
    probe.load_state_dict(state)
    return probe.requires_grad_(False).eval()
