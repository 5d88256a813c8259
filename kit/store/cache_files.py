"""The files of a cache: what they hold, how large they are, and which ones to delete."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kit.store.files import LOCK, AnyPath, remove_leftovers, sidecar_of

UNITS = {"": 1, "B": 1} | {
    f"{letter}{binary}B": (1024 if binary else 1000) ** power
    for power, letter in enumerate("KMGT", start=1)
    for binary in ("", "I")
}
SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
# The first words of keys, and the kind of their entries; every other key is that of feature maps.
KINDS = {
    "superpixels ": "superpixels",
    "street words ": "text prompts",
    "words ": "text prompts",
    "street ": "street",
}
MAPS, DAMAGED = "feature maps", "damaged"


@dataclass(frozen=True)
class Entry:
    """One entry of a cache.

    Attributes:
        path: of its tensors; the checksum is beside it.
        bytes: of both files.
        used: time of the last use, in seconds since 1970.
    """

    path: Path
    bytes: int
    used: float

    @property
    def kind(self) -> str:
        """The kind of its content, by the key in its header, e.g. "street"."""
        try:
            with open(self.path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, 1 << 20)))
            key = json.loads(header["__metadata__"]["meta"])["key"]
            return next((kind for word, kind in KINDS.items() if key.startswith(word)), MAPS)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return DAMAGED

    def remove(self) -> None:
        """Delete it; other processes may do so at the same time."""
        for path in (self.path, sidecar_of(self.path)):
            with suppress(OSError):
                path.unlink()


def entries(folder: AnyPath) -> Iterator[Entry]:
    """All entries of a cache. Other files in its folder are never listed, and so never deleted."""
    for path in Path(folder).glob("[0-9a-f][0-9a-f]/*.safetensors"):
        if re.fullmatch("[0-9a-f]{62}", path.stem):
            with suppress(OSError):  # deleted in the meantime
                stat = path.stat()
                size = stat.st_size
                with suppress(OSError):
                    size += sidecar_of(path).stat().st_size
                yield Entry(path, size, stat.st_mtime)


def sizes_by_kind(folder: AnyPath) -> dict[str, tuple[int, int]]:
    """Number of entries and bytes by kind, the largest first."""
    found: dict[str, tuple[int, int]] = {}
    for entry in entries(folder):
        count, size = found.get(entry.kind, (0, 0))
        found[entry.kind] = count + 1, size + entry.bytes
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def remove_least_recent(folder: AnyPath, limit: int) -> int:
    """Delete entries until all together have at most `limit` bytes; returns the bytes deleted.

    Those that were not used for the longest time are deleted first.
    """
    there = sorted(entries(folder), key=lambda entry: entry.used)
    total = left = sum(entry.bytes for entry in there)
    for entry in there:
        if left <= limit:
            break
        entry.remove()
        left -= entry.bytes
    return total - left


def remove_older(folder: AnyPath, seconds: float) -> int:
    """Delete entries that were last used longer ago; returns the bytes deleted."""
    oldest = time.time() - seconds
    old = [entry for entry in entries(folder) if entry.used < oldest]
    for entry in old:
        entry.remove()
    return sum(entry.bytes for entry in old)


def remove_remains(folder: AnyPath) -> None:
    """Delete temporary files that killed processes left, checksums without data, empty folders."""
    for inner in Path(folder).glob("[0-9a-f][0-9a-f]"):
        remove_leftovers(inner)
        for checksum in inner.glob("*.safetensors.sha256"):
            if not checksum.with_suffix("").exists() and _is_old(checksum):
                with suppress(OSError):
                    checksum.unlink()
        names = {path.name for path in inner.iterdir()}
        if names <= {LOCK} and all(_is_old(inner / name) for name in names):
            with suppress(OSError):
                (inner / LOCK).unlink(missing_ok=True)
                inner.rmdir()


def _is_old(path: Path) -> bool:
    """Whether a file is so old that no process is about to write beside it."""
    with suppress(OSError):
        return time.time() - path.stat().st_mtime > 3600
    return False


def report(folder: AnyPath) -> str:
    """A table of the cache's entries by kind."""
    kinds = sizes_by_kind(folder)
    total = sum(count for count, _ in kinds.values()), sum(size for _, size in kinds.values())
    rows = [*kinds.items(), ("in all", total)]
    lines = [f"  {kind:14}{count:>9,} entries {_text(size):>11}" for kind, (count, size) in rows]
    return "\n".join([f"{folder} (KIT_CACHE can name another folder)", *lines])


def clean(
    folder: AnyPath, limit: int | None = None, older: float | None = None, everything: bool = False
) -> str:
    """Delete entries and what killed processes left; returns a sentence about it.

    Args:
        folder: of the cache.
        limit: bytes; the least recently used entries above it are deleted.
        older: seconds; entries that were last used longer ago are deleted.
        everything: delete all entries.
    """
    deleted = 0
    if older is not None:
        deleted += remove_older(folder, older)
    if everything or limit is not None:
        deleted += remove_least_recent(folder, 0 if everything else limit)
    remove_remains(folder)
    return f"deleted {_text(deleted)}"


def parse_size(text: str, name: str) -> int:
    """Read a size such as "20GB", "500 MB" or "2GiB".

    Raises:
        ValueError: it is no size; `name` says whose.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", text)
    if not found or found[2].upper() not in UNITS:
        raise ValueError(f"{name}: expected a size such as 20GB or 500MB, got {text!r}")
    return int(float(found[1]) * UNITS[found[2].upper()])


def parse_age(text: str, name: str) -> float:
    """Read an age such as "30d", "12h" or "2w"; returns seconds.

    Raises:
        ValueError: it is no age; `name` says whose.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", text)
    if not found:
        raise ValueError(f"{name}: expected an age such as 30d, 12h or 2w, got {text!r}")
    return float(found[1]) * SECONDS[found[2]]


def _text(size: int) -> str:
    """A number of bytes for people, e.g. "1.4 GB"."""
    for unit, letter in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {letter}"
    return f"{size} bytes"
