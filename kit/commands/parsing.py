"""Read the options of a command with tyro, from the dataclass of its settings."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import tyro

from kit import store
from kit.commands.files import (
    Discover,
    Evaluate,
    Export,
    Features,
    ImportCheckpoint,
    TeacherFeatures,
)
from kit.commands.learning import Ablate, Demo, Distill, Pretrain
from kit.commands.tools import Bench, Cache, Cost, Doctor, Figures, Gallery, InitRecording, Street
from kit.demo import LearnConfig, config_of_plain
from kit.distill.losses import LOSSES, needs
from kit.distill.recipes import RECIPES, recipe
from kit.distill.settings import DistillConfig
from kit.student.presets import preset
from kit.teacher.presets import TeacherConfig

SHORTHANDS = (
    "Three more options choose many settings at once: --student NAME (a preset such as wi-12-128 "
    "or minkunet-18), --teacher NAME (such as dinov2_vits14), and --config FILE (run.json of an "
    "earlier run, to repeat it; or scalr or scalr-plus, the published recipes). --data A B mixes "
    "several data sets. The options below change single settings."
)


@runtime_checkable
class Command(Protocol):
    """The parsed options of a command, which can be run."""

    def run(self) -> None:
        """Run the command and print its results."""


CLASSES: dict[str, type[Command]] = {
    "demo": Demo,
    "distill": Distill,
    "ablate": Ablate,
    "features": Features,
    "evaluate": Evaluate,
    "discover": Discover,
    "teacher-features": TeacherFeatures,
    "cost": Cost,
    "doctor": Doctor,
    "street": Street,
    "pretrain": Pretrain,
    "import-checkpoint": ImportCheckpoint,
    "export": Export,
    "init-recording": InitRecording,
    "bench": Bench,
    "figures": Figures,
    "gallery": Gallery,
    "cache": Cache,
}


def parse(name: str, arguments: Sequence[str], description: str = "") -> Command:
    """Read a command's options.

    Raises:
        SystemExit: --help was asked for, or an option is unknown or malformed; this is printed.
        ValueError: a setting out of its range.
    """
    command, default = CLASSES[name], None
    if command in (Demo, Distill):
        config, arguments = _starting_point(command().config, arguments)
        default = replace(command(), config=config)
        description = f"{description} {SHORTHANDS}"
    prog = f"python -m kit {name}"
    parsed = tyro.cli(
        command, args=list(arguments), default=default, prog=prog, description=description
    )
    if command in (Demo, Distill):
        _refuse_unused(parsed.config.distill, _names(arguments))
    return parsed


def _names(arguments: Sequence[str]) -> set[str]:
    """The options that are given, without their values."""
    return {each.split("=")[0].replace("_", "-") for each in arguments if each.startswith("--")}


def _refuse_unused(config: DistillConfig, given: set[str]) -> None:
    """Raise ValueError for an option that other settings make useless."""
    for option, wanted in {"--superpixels": "superpixels", "--moment-step": "moments"}.items():
        if option in given and wanted not in needs(config.loss):
            users = ", ".join(name for name in LOSSES if wanted in needs(name))
            raise ValueError(
                f"{option} is not used by the loss {config.loss!r}: leave it out, or choose a loss "
                f"that uses it: {users}"
            )
    if "--min-lr" in given and config.schedule != "cosine":
        raise ValueError(
            f"--min-lr is not used by the schedule {config.schedule!r}, which ends at 0: leave it "
            "out, or choose --schedule cosine"
        )


def _starting_point(
    config: LearnConfig, arguments: Sequence[str]
) -> tuple[LearnConfig, Sequence[str]]:
    """Settings that --config, --student and --teacher name, and the remaining arguments."""
    shorthands = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("config", "student", "teacher"):
        shorthands.add_argument(f"--{option}")
    shorthands.add_argument("--data", nargs="+", action="extend")
    named, rest = shorthands.parse_known_args(arguments)
    if named.config is not None:
        if named.config in RECIPES:
            config = recipe(named.config, replace(config, init="none", minutes=None))
        else:
            config = read_config(named.config, type(config))
    if named.data is not None:
        config = replace(config, data=named.data[0] if len(named.data) == 1 else tuple(named.data))
    if named.student is not None:
        config = with_student(config, named.student)
    if named.teacher is not None:
        config = replace(config, teacher=TeacherConfig(named.teacher))
    given = _names(rest)
    if "--steps" in given and "--minutes" not in given:
        config = replace(config, minutes=None)  # as many steps as were asked for
    return config, rest


def with_student(config: LearnConfig, name: str) -> LearnConfig:
    """The same settings with another student, inputs as before.

    A student of another size cannot start from the one that comes with the kit. It starts from
    random weights, which need a higher learning rate.
    """
    student = replace(preset(name), inputs=config.student.inputs)
    if student == config.student or config.init == "none":
        return replace(config, student=student)
    distill = replace(config.distill, lr=LearnConfig().distill.lr)
    return replace(config, student=student, init="none", distill=distill)


def read_config(path: str | Path, kind: type[LearnConfig]) -> LearnConfig:
    """Read the settings of a run from its run.json, or from a file that holds nothing else.

    Raises:
        ValueError: not JSON, an unknown setting, or a value of another type; names the file.
    """
    content = store.read_json(path)
    values = content.get("settings", content) if isinstance(content, dict) else content
    return config_of_plain(values, str(path), kind)
