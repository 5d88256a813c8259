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

from kit.store.formats import format_of


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


# The end of a line of `row_line`. Changing any single byte of it leaves a text that still resembles
# it, so a damaged digest is not mistaken for a line without one.
_DIGEST = re.compile(rb'(?:, |(?<=\{))"digest": "([0-9a-f]{16})"\}\Z')
NO_LINES = hashlib.sha256().hexdigest()[:16]  # what the first line continues
_LIKE_DIGEST = b'"digest": "0000000000000000"}'


def row_line(row: Mapping, before: str) -> bytes:
    """Write a row as a line of JSON that ends in a digest of the row and of all lines before it.

    Args:
        row: names and values; the name "digest" is reserved.
        before: of the lines before it, see `lines_digest`.
    """
    if "digest" in row:
        raise ValueError("the name 'digest' of a row is reserved for its checksum")
    begin = to_json(row).encode()[:-1]
    comma = b", " if row else b""
    return b'%s%s"digest": "%s"}\n' % (begin, comma, _row_digest(begin, before).encode())


def _row_digest(begin: bytes, before: str) -> str:
    return sha256(before.encode() + begin)[:16]


def lines_digest(lines: bytes) -> str | None:
    """The digest in the last of these lines; None if it has none, as in files of earlier versions.

    The end of the last line, from about 60 bytes, is enough.
    """
    found = _DIGEST.search(lines.removesuffix(b"\n"))
    return found[1].decode() if found else None


def parse_json_lines(data: bytes) -> list[dict]:
    """Parse one row of JSON per line; an incomplete last line is left out.

    Every change of a single byte is found in the lines of `row_line`. Lines of earlier versions at
    the beginning have no digest; they are covered by that of the first line that has one.

    Raises:
        ValueError: a line before the last is not JSON, or damaged; gives its number.
    """
    rows, position, before = [], 0, None
    complete = b"".join(split_tail(data))
    for number, line in enumerate(complete.removesuffix(b"\n").split(b"\n"), start=1):
        if not complete:
            break
        digest = _DIGEST.search(line)
        if digest:
            begin = line[: digest.start()]
            expected = _row_digest(begin, before or sha256(data[:position])[:16])
            before = digest[1].decode()
            if before != expected:
                raise ValueError(f"line {number}, or one before it, is damaged: {_RESTORE}")
            row = _parse_row(begin + b"}", number)
        else:
            row = _parse_row(line, number)
            if before or "digest" in row or _resembles(line[-len(_LIKE_DIGEST) :], _LIKE_DIGEST):
                raise ValueError(f"line {number} is damaged, its digest is missing: {_RESTORE}")
        rows.append(row)
        position += len(line) + 1
    return rows


_RESTORE = "restore the file from a copy, or choose another folder"


def _parse_row(line: bytes, number: int) -> dict:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number}: expected JSON ({error}); {_RESTORE}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number}: expected names and values, got {line[:60]!r}")
    return row


def _resembles(text: bytes, pattern: bytes) -> bool:
    """Whether at most two bytes differ; any hexadecimal digit matches a zero."""
    digits = b"0123456789abcdef"
    wrong = sum(
        a != b and not (b == 48 and a in digits) for a, b in zip(text, pattern, strict=False)
    )
    return len(text) == len(pattern) and wrong <= 2


def split_tail(data: bytes) -> tuple[bytes, bytes]:
    """Split lines of JSON after the last line break.

    Returns:
        lines: the complete lines.
        tail: the bytes after them if they are a complete row, otherwise none.

    Raises:
        ValueError: the last line is complete, but another byte is in the place of its line break.
    """
    end = data.rfind(b"\n") + 1
    if _DIGEST.search(data[end:-1]):
        raise ValueError(f"its last byte is damaged: {_RESTORE}")
    try:
        json.loads(data[end:])
    except (ValueError, RecursionError):
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
        found = format_of(data)
        looks = f"it is {found}" if found else f"its {len(data):,} bytes are incomplete"
        raise ValueError(
            f"expected a complete safetensors file: {looks} ({error}). Nothing in it was executed. "
            "Download again, or convert weights you trust: "
            "save_tensors(new, torch.load(old, weights_only=True))"
        ) from error
    length = int.from_bytes(data[:8], "little")
    texts = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    meta = json.loads(texts["meta"]) if set(texts) == {"meta"} else texts
    if not isinstance(meta, dict):
        raise ValueError(f"its header's meta: expected names and values, got {texts['meta'][:60]}")
    return tensors, meta


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
