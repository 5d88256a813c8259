"""List the runs of an ablation: its axes, and the configuration of every combination."""

import difflib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from kit.demo import DemoConfig, config_of_plain, plain_config
from kit.student.presets import config_from_plain, config_to_plain, preset

# Settings that came later than stored runs. At these values they are no part of a run's key.
LATER = {
    "distill.moment_step": 1,
    "distill.balance": 0.0,
    "distill.class_token": 0.0,
    "sweeps": 0,
}
WHOLE = ("student", "teacher")  # a value that is a text names all settings of one at once


@dataclass(frozen=True)
class Run:
    """One run of an ablation.

    Attributes:
        changes: the value of every axis, by the name of its setting.
        config: the whole configuration.
        is_base: whether all values are those of the base configuration.
    """

    changes: dict[str, Any]
    config: DemoConfig
    is_base: bool

    @property
    def key(self) -> str:
        """Identifies the configuration: the same settings, seed included, have the same key."""
        plain = plain_config(self.config)
        for name, value in LATER.items():
            *folders, last = name.split(".")
            place = plain[folders[0]] if folders else plain
            if place[last] == value:
                del place[last]
        text = json.dumps(plain, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def grid(
    base: DemoConfig, axes: Mapping[str, Sequence], repeats: int, one_at_a_time: bool = False
) -> list[Run]:
    """All combinations of the axes' values, each with `repeats` seeds; those of the base first.

    Args:
        base: the configuration that the others are compared with; it is a part of every grid.
        axes: values by setting. A setting is named as in run.json, e.g. "student.width"; the last
            part is enough where it is unique. "student" and "teacher" take names of presets.
        repeats: number of seeds; seed r of a run is the base's `distill.seed` plus r.
        one_at_a_time: change one axis at a time, and leave the others as in the base.

    Raises:
        ValueError: an unknown or ambiguous setting, an axis without values, a value of another type
            or out of its range; names the setting.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    plain = plain_config(base)
    names = {setting_named(name, plain): list(values) for name, values in axes.items()}
    if empty := [name for name, values in names.items() if not values]:
        raise ValueError(f"the axis {empty[0]!r} has no values")
    if "distill.seed" in names:
        raise ValueError("distill.seed is no axis: repeats runs every setting with several seeds")
    found = {base: {name: "base" if name in WHOLE else _get(plain, name) for name in names}}
    for changes in _combinations(names, one_at_a_time):
        # The words of the axes win over those of the base, e.g. the name of a preset.
        found[_configured(plain, changes, type(base))] = {**found[base], **changes}
    return [
        Run(changes, _with_seed(config, r), config == base)
        for config, changes in found.items()
        for r in range(repeats)
    ]


def _combinations(axes: Mapping[str, Sequence], one_at_a_time: bool) -> Iterator[dict[str, Any]]:
    if one_at_a_time:
        yield from ({name: value} for name, values in axes.items() for value in values)
        return
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def setting_named(name: str, plain: Mapping) -> str:
    """The full name of a setting, e.g. "distill.loss" for "loss".

    Raises:
        ValueError: there is no such setting (suggests the most similar one), or there are several.
    """
    known = [*_names(plain), *WHOLE]
    found = [each for each in known if each == name] or [
        each for each in known if each.split(".")[-1] == name
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"the setting {name!r} is ambiguous: choose one of {', '.join(found)}")
    short = {each.split(".")[-1]: each for each in known}
    similar = difflib.get_close_matches(name, [*known, *short], 1)
    advice = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known)}"
    raise ValueError(f"there is no setting {name!r}; {advice}")


def _names(plain: Mapping, before: str = "") -> list[str]:
    names = []
    for name, value in plain.items():
        if isinstance(value, Mapping):
            names += _names(value, f"{before}{name}.")
        else:
            names.append(before + name)
    return names


def _get(plain: Mapping, name: str) -> Any:
    for part in name.split("."):
        plain = plain[part]
    return plain


def _configured(plain: Mapping, changes: Mapping[str, Any], kind: type[DemoConfig]) -> DemoConfig:
    values = deepcopy(dict(plain))
    for name in sorted(changes, key=lambda name: name.count(".")):  # "student" before its parts
        value = changes[name]
        if name == "student" and isinstance(value, str):
            inputs = config_from_plain(values["student"]).inputs
            value = config_to_plain(replace(preset(value), inputs=inputs))
        elif name == "teacher" and isinstance(value, str):
            value = {"name": value}
        *folders, last = name.split(".")
        place = values
        for folder in folders:
            place = place[folder]
        place[last] = value
    text = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    try:
        return config_of_plain(values, kind=kind)
    except ValueError as error:
        raise ValueError(f"{text}: {error}") from error


def _with_seed(config: DemoConfig, more: int) -> DemoConfig:
    return replace(config, distill=replace(config.distill, seed=config.distill.seed + more))
