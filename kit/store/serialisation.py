"""What goes into files and comes out of them, as bytes and plain values; no file is touched here.

JSON from configurations and tensors, safetensors with a JSON header, checksum lines as `sha256sum`
writes them, and model plus optimizer as one flat set of tensors. `kit.store` puts them on disk.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor


def to_plain(value: Any, where: str = "value") -> Any:
    """The same value in JSON's types.

    Dataclasses become objects, paths, devices and dtypes text, tensors and arrays numbers or lists;
    NaN and the infinities, which JSON does not have, become None.

    Raises:
        TypeError: something in it has no such form; `where` names the place.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_plain(getattr(value, name), f"{where}.{name}") for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Tensor | np.ndarray | np.generic):
        return to_plain(value.tolist(), where)
    if isinstance(value, os.PathLike | torch.device | torch.dtype):
        return str(value)
    raise TypeError(f"{where} is a {type(value).__name__}, which has no form in JSON")


def to_json(value: Any, indent: int | None = None) -> str:
    """`to_plain(value)` as JSON text with sorted keys: equal values give equal text."""
    return json.dumps(to_plain(value), indent=indent, sort_keys=True, allow_nan=False)


def parse_json_lines(data: bytes) -> list[dict]:
    """One row per line; a half-written last line is left out.

    Raises:
        ValueError: a line before it is not JSON; says which.
    """
    rows = []
    for number, line in enumerate(b"".join(split_tail(data)).splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"line {number}: expected JSON ({error})") from error
    return rows


