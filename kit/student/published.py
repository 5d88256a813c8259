"""Import published checkpoints: `python -m kit import-checkpoint FILE`.

A checkpoint is found under any key of the file and under any prefix, such as `module.` of
DistributedDataParallel, Lightning's `student.` and the `_orig_mod.` of torch.compile, if only one
network of a kind in `FAMILIES` is there. Each family infers the settings from names and shapes, and
gives its tensors the kit's names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from kit.store import read_torch_file
from kit.store.state_dict import (
    check_values,
    misfits,
    prefix_of,
    some,
    state_dicts_in,
    without_wrappers,
)
from kit.student.checkpoints import probe_file, save_probe, save_student
from kit.student.converted import Converted, PublishedFile
from kit.student.minkunet.config import MinkUNetConfig
from kit.student.minkunet.published import SLidR, SuperFlow
from kit.student.presets import student_from_config
from kit.student.scans import InputConfig
from kit.student.student import Student
from kit.student.waffleiron.published import Published as PublishedWaffleIron


class Family(Protocol):
    """Published checkpoints of one kind.

    Attributes:
        NAME: for messages.
        KEYS: of the saved dictionary; the first one that holds such a network is taken.
        ANCHORS: names that only this network has.
        BESIDE: prefixes of tensors that lie beside the network and belong to it, and their names.
    """

    NAME: str
    KEYS: tuple[str, ...]
    ANCHORS: tuple[str, ...]
    BESIDE: dict[str, str]

    def convert(
        self,
        tensors: Mapping[str, Tensor],
        where: str | Path,
        activation: str | None,
        inputs: InputConfig | None,
    ) -> Converted:
        """Convert tensors of the family to the kit's names; arguments as in `import_checkpoint`."""


FAMILIES: tuple[type, ...] = (PublishedWaffleIron, SLidR, SuperFlow)


@dataclass(frozen=True)
class Imported:
    """A student read from a published checkpoint.

    Attributes:
        student: in eval mode.
        key: the key in the file under which it was found; "" if the file holds only the tensors.
        matched: names of the tensors that were loaded.
        left_out: names in the file that the student does not have.
        missing: names of the student that are not in the file; they keep their random values.
        probe: the classification head of BatchNorm and a linear layer, if the file has one.
    """

    student: Student
    key: str
    matched: list[str]
    left_out: list[str]
    missing: list[str]
    probe: nn.Sequential | None = None

    def __str__(self) -> str:
        config = self.student.config
        lines = [
            f"found under {self.key!r}: {_in_words(config)}, head {list(config.head)}",
            f"inputs (not in the file): {config.inputs}",
            f"{len(self.matched)} tensors matched",
        ]
        for names, words in ((self.left_out, "left out"), (self.missing, "missing, still random")):
            if names:
                more = ", ..." if len(names) > 6 else ""
                lines.append(f"{len(names)} {words}: {', '.join(names[:6])}{more}")
        if self.probe is not None:
            lines.append(f"a classification head of {self.probe[1].out_features} classes")
        return "\n".join(lines)


def _in_words(config) -> str:
    if isinstance(config, MinkUNetConfig):
        return f"MinkUNet-{config.depth}, widths {list(config.widths)}"
    return (
        f"WaffleIron, {config.depth} layers of {config.width} channels, {config.norm} norm, "
        f"{config.activation}"
    )


def import_checkpoint(
    path: str | Path,
    out: str | Path | None = None,
    *,
    activation: str | None = None,
    inputs: InputConfig | None = None,
    classes: Sequence[str] | None = None,
) -> Imported:
    """Read a published student and, if `out` is given, write it as a file of the kit.

    A classification head of BatchNorm and a linear layer is written beside `out`, see
    `probe_file`.

    Args:
        path: a .pth or .pt file, or a .tar.gz that holds one.
        out: the .safetensors file to write, for `load_student`.
        activation: "relu" or "gelu", which a WaffleIron's file does not say. None: it is inferred
            from the distillation head, and asked for where there is none.
        inputs: how scans are prepared, which the file does not say either. None: as in the
            publication.
        classes: names of the head's classes, which the file does not say; None: not known.

    Raises:
        ValueError: the file holds code, no student or several, weights that are not finite, or
            tensors whose shapes do not fit together; or `activation` must be given.
    """
    family, tensors, left_out, key = _find_student(_read(Path(path)), path)
    check_values(tensors, path)
    found = family.convert(PublishedFile(tensors, path, activation, inputs))
    with torch.device("meta"):  # nothing is allocated for names that do not fit together
        expected = student_from_config(found.config).state_dict()
    if wrong := list(misfits(found.tensors, expected)):
        raise ValueError(f"{path}: {len(wrong)} tensors do not fit: {some(wrong, 3)}")
    matched = {name: tensor for name, tensor in found.tensors.items() if name in expected}
    missing = [n for n in expected if n not in matched and not n.endswith("num_batches_tracked")]
    required = [name for name in missing if not name.startswith("classif")]
    if required:
        raise ValueError(
            f"{path}: {len(required)} tensors are missing: {some(required)}; found {some(tensors)}"
        )
    student = student_from_config(found.config).eval()
    student.load_state_dict(matched, strict=False)
    unknown = [name for name in found.tensors if name not in expected]
    if found.probe is not None and classes is not None:
        found.probe.class_names = tuple(classes)
    if out is not None:
        if found.probe is not None:  # first: where the student is, its probe is, too
            save_probe(found.probe, probe_file(out), source=Path(path).name)
        save_student(student, out, source=Path(path).name)
    left_out = unknown + found.left_out + left_out
    return Imported(student, key, list(matched), left_out, missing, found.probe)


def _read(path: Path) -> object:
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    return read_torch_file(path)


def _find_student(
    content: object, path: str | Path
) -> tuple[type, dict[str, Tensor], list[str], str]:
    """The family, its tensors by their own names, other names, and the key they were under."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected a dictionary of tensors, got {type(content).__name__}")
    states = {key: without_wrappers(each) for key, each in state_dicts_in(content).items()}
    students = {
        (family, key): prefix
        for family in FAMILIES
        for key, each in states.items()
        if (prefix := prefix_of(each, family.ANCHORS, path)) is not None
    }
    usual = [(f, k) for f in FAMILIES for k in f.KEYS if (f, k) in students]
    if not usual and len(students) != 1:
        listed = "; ".join(f"under {key!r}: {some(each, 3)}" for key, each in states.items())
        known = ", ".join(f"{family.NAME} ({family.ANCHORS[0]})" for family in FAMILIES)
        raise ValueError(
            f"{path}: expected one published student, alone or under one of "
            f"{', '.join(PublishedWaffleIron.KEYS)}; known by a tensor's name are {known}. Found "
            f"{len(students)}. Tensors in the file: {listed[:500] or 'none'}"
        )
    family, key = usual[0] if usual else next(iter(students))
    prefix, state = students[family, key], states[key]
    own = {name[len(prefix) :]: v for name, v in state.items() if name.startswith(prefix)}
    beside = {
        new + name.removeprefix(old): name
        for old, new in family.BESIDE.items()
        for name in state
        if name.startswith(old)
    }
    own |= {new: state[name] for new, name in beside.items()}
    taken = {*beside.values(), *(name for name in state if name.startswith(prefix))}
    return family, own, [name for name in state if name not in taken], key
