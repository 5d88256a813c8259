"""Run folders: a description of how a run was made, and checkpoints from which it continues."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kit.store.files import (
    AnyPath,
    load_tensors,
    named_in_errors,
    read_json,
    remove_leftovers,
    save_tensors,
    write_json,
)
from kit.store.machine import commit, describe_machine, versions
from kit.store.serialisation import to_plain

RUN = "run.json"
CHECKPOINT = "checkpoint.safetensors"


def describe_run(config: Any, seed: int | None, settings: Any = None) -> dict:
    """Describe how a run is made: settings, seed, versions, the kit's commit, machine, start (UTC).

    Args:
        config: everything that the result depends on; anything that `to_plain` takes.
        seed: the only seed of the run.
        settings: the settings of the command, kept under "settings" so that the command can be
            repeated; anything that `to_plain` takes. None: they are left out.
    """
    head, dirty = commit()
    run = {
        "config": to_plain(config, "config"),
        "seed": seed,
        "versions": versions(),
        "commit": head,
        "dirty": dirty,
        "machine": describe_machine(),
        "num_threads": torch.get_num_threads(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if settings is not None:
        run["settings"] = to_plain(settings, "settings")
    return run


def start_run(
    folder: AnyPath, config: Any, seed: int | None, resumed: bool = False, settings: Any = None
) -> dict:
    """Write `describe_run` to run.json in `folder`, with a checksum, and return it.

    If the run is resumed, the earlier content of run.json is kept in a list under "earlier", the
    oldest first.

    Raises:
        ValueError: the run.json of a resumed run is damaged; names the file.
    """
    path = Path(folder) / RUN
    run = describe_run(config, seed, settings)
    if resumed and path.exists():
        before = _earlier_description(path)
        run["earlier"] = [*before.pop("earlier", []), before]
    write_json(path, run, checksum=True)
    return run


def _earlier_description(path: Path) -> dict:
    try:
        before = read_json(path)
        if not isinstance(before, dict) or not isinstance(before.get("earlier", []), list):
            raise ValueError(f"{path}: expected the description of a run")
    except ValueError as error:
        raise ValueError(
            f"{error}. If you remove {path.name} and {path.name}.sha256, the run continues; only "
            "the description of how it was started is lost"
        ) from error
    return before


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run after some step.

    Attributes:
        step: optimizer steps done.
        model: the model's state, buffers included.
        optimizer: the optimizer's state by parameter name (AdamW: exp_avg, exp_avg_sq and step).
        groups: the settings of the optimizer's parameter groups, under "names" their parameters.
        meta: the value given to `save_checkpoint`.
    """

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, dict[str, Any]]
    groups: list[dict]
    meta: dict

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Load the state into a model and its optimizer.

        The next steps are then bit for bit those of a run that was never stopped. How the optimizer
        computes (fused, for each tensor) stays its own: the checkpoint may be of another device.

        Args:
            model: with the same parameters.
            optimizer: of that model, with the same parameter groups. The order of the parameters in
                a group does not matter.

        Raises:
            ValueError: the optimizer's parameters are not those of the checkpoint; names them.
            RuntimeError: the model's tensors are not those of the checkpoint.
        """
        from torch.distributed.checkpoint.state_dict import (  # takes a second to import
            StateDictOptions,
            set_optimizer_state_dict,
        )

        here = [sorted(names) for names in _names_of_groups(model, optimizer)]
        there = [sorted(group["names"]) for group in self.groups]
        if here != there:
            odd = sorted(set(sum(here, [])) ^ set(sum(there, [])))
            raise ValueError(
                f"the optimizer's parameters are not the checkpoint's: {odd[:6] or there} differ. "
                "Was it made with another model or other parameter groups?"
            )
        model.load_state_dict(self.model)
        groups = [
            {**_settings(group), **_implementation(own), "params": group["names"]}
            for group, own in zip(self.groups, optimizer.param_groups, strict=True)
        ]
        state = {"state": dict(self.optimizer), "param_groups": groups}
        # Not strict: a parameter that never had a gradient has no state.
        options = StateDictOptions(strict=False)
        set_optimizer_state_dict(model, optimizer, state, options=options)


def save_checkpoint(
    folder: AnyPath,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    meta: Mapping | None = None,
) -> None:
    """Write the state of a model and its optimizer to one file, which replaces the last checkpoint.

    Args:
        folder: of the run; the file in it is `CHECKPOINT`.
        step: optimizer steps done.
        model: whose parameters the optimizer has.
        optimizer: any torch optimizer whose state consists of tensors and numbers.
        meta: anything that `write_json` takes. Raises the errors of `write_bytes`.
    """
    path = Path(folder) / CHECKPOINT
    save_tensors(path, *_pack(step, model, optimizer, meta or {}))
    remove_leftovers(path.parent)


def load_checkpoint(folder: AnyPath) -> Checkpoint | None:
    """Read the checkpoint in the folder of a run; None if there is none yet.

    Raises:
        ValueError: the file is damaged, or is not a checkpoint; names the file.
    """
    path = Path(folder) / CHECKPOINT
    if not path.exists():
        return None
    content = load_tensors(path, require_checksum=True)
    with named_in_errors(path):
        return _unpack(*content)


def _pack(
    step: int, model: nn.Module, optimizer: torch.optim.Optimizer, meta: Mapping
) -> tuple[dict[str, Tensor], dict]:
    """Tensors "model.<name>" and "optimizer.<parameter>.<what>", and a header with the rest."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    state, groups = _state_by_name(model, optimizer)
    numbers = {}
    for name, values in state.items():
        for what, value in values.items():
            place = tensors if isinstance(value, Tensor) else numbers
            place[f"optimizer.{name}.{what}"] = value
    header = {"step": step, "groups": groups, "numbers": numbers, "meta": dict(meta)}
    return tensors, to_plain(header, "checkpoint")


