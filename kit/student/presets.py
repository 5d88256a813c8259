"""Students by name: the one table of presets, and `build_student`."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from importlib import import_module
from typing import Any

import torch

from kit.store.plain import from_plain
from kit.student.minkunet.config import MinkUNetConfig
from kit.student.student import Student, StudentConfig
from kit.student.waffleiron.config import WaffleIronConfig

# Sources: WI-48-* of WaffleIron (arXiv:2301.10100) and ScaLR (arXiv:2310.17504); Res16UNet-18 and
# -34C of MinkowskiNet (arXiv:1904.08755).
PRESETS: dict[str, StudentConfig] = {
    "wi-6-64": WaffleIronConfig(depth=6, width=64),
    "wi-6-128": WaffleIronConfig(depth=6, width=128),
    "wi-12-128": WaffleIronConfig(depth=12, width=128),
    "wi-48-256": WaffleIronConfig(depth=48, width=256),
    "wi-48-384": WaffleIronConfig(depth=48, width=384),
    "wi-48-768": WaffleIronConfig(depth=48, width=768),
    "wi-48-768-plus": WaffleIronConfig(
        head=(2048, 1024), activation="gelu", drop_path=0.2, checkpointing=True
    ),
    "minkunet-18": MinkUNetConfig(depth=18),
    "minkunet-34": MinkUNetConfig(depth=34),
    "minkunet-34-cylinder": MinkUNetConfig(depth=34, cylindrical=True, grid="sensor"),
}


def preset(name: str) -> StudentConfig:
    """Look up a preset by its name; dashes may be left out.

    Raises:
        ValueError: no such preset; lists them.
    """
    by_short_name = {known.replace("-", ""): config for known, config in PRESETS.items()}
    config = by_short_name.get(name.replace("-", "").lower())
    if config is None:
        raise ValueError(f"no student {name!r}; there are {', '.join(PRESETS)}")
    return config


def build_student(
    student: str | StudentConfig, teacher_dim: int, *, seed: int = 0, **changes
) -> Student:
    """Build a student with random weights, ready to be distilled.

    Args:
        student: a name from `PRESETS`, or the settings themselves.
        teacher_dim: channels D of the teacher, which the distillation head predicts.
        seed: of the initial weights; the global random state does not change.
        changes: settings that differ from the preset's, e.g. width=256; None keeps the preset's.

    Raises:
        ValueError: no such preset, or a setting that this kind of student does not have.
    """
    config = preset(student) if isinstance(student, str) else student
    changes = {name: value for name, value in changes.items() if value is not None}
    names = [field.name for field in fields(config)]
    if unknown := [name for name in changes if name not in names]:
        raise ValueError(
            f"{type(config).__name__} has no setting {', '.join(unknown)}; it has "
            f"{', '.join(names)}"
        )
    config = replace(config, **changes)
    config = replace(config, head=(*config.head[:-1], teacher_dim))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return student_from_config(config)


def student_from_config(config: StudentConfig) -> Student:
    """Build a student from its settings, with weights from the global random state."""
    module, _, name = config.network.partition(":")
    return getattr(import_module(module), name)(config)


def config_to_plain(config: StudentConfig) -> dict[str, Any]:
    """Settings as plain values for JSON, with the kind of student under "type"."""
    return {**asdict(config), "type": _kind(type(config))}


def config_from_plain(values: Any, where: str = "student") -> StudentConfig:
    """Settings from plain values, the inverse of `config_to_plain`.

    Args:
        values: as read from JSON. Without "type" they are a WaffleIron's.
        where: names the values in messages, e.g. a file.

    Raises:
        ValueError: a kind of student that no preset has, or settings that it does not have.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected names and values, got {type(values).__name__}")
    values = dict(values)
    kind = values.pop("type", "WaffleIron")
    kinds = {_kind(type(config)): type(config) for config in PRESETS.values()}
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(
            f"{where}: no preset is a student of the kind {str(kind)[:60]!r}, there are "
            f"{', '.join(kinds)}; add your own to kit.student.presets.PRESETS"
        )
    return from_plain(kinds[kind], values, where)


def _kind(config_class: type[StudentConfig]) -> str:
    """The name of the network's class."""
    return config_class.network.rpartition(":")[2]
