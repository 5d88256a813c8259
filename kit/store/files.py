"""The only file that writes. What is on disk is whole, checked, and never run.

- A file appears whole or not at all: written beside its place, then moved there. A process killed
  at any moment leaves the old file or the new one; a full disk leaves the old one and says so.
- Tensors are safetensors with their sha256 beside them (`sha256sum -c FILE.sha256` agrees), so one
  flipped byte is found. Nothing is unpickled.
- Several processes may write the same file or fill the same `FeatureCache`.
- Nothing here needs a network.
"""

import errno
import json
import os
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from kit.store import serialisation as formats
from kit.store.machine import describe_run
from kit.store.serialisation import Checkpoint

AnyPath = str | os.PathLike
PART = ".kit-part"  # ending of a file on its way to its place
LOCK = ".kit-lock"  # one per folder that holds checksummed files
CHECKPOINT = "checkpoint.safetensors"


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all; folders above it are made.

    A link is followed, an existing file keeps its permissions, a new one follows the umask.

    Raises:
        OSError: the disk is full or the folder is not writable; names the path, the old file stays.
        ValueError: `path` is a folder or a device.
    """
    with _new_file(_target(path), data):
        pass  # nothing else has to happen before it takes its place


def write_text(path: AnyPath, text: str) -> None:
    """Put `text` at `path` as UTF-8; errors as in `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: AnyPath, value: Any) -> None:
    """Put `value` at `path` as indented JSON with sorted keys; errors as in `write_bytes`.

    Takes dataclasses, paths and tensors too; NaN becomes null (`formats.to_plain`).
    """
    write_text(path, formats.to_json(value, indent=2) + "\n")


def read_json(path: AnyPath) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: it is not JSON; names the file, line and column.
    """
    with _named(f"{path}: expected JSON, was it edited or cut short?"):
        return json.loads(Path(path).read_bytes())


def _target(path: AnyPath) -> Path:
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"{path}: expected a place for a file, there is a folder or a device")
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


@contextmanager
def _new_file(target: Path, data: bytes) -> Iterator[None]:
    """Write `data` beside `target`; after the block, if that went well, move it there."""
    part = target.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        with _explained(target), open(part, "xb") as file:
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield
        with _explained(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _named(path: AnyPath) -> Iterator[None]:
    """Put the file's name before what is wrong with its content."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    """Name the file, its state and the way out when the system refuses to write."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "Free some space" if full else "Check the folder and its permissions"
        raise OSError(
            error.errno,
            f"{target}: could not be written ({error.strerror or error}); the old file is "
            f"unchanged. {advice}, or choose another folder",
        ) from error


def append_jsonl(path: AnyPath, row: Mapping) -> None:
    """Add one line of JSON, for one writer at a time; a half line left by a crash is removed first.

    Errors as in `write_bytes`; the lines before stay.
    """
    line = formats.to_json(row).encode() + b"\n"
    target = _target(path)
    with _explained(target), open(target, "a+b", buffering=0) as file:
        size = _heal_last_line(file)
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(size)
            raise


def read_jsonl(path: AnyPath) -> list[dict]:
    """Read the lines written by `append_jsonl`; a half-written last one is left out.

    Raises:
        ValueError: a line before the last is not JSON; names the file and the line.
    """
    with _named(path):
        return formats.parse_json_lines(Path(path).read_bytes())


def truncate_jsonl(path: AnyPath, keep: Callable[[dict], bool]) -> None:
    """Keep the rows for which `keep(row)` is true, in one step; a missing file stays missing.

    For resuming: rows of steps after the checkpoint go before these steps are made again.
    """
    if Path(path).exists():
        rows = [formats.to_json(row) + "\n" for row in read_jsonl(path) if keep(row)]
        write_text(path, "".join(rows))


def _heal_last_line(file) -> int:
    """Let the file end in a line break; returns its size in bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    whole, tail = formats.split_tail(file.readall())
    if tail:
        return size + file.write(b"\n")
    return file.truncate(len(whole))


def save_tensors(path: AnyPath, tensors: Mapping[str, Tensor], meta: Mapping | None = None) -> None:
    """Write tensors as safetensors and their sha256 beside them, in `<path>.sha256`.

    At every moment the checksum file lists the digest of the data that is there: while the data
    changes it lists the old and the new one, afterwards the new one alone. `meta` is anything
    `write_json` takes, kept in the header. Errors as in `write_bytes`.
    """
    data = formats.pack_tensors(tensors, meta)
    target = _target(path)
    with _locked(target.parent):
        _replace_pair(target, data)


def load_tensors(path: AnyPath, require_checksum: bool = False) -> tuple[dict[str, Tensor], dict]:
    """Read a safetensors file; its content is checked against `<path>.sha256` before it is used.

    Args:
        path: a file of `save_tensors`, or any safetensors file (then meta is its header's texts).
        require_checksum: refuse a file without a checksum. Published files come without one.

    Returns:
        tensors: by name, on the CPU.
        meta: what `save_tensors` was given.

    Raises:
        FileNotFoundError: no such file, or no checksum where one is required.
        ValueError: damaged, or not safetensors (a pickle, half a download). Nothing is executed.
    """
    data = _read_checked(Path(path).resolve(), require_checksum)
    with _named(path):
        return formats.unpack_tensors(data)


def sha256_of(path: AnyPath) -> str:
    """Digest of a file's bytes, 64 hexadecimal digits."""
    return formats.sha256(Path(path).read_bytes())


def _replace_pair(target: Path, data: bytes) -> None:
    """Replace data and checksum so that they agree at every moment; the folder must be locked."""
    new, sidecar = formats.sha256(data), _sidecar(target)
    with _new_file(target, data):
        both = [*_digests_on_disk(target, sidecar), new]
        write_bytes(sidecar, formats.checksum_lines(both, target.name))
    write_bytes(sidecar, formats.checksum_lines([new], target.name))


def _read_checked(target: Path, require_checksum: bool) -> bytes:
    """Read data that its checksum file lists. No lock: a reader may lack the right to make one."""
    sidecar = _sidecar(target)
    while True:
        lines = _read_if_there(sidecar)
        data = target.read_bytes()
        if lines is None and not require_checksum:
            return data
        with _named(sidecar):
            listed = formats.parse_checksum_lines(lines, target.name) if lines is not None else []
        if formats.sha256(data) in listed:
            return data
        if _read_if_there(sidecar) == lines:  # else a writer was at work: read again
            break
    trust = f"If you trust the file: sha256sum {target.name} > {sidecar.name}"
    if lines is None:
        raise FileNotFoundError(f"{sidecar}: expected the sha256 of {target.name} there. {trust}")
    raise ValueError(
        f"{target}: damaged, its sha256 is not the one in {sidecar.name}. Restore it from a copy, "
        f"or make it again. {trust}"
    )


def _digests_on_disk(target: Path, sidecar: Path) -> list[str]:
    """What the checksum file lists; the digest of the data itself where it lists nothing usable."""
    try:
        return formats.parse_checksum_lines(_read_if_there(sidecar) or b"", target.name)
    except ValueError:
        return [sha256_of(target)] if target.exists() else []


def _sidecar(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _read_if_there(path: Path) -> bytes | None:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from replacing checksummed files in this folder."""
    lock = FileLock(folder / LOCK, timeout=600, poll_interval=0.01)
    with _explained(folder / LOCK):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def default_cache_folder() -> Path:
    """Where features are cached: $KIT_CACHE, else a folder of the kit in the user's cache folder,
    which is $XDG_CACHE_HOME, else ~/Library/Caches on macOS and ~/.cache elsewhere.
    """
    if os.environ.get("KIT_CACHE"):
        return Path(os.environ["KIT_CACHE"]).expanduser()
    usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or usual) / "lidar-distillation-kit"


class FeatureCache:
    """Tensors by key on disk, filled by any number of processes; the first writer of a key wins.

    Args:
        folder: default `default_cache_folder()`. No size limit; deleting it is always safe.
    """

    def __init__(self, folder: AnyPath | None = None):
        self.folder = default_cache_folder() if folder is None else Path(folder)

    def get(self, key: str) -> dict[str, Tensor] | None:
        """The tensors stored under `key`, or None; a broken entry is none too, with a warning."""
        try:
            return self._read(key)
        except (ValueError, OSError) as error:
            warnings.warn(f"cache entry left out: {error}", stacklevel=2)
            return None

    def put(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store tensors under `key`, unless a whole entry is there already."""
        target = _target(self._path(key))
        data = formats.pack_tensors(tensors, {"key": key})
        with _locked(target.parent):
            with suppress(ValueError, OSError):  # a broken entry is replaced
                if self._read(key) is not None:
                    return
            _replace_pair(target, data)

    def get_or_compute(
        self, key: str, compute: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """What is stored under `key`; if nothing is, compute and store it first."""
        stored = self.get(key)
        if stored is None:
            self.put(key, computed := compute())
            stored = self.get(key) or dict(computed)  # another process may have been first
        return stored

    def has(self, key: str) -> bool:
        """Whether there is an entry; whether it is whole is not looked at."""
        return self._path(key).exists()

    def is_writable(self) -> bool:
        """Whether entries can be added; makes the folder if it can."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder.is_dir() and os.access(self.folder, os.W_OK)

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.safetensors"))

    def _path(self, key: str) -> Path:
        name = formats.sha256(key.encode(errors="surrogatepass"))
        return self.folder / name[:2] / f"{name[2:]}.safetensors"

    def _read(self, key: str) -> dict[str, Tensor] | None:
        path = self._path(key)
        if not path.exists():
            return None
        tensors, meta = load_tensors(path, require_checksum=True)
        if meta.get("key") != key:
            raise ValueError(f"{path}: expected the entry of {key!r}, it says {meta.get('key')!r}")
        return tensors


def start_run(folder: AnyPath, config: Any, seed: int | None, resumed: bool = False) -> dict:
    """Write `describe_run` to run.json in `folder` and return it.

    A resumed run keeps what run.json said before, in a list under "earlier", oldest first.
    """
    path = Path(folder) / "run.json"
    run = describe_run(config, seed)
    if resumed and path.exists():
        before = read_json(path)
        run["earlier"] = [*before.pop("earlier", []), before]
    write_json(path, run)
    return run


def save_checkpoint(
    folder: AnyPath,
    step: int,
    model_state: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    names: Sequence[str],
    meta: Mapping | None = None,
) -> None:
    """Write model and optimizer into one file, `checkpoint.safetensors`, in place of the last one.

    Args:
        step: optimizer steps done.
        model_state: `model.state_dict()`, buffers included.
        optimizer: any torch optimizer whose state is tensors and numbers.
        names: the names of its parameters, in its order.
        meta: anything `write_json` takes. Errors as in `write_bytes`.
    """
    path = Path(folder) / CHECKPOINT
    save_tensors(path, *formats.pack_checkpoint(step, model_state, optimizer, names, meta))
    _remove_leftovers(path.parent)


def load_checkpoint(folder: AnyPath) -> Checkpoint | None:
    """Read the checkpoint of a run's folder; None if there is none yet.

    Continue with `model.load_state_dict(checkpoint.model)` and
    `checkpoint.restore_optimizer(optimizer, names)`: the next steps are those of a run that was
    never stopped, bit for bit.

    Raises:
        ValueError: damaged, or not a checkpoint; names the file.
    """
    path = Path(folder) / CHECKPOINT
    if not path.exists():
        return None
    content = load_tensors(path, require_checksum=True)
    with _named(path):
        return formats.unpack_checkpoint(*content)


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left behind; an hour is longer than any write takes."""
    for part in folder.glob(f".*{PART}"):
        with suppress(OSError):  # another process may be faster
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()
