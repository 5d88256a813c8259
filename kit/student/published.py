"""Import published WaffleIron checkpoints: `python -m kit import-checkpoint FILE`.

ScaLR keeps the student under `model_point` (older files: `model_points`), WaffleIron under `net`.
The names of both begin with `module.`. The kit's WaffleIron has the published names and shapes, so
the import finds the tensors, infers the size from them, and reports which matched.

Source: the saved dictionaries of ScaLR (arXiv:2310.17504) and WaffleIron (arXiv:2301.10100).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from kit.store import read_torch_file
from kit.student.checkpoints import save_student
from kit.student.scans import InputConfig
from kit.student.waffleiron.config import WaffleIronConfig
from kit.student.waffleiron.model import WaffleIron

KEYS = ("model_point", "model_points", "net")
PREFIX = "module."


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
        ValueError: the file holds code, no student, or tensors whose shapes do not fit together.
    """
    tensors, key = _find_student(_read(Path(path)), path)
    config = replace(_infer(tensors, path), inputs=inputs)
    if activation is not None:
        config = replace(config, activation=activation)
    student = WaffleIron(config).eval()
    expected = student.state_dict()
    wrong = [
        f"{name}: {tuple(tensor.shape)} in the file, {tuple(expected[name].shape)} expected"
        for name, tensor in tensors.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if wrong:
        raise ValueError(f"{path}: {len(wrong)} tensors have the wrong shape:\n  " + _few(wrong))
    matched = {name: tensor for name, tensor in tensors.items() if name in expected}
    missing = [n for n in expected if n not in matched and not n.endswith("num_batches_tracked")]
    required = [name for name in missing if not name.startswith("classif")]
    if required:
        raise ValueError(f"{path}: {len(required)} tensors are missing:\n  " + _few(required))
    student.load_state_dict(matched, strict=False)
    left_out = [name for name in tensors if name not in expected]
    if out is not None:
        save_student(student, out, source=Path(path).name)
    return Imported(student, key, list(matched), left_out, missing)


def _few(lines: list[str]) -> str:
    return "\n  ".join([*lines[:5], *(["..."] if len(lines) > 5 else [])])


def _read(path: Path) -> object:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    return read_torch_file(path)


def _find_student(content: object, path: str | Path) -> tuple[dict[str, Tensor], str]:
    """The student's tensors under their own names, and the key they were found under."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected a dictionary of tensors, got {type(content).__name__}")
    key = next((key for key in KEYS if isinstance(content.get(key), Mapping)), "")
    state = content[key] if key else content
    tensors = {
        _without_prefix(name): value
        for name, value in state.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if "embed.conv1.weight" not in tensors:
        raise ValueError(
            f"{path}: holds no WaffleIron: expected embed.conv1.weight, alone or under one of "
            f"{', '.join(KEYS)}; found {', '.join(map(str, list(state)[:5]))}"
        )
    return tensors, key


def _without_prefix(name: str) -> str:
    while name.startswith(PREFIX):
        name = name[len(PREFIX) :]
    return name


def _infer(tensors: Mapping[str, Tensor], path: str | Path) -> WaffleIronConfig:
    """Infer size and variant from names and shapes."""
    weight = tensors["embed.conv1.weight"]
    if weight.ndim != 3 or weight.shape[1] != 5:
        raise ValueError(
            f"{path}: embed.conv1.weight has shape {tuple(weight.shape)}; expected (channels, 5, 1)"
            ": intensity, x, y, z and range"
        )
    numbers = [int(n.split(".")[2]) for n in tensors if n.startswith("waffleiron.spatial_mix.")]
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
    if "classif.weight" in tensors:
        return (tensors["classif.weight"].shape[0],)
    layers = sorted(
        (int(name.split(".")[1]), tensor.shape[0])
        for name, tensor in tensors.items()
        if name.startswith("classif.") and name.endswith(".weight") and tensor.ndim == 3
    )
    is_head = all(number == 2 * i for i, (number, _) in enumerate(layers))
    return tuple(width for _, width in layers) if is_head else ()
