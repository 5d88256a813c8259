"""Import published WaffleIron checkpoints: `python -m kit import-checkpoint FILE`.

ScaLR keeps the student under `model_point` (older files: `model_points`), WaffleIron under `net`.
The names of both begin with `module.`. Other keys and prefixes, such as Lightning's `student.` and
the `_orig_mod.` of torch.compile, are found as well if only one network is there. The kit's
WaffleIron has the published names and shapes, so the import finds the tensors, infers the size from
them, and reports which matched.

Source: the saved dictionaries of ScaLR (arXiv:2310.17504) and WaffleIron (arXiv:2301.10100).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kit.store import read_torch_file
from kit.store.state_dict import (
    check_values,
    misfits,
    prefix_of,
    some,
    state_dicts_in,
    without_wrappers,
)
from kit.student.checkpoints import save_student
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

KEYS = ("model_point", "model_points", "net")
ANCHORS = ("embed.conv1.weight", "embed.final.weight")  # names that only a WaffleIron has


@dataclass(frozen=True)
class Imported:
    """A student read from a published checkpoint.

    Attributes:
        student: in eval mode.
        key: the key in the file under which it was found; "" if the file holds only the tensors.
        matched: names of the tensors that were loaded.
        left_out: names in the file that the student does not have.
        missing: names of the student that are not in the file; they keep their random values.
    """

    student: WaffleIron
    key: str
    matched: list[str]
    left_out: list[str]
    missing: list[str]

    def __str__(self) -> str:
        config = self.student.config
        lines = [
            f"found under {self.key!r}: WaffleIron, {config.depth} layers of {config.width} "
            f"channels, {config.norm} norm, {config.activation}, head {list(config.head)}",
            f"inputs (not in the file): {config.inputs}",
            f"{len(self.matched)} tensors matched",
        ]
        for names, words in ((self.left_out, "left out"), (self.missing, "missing, still random")):
            if names:
                more = ", ..." if len(names) > 6 else ""
                lines.append(f"{len(names)} {words}: {', '.join(names[:6])}{more}")
        return "\n".join(lines)


def import_checkpoint(
    path: str | Path,
    out: str | Path | None = None,
    *,
    activation: str | None = None,
    inputs: InputConfig = InputConfig(),  # noqa: B008
) -> Imported:
    """Read a published WaffleIron and, if `out` is given, write it as a file of the kit.

    Args:
        path: a .pth or .pt file, or a .tar.gz that holds one.
        out: the .safetensors file to write, for `load_student`.
        activation: "relu" or "gelu", which the file does not say. None: GELU if the head has
            several layers (ScaLR+), else ReLU.
        inputs: how scans are prepared, which the file does not say either; the default is ScaLR's.

    Raises:
        ValueError: the file holds code, no student or several, weights that are not finite, or
            tensors whose shapes do not fit together.
    """
    tensors, left_out, key = _find_student(_read(Path(path)), path)
    check_values(tensors, path)
    config = replace(_infer(tensors, path), inputs=inputs)
    if activation is not None:
        config = replace(config, activation=activation)
    with torch.device("meta"):  # nothing is allocated for names that do not fit together
        expected = WaffleIron(config).state_dict()
    if wrong := list(misfits(tensors, expected)):
        raise ValueError(f"{path}: {len(wrong)} tensors do not fit: {some(wrong, 3)}")
    matched = {name: tensor for name, tensor in tensors.items() if name in expected}
    missing = [n for n in expected if n not in matched and not n.endswith("num_batches_tracked")]
    required = [name for name in missing if not name.startswith("classif")]
    if required:
        raise ValueError(
            f"{path}: {len(required)} tensors are missing: {some(required)}; found {some(tensors)}"
        )
    student = WaffleIron(config).eval()
    student.load_state_dict(matched, strict=False)
    left_out = [name for name in tensors if name not in expected] + left_out
    if out is not None:
        save_student(student, out, source=Path(path).name)
    return Imported(student, key, list(matched), left_out, missing)


def _read(path: Path) -> object:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    return read_torch_file(path)


def _find_student(content: object, path: str | Path) -> tuple[dict[str, Tensor], list[str], str]:
    """The student's tensors by their own names, other names, and the key they were found under."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected a dictionary of tensors, got {type(content).__name__}")
    states = {key: without_wrappers(each) for key, each in state_dicts_in(content).items()}
    prefixes = {key: prefix_of(each, ANCHORS, path) for key, each in states.items()}
    students = [key for key, prefix in prefixes.items() if prefix is not None]
    key = next((key for key in KEYS if key in students), None)
    if key is None and len(students) != 1:
        listed = "; ".join(f"under {key!r}: {some(each, 3)}" for key, each in states.items())
        raise ValueError(
            f"{path}: expected one WaffleIron, with {ANCHORS[0]} among its names, alone or under "
            f"one of {', '.join(KEYS)}; found {len(students)}. Tensors in the file: "
            f"{listed[:500] or 'none'}"
        )
    key = students[0] if key is None else key
    prefix, state = prefixes[key], states[key]
    own = {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}
    return own, [name for name in state if not name.startswith(prefix)], key


def _infer(tensors: Mapping[str, Tensor], path: str | Path) -> WaffleIronConfig:
    """Infer size and variant from names and shapes."""
    weight = tensors["embed.conv1.weight"]
    if weight.ndim != 3 or weight.shape[1] != 5:
        raise ValueError(
            f"{path}: embed.conv1.weight has shape {tuple(weight.shape)}; expected (channels, 5, 1)"
            ": intensity, x, y, z and range"
        )
    layers = [re.match(r"waffleiron\.spatial_mix\.(\d{1,4})\.", name) for name in tensors]
    numbers = [int(found[1]) for found in layers if found]
    norm = "waffleiron.spatial_mix.0.norm.running_mean"
    head = _head_widths(tensors)
    return WaffleIronConfig(
        depth=max(numbers, default=0) + 1,
        width=weight.shape[0],
        head=head or (weight.shape[0],),
        norm="batch" if norm in tensors else "layer",
        activation="gelu" if len(head) > 1 else "relu",
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
