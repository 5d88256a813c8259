"""WaffleIron checkpoints: of ScaLR, ScaLR+ and WaffleIron, which have the names of the kit.

ScaLR keeps the student under `model_point` (older files: `model_points`), WaffleIron and all files
of linear probing and fine-tuning under `net`.

Source: the saved dictionaries of ScaLR (arXiv:2310.17504) and WaffleIron (arXiv:2301.10100).
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from kit.student.converted import Converted, PublishedFile, probe_from
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig

PROBE = "classif."


class Published:
    """A WaffleIron: how it is recognised and converted."""

    NAME = "WaffleIron"
    KEYS = ("model_point", "model_points", "net")
    ANCHORS = ("embed.conv1.weight", "embed.final.weight")  # names that only a WaffleIron has
    BESIDE: ClassVar[dict[str, str]] = {}

    @staticmethod
    def convert(file: PublishedFile) -> Converted:
        """Infer size and variant from names and shapes; the tensors keep their names."""
        tensors, where = file.tensors, file.path
        weight = tensors["embed.conv1.weight"]
        if weight.ndim != 3 or weight.shape[1] != 5:
            raise ValueError(
                f"{where}: embed.conv1.weight has shape {tuple(weight.shape)}; expected "
                "(channels, 5, 1): intensity, x, y, z and range"
            )
        layers = [re.match(r"waffleiron\.spatial_mix\.(\d{1,4})\.", name) for name in tensors]
        numbers = [int(found[1]) for found in layers if found]
        has_batch_norm = "waffleiron.spatial_mix.0.norm.running_mean" in tensors
        head = _head_widths(tensors)
        tensors, probe = _without_probe(tensors, where)
        activation = file.activation
        if activation is None:
            activation = _activation(head, has_batch_norm, where)
        config = WaffleIronConfig(
            depth=max(numbers, default=0) + 1,
            width=weight.shape[0],
            head=head or (weight.shape[0],),
            norm="batch" if has_batch_norm else "layer",
            activation=activation,
            inputs=file.inputs or InputConfig(),
        )
        return Converted(config, tensors, probe=probe)


def _activation(head: tuple[int, ...], has_batch_norm: bool, where: str | Path) -> str:
    """ReLU or GELU, where the distillation head or the normalisation shows which method it is."""
    if has_batch_norm or len(head) == 1:  # WaffleIron, ScaLR
        return "relu"
    if len(head) > 1:  # ScaLR+
        return "gelu"
    raise ValueError(
        f"{where}: holds no distillation head, so it cannot be seen whether the layers have ReLU "
        "(ScaLR) or GELU (ScaLR+), and the wrong one changes the features. Say it: --activation "
        'relu or --activation gelu (activation="relu" in Python)'
    )


def _head_widths(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Output widths of a head's layers: `classif.weight`, or `classif.0.weight`, `classif.2...`."""
    if "classif.weight" in tensors and tensors["classif.weight"].ndim:
        return (tensors["classif.weight"].shape[0],)
    layers = sorted(
        (int(found[1]), tensor.shape[0])
        for name, tensor in tensors.items()
        if (found := re.fullmatch(r"classif\.(\d{1,2})\.weight", name)) and tensor.ndim == 3
    )
    is_head = all(number == 2 * i for i, (number, _) in enumerate(layers))
    return tuple(width for _, width in layers) if is_head else ()


def _without_probe(tensors: Mapping[str, Tensor], where: str | Path):
    """The tensors without a classification head, and the head: BatchNorm and one layer."""
    if f"{PROBE}0.running_mean" not in tensors:
        return dict(tensors), None
    head = {n.removeprefix(PROBE): each for n, each in tensors.items() if n.startswith(PROBE)}
    others = {name: each for name, each in tensors.items() if not name.startswith(PROBE)}
    return others, probe_from(head, where)