def _unpack(tensors: Mapping[str, Tensor], header: Mapping) -> Checkpoint:
    """The inverse of `_pack`."""
    kinds = {"step": int, "groups": list, "numbers": dict, "meta": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(header.get(name), kind)]
    if not wrong:
        wrong += ["step"] * (isinstance(header["step"], bool) or header["step"] < 0)
        wrong += ["groups"] * (not all(_is_group(group) for group in header["groups"]))
    if wrong:
        raise ValueError(
            f"expected a checkpoint of a run; in its header, {', '.join(wrong)} is not what a "
            "checkpoint has. Was another file given this name?"
        )
    model, optimizer = {}, {}
    for key, value in [*tensors.items(), *header["numbers"].items()]:
        kind, _, name = key.partition(".")
        if kind == "model":
            model[name] = value
        else:
            parameter, _, what = name.rpartition(".")
            optimizer.setdefault(parameter, {})[what] = value
    return Checkpoint(header["step"], model, optimizer, header["groups"], header["meta"])


def _is_group(group: Any) -> bool:
    names = group.get("names") if isinstance(group, Mapping) else None
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _state_by_name(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, dict], list[dict]]:
    """The optimizer's state by parameter name, and its groups with their parameters' names."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

    _names_of_groups(model, optimizer)
    is_new = not optimizer.state
    found = get_optimizer_state_dict(model, optimizer)
    if is_new:  # torch then makes a step with zero gradients: undo it
        optimizer.state.clear()
        found["state"] = {}
    groups = [
        {
            **{key: value for key, value in group.items() if key != "params"},
            "names": group["params"],
        }
        for group in found["param_groups"]
    ]
    return found["state"], groups


def _names_of_groups(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[list[str]]:
    """The names of the optimizer's parameters, by group.

    Raises:
        ValueError: it has parameters that are not the model's.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = [group["params"] for group in optimizer.param_groups]
    unknown = sum(parameter not in names for group in groups for parameter in group)
    if unknown:
        raise ValueError(
            f"{unknown} of the optimizer's parameters are not parameters of the model. Was the "
            "optimizer made for another model?"
        )
    return [[names[parameter] for parameter in group] for group in groups]


def _implementation(group: Mapping) -> dict:
    """The settings of a group that choose between ways to compute the same."""
    return {key: group[key] for key in ("fused", "foreach", "capturable") if key in group}


def _settings(group: Mapping) -> dict:
    """The settings of a group, with the tuples (betas) that JSON turned into lists."""
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in group.items()
        if key != "names"
    }