def split_tail(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and what follows the last line break if it is a whole row, else nothing."""
    end = data.rfind(b"\n") + 1
    try:
        json.loads(data[end:])
    except ValueError:
        return data[:end], b""
    return data[:end], data[end:]


def pack_tensors(tensors: Mapping[str, Tensor], meta: Mapping | None = None) -> bytes:
    """Tensors by name (views, shared and non-contiguous ones too) as one safetensors file.

    `meta` stands as JSON in the header. Equal input gives equal bytes.
    """
    plain, storages = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
    # One entry only: safetensors writes several in random order.
    return safetensors.torch.save(plain, {"meta": to_json(meta or {})})


def unpack_tensors(data: bytes) -> tuple[dict[str, Tensor], dict]:
    """Tensors and meta of `pack_tensors`; of another safetensors file, its header texts as meta.

    Raises:
        ValueError: not safetensors (a pickle, half a download); says what it looks like. Nothing
            in it is executed.
    """
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise ValueError(
            f"expected a whole safetensors file: {_looks_like(data)} ({error}). Nothing in it was "
            "executed. Download again, or convert weights you trust: "
            "save_tensors(new, torch.load(old, weights_only=True))"
        ) from error
    length = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return tensors, json.loads(texts["meta"]) if set(texts) == {"meta"} else texts


def _looks_like(data: bytes) -> str:
    known = {
        b"PK": "it begins like a zip, which torch.save writes around a pickle",
        b"\x80": "it begins like a pickle",
        b"version https://git-lfs": "it is a Git LFS pointer, `git lfs pull` fetches the file",
        b"<": "it begins like a web page",
    }
    for start, words in known.items():
        if data.startswith(start):
            return words
    return f"these {len(data):,} bytes stop early or never were one"


def sha256(data: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def checksum_lines(digests: Sequence[str], name: str) -> bytes:
    """One line per digest for the file `name`, as `sha256sum` writes them."""
    return b"".join(digest.encode() + b"  " + os.fsencode(name) + b"\n" for digest in digests)


def parse_checksum_lines(lines: bytes, name: str) -> list[str]:
    """The digests listed for the file `name`; strict, so that damage does not pass.

    Raises:
        ValueError: anything but the output of `checksum_lines`.
    """
    digests = [found.decode() for found in re.findall(rb"^[0-9a-f]{64}", lines, re.MULTILINE)]
    if not digests or lines != checksum_lines(digests, name):
        raise ValueError(
            f"damaged, or written for a file of another name; expected lines '<sha256>  {name}'. "
            f"If you trust the file: sha256sum {name} > {name}.sha256"
        )
    return digests


@dataclass(frozen=True)
class Checkpoint:
    """A training run at one moment.

    Attributes:
        step: optimizer steps done.
        model: the model's state, for `model.load_state_dict`.
        optimizer: per parameter name, its tensors (AdamW: exp_avg, exp_avg_sq, step).
        groups: the optimizer's parameter groups: settings, and under "names" whose they are.
        meta: what the caller added.
    """

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, dict[str, Any]]
    groups: list[dict]
    meta: dict

    def restore_optimizer(self, optimizer: torch.optim.Optimizer, names: Sequence[str]) -> None:
        """Put the optimizer's state and settings into a fresh one.

        Args:
            optimizer: with the same parameters in the same groups, in any order within a group.
            names: its parameters' names, in its order.

        Raises:
            ValueError: the parameters are not those of the checkpoint; names them.
        """
        fresh = optimizer.state_dict()
        here = [sorted(group) for group in _names_of_groups(fresh, names)]
        there = [sorted(group["names"]) for group in self.groups]
        if here != there:
            odd = set(sum(here, [])) ^ set(sum(there, []))
            raise ValueError(
                f"the optimizer's parameters are not the checkpoint's: {sorted(odd)[:6] or there} "
                "differ. Was it made with another model or other parameter groups?"
            )
        groups = [
            {**_settings(saved), "params": group["params"]}
            for saved, group in zip(self.groups, fresh["param_groups"], strict=True)
        ]
        state = {i: self.optimizer[name] for i, name in enumerate(names) if name in self.optimizer}
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def pack_checkpoint(
    step: int,
    model_state: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    names: Sequence[str],
    meta: Mapping | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """One flat set of tensors and a header for `pack_tensors`: "model.<name>" and
    "optimizer.<parameter>.<what>"; `names` are those of the optimizer's parameters, in its order.
    """
    state = optimizer.state_dict()
    groups = [
        {**{key: value for key, value in group.items() if key != "params"}, "names": members}
        for group, members in zip(
            state["param_groups"], _names_of_groups(state, names), strict=True
        )
    ]
    tensors = {f"model.{name}": tensor for name, tensor in model_state.items()}
    numbers = {}
    for i, values in state["state"].items():
        for what, value in values.items():
            place = tensors if isinstance(value, Tensor) else numbers
            place[f"optimizer.{names[i]}.{what}"] = value
    header = {"step": step, "groups": groups, "numbers": numbers, "meta": dict(meta or {})}
    return tensors, to_plain(header, "checkpoint")


def unpack_checkpoint(tensors: Mapping[str, Tensor], header: Mapping) -> Checkpoint:
    """The inverse of `pack_checkpoint`.

    Raises:
        ValueError: the file holds tensors, but not a checkpoint.
    """
    if not {"step", "groups", "numbers", "meta"} <= set(header):
        raise ValueError(f"expected a checkpoint, its header holds only {sorted(header)}")
    model, optimizer = {}, {}
    for key, value in [*tensors.items(), *header["numbers"].items()]:
        kind, _, name = key.partition(".")
        if kind == "model":
            model[name] = value
        else:
            parameter, _, what = name.rpartition(".")
            optimizer.setdefault(parameter, {})[what] = value
    return Checkpoint(header["step"], model, optimizer, header["groups"], header["meta"])


def _names_of_groups(state: Mapping, names: Sequence[str]) -> list[list[str]]:
    count = sum(len(group["params"]) for group in state["param_groups"])
    if count != len(names) or len(set(names)) != count:
        raise ValueError(
            f"expected one name for each of the optimizer's {count} parameters, "
            f"got {len(set(names))} different ones in {len(names)}"
        )
    return [[names[i] for i in group["params"]] for group in state["param_groups"]]


def _settings(saved: Mapping) -> dict:
    """A group's settings as the optimizer had them: JSON made lists of its tuples (betas)."""
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in saved.items()
        if key != "names"
    }
