"""Serialisation; opens no file.

Values to JSON, rows to lines of JSON, tensors to safetensors with a JSON header, and digests to the
checksum lines of `sha256sum`; and back. `kit.store.files` writes and reads the files.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor


def to_plain(value: Any, where: str = "value") -> Any:
    """Convert a value to the types of JSON.

    Dataclasses become objects. Paths, devices and dtypes become text. Tensors and arrays become
    numbers or lists. NaN and the infinities become None, because JSON does not have them.

    Args:
        value: what to convert.
        where: names the value in messages, e.g. "config".

    Raises:
        TypeError: a part of the value cannot be converted; names its place.
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
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold")


def to_json(value: Any, indent: int | None = None) -> str:
    """Convert a value to JSON text with sorted keys; equal values give equal text."""
    return json.dumps(to_plain(value), indent=indent, sort_keys=True, allow_nan=False)


def parse_json_lines(data: bytes) -> list[dict]:
    """Parse one row of JSON per line; an incomplete last line is left out.

    Raises:
        ValueError: a line before the last is not JSON; gives its number.
    """
    rows = []
    for number, line in enumerate(b"".join(split_tail(data)).splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"line {number}: expected JSON ({error})") from error
    return rows


def split_tail(data: bytes) -> tuple[bytes, bytes]:
    """Split lines of JSON after the last line break.

    Returns:
        lines: the complete lines.
        tail: the bytes after them if they are a complete row, otherwise none.
    """
    end = data.rfind(b"\n") + 1
    try:
        json.loads(data[end:])
    except ValueError:
        return data[:end], b""
    return data[:end], data[end:]


def pack_tensors(tensors: Mapping[str, Tensor], meta: Mapping | None = None) -> bytes:
    """Convert tensors to the bytes of a safetensors file; equal input gives equal bytes.

    Args:
        tensors: by name; views, shared and non-contiguous tensors are allowed.
        meta: stored as JSON in the header.
    """
    plain, storages = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        plain[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
    # A single entry, because safetensors writes several in random order.
    return safetensors.torch.save(plain, {"meta": to_json(meta or {})})


def unpack_tensors(data: bytes) -> tuple[dict[str, Tensor], dict]:
    """Convert the bytes of a safetensors file to tensors; the inverse of `pack_tensors`.

    Returns:
        tensors: by name, on the CPU.
        meta: the value given to `pack_tensors`; of another safetensors file, its header's texts.

    Raises:
        ValueError: not safetensors (a pickle, an incomplete download); says what it looks like.
            Nothing in it is executed.
    """
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        looks = recognise(data) or f"these {len(data):,} bytes are incomplete or something else"
        raise ValueError(
            f"expected a complete safetensors file: {looks} ({error}). Nothing in it was executed. "
            "Download again, or convert weights you trust: "
            "save_tensors(new, torch.load(old, weights_only=True))"
        ) from error
    length = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return tensors, json.loads(texts["meta"]) if set(texts) == {"meta"} else texts


def recognise(data: bytes) -> str | None:
    """Say which other format the first bytes of a file look like; None if they are not known."""
    known = {
        b"PK": "it begins like a zip, which torch.save writes around a pickle",
        b"\x80": "it begins like a pickle",
        b"version https://git-lfs": "it is a Git LFS pointer, `git lfs pull` fetches the file",
        b"<": "it begins like a web page",
    }
    for start, words in known.items():
        if data.startswith(start):
            return words
    return None


def sha256(data: bytes) -> str:
    """The sha256 digest of bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def checksum_lines(digests: Sequence[str], name: str) -> bytes:
    """Write one line per digest for the file `name`, in the format of `sha256sum`."""
    return b"".join(digest.encode() + b"  " + os.fsencode(name) + b"\n" for digest in digests)


def parse_checksum_lines(lines: bytes, name: str) -> list[str]:
    """Read the digests of the file `name`; the inverse of `checksum_lines`.

    Raises:
        ValueError: the lines differ in any way from those of `checksum_lines`.
    """
    digests = [found.decode() for found in re.findall(rb"^[0-9a-f]{64}", lines, re.MULTILINE)]
    if not digests or lines != checksum_lines(digests, name):
        raise ValueError(
            f"damaged, or written for a file of another name; expected lines '<sha256>  {name}'. "
            f"If you trust the file: sha256sum {name} > {name}.sha256"
        )
    return digests
