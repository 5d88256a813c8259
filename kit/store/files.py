"""Atomic, checksummed writes; nothing is unpickled. No other module of the kit writes files.

- A file is complete or absent. It is written under a temporary name and then renamed. If the
  process is killed at any moment, the old file or the new one is there. If the disk is full, the
  old file stays and the error says so.
- Tensors are stored as safetensors, with their sha256 in a second file (`sha256sum -c FILE.sha256`
  agrees), so that one changed byte is found.
- Several processes may write the same file.
- Nothing here needs a network.
"""

import errno
import json
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from kit.store.reading import read_regular
from kit.store.serialisation import (
    NO_LINES,
    checksum_lines,
    lines_digest,
    pack_tensors,
    parse_checksum_lines,
    parse_json_lines,
    row_line,
    sha256,
    split_tail,
    to_json,
    unpack_tensors,
)

AnyPath = str | os.PathLike
PART = ".kit-part"  # ending of a temporary name
LOCK = ".kit-lock"  # the lock file of a folder that holds checksummed files
LONGEST_NAME = 200  # bytes of a name without its ending; file systems allow 255 in all
LEFTOVER_SECONDS = 3600  # no write takes as long as this


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Write a file atomically; missing folders are created.

    If `path` is a symbolic link, the file that it points to is replaced. An existing file keeps its
    permissions; a new file gets those of the umask.

    Raises:
        OSError: the disk is full or the folder is not writable; names the path. The old file stays.
        ValueError: `path` is a folder or a device.
    """
    with _new_file(_target(path), data):
        pass


def write_text(path: AnyPath, text: str) -> None:
    """Write text as UTF-8; raises the errors of `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: AnyPath, value: Any, checksum: bool = False) -> None:
    """Write indented JSON with sorted keys; raises the errors of `write_bytes`.

    Args:
        path: of the file.
        value: dataclasses, paths and tensors are allowed too, and NaN becomes null (see
            `to_plain`).
        checksum: write the sha256 to `<path>.sha256` too. If that file is there, it is always kept
            up to date.
    """
    data, target = (to_json(value, indent=2) + "\n").encode(), _target(path)
    if checksum or sidecar_of(target).exists():
        with locked_folder(target.parent):
            _replace_pair(target, data)
    else:
        write_bytes(path, data)


def read_json(path: AnyPath) -> Any:
    """Read a JSON file, after its content was checked against `<path>.sha256` if that is there.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or is not JSON; names the file, the line and the column.
    """
    data = _read_checked(Path(path).resolve(), require_checksum=False)
    with named_in_errors(f"{path}: expected JSON. Was the file edited or cut short?"):
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("too many brackets inside each other") from error


def check_place(path: AnyPath) -> None:
    """Check that a file can be written later: that no folder or device has its name.

    Raises:
        OSError: its folder cannot be made; names it.
        ValueError: there is a folder or a device.
    """
    _target(path)


@contextmanager
def named_in_errors(path: AnyPath) -> Iterator[None]:
    """Put the name of a file before the message of a ValueError about its content."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def append_jsonl(path: AnyPath, row: Mapping) -> None:
    """Append one line of JSON, which ends in a digest of itself and of the lines before it.

    Only one process at a time may append to a file. If a crash left half a line at the end, it is
    removed first. Raises the errors of `write_bytes`; the lines that were there stay.
    """
    target = _target(path)
    with named_in_errors(path), write_errors(target), open(target, "a+b", buffering=0) as file:
        size = _complete_last_line(file)
        line = row_line(row, _digest_so_far(file))
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(size)
            raise


def read_jsonl(path: AnyPath) -> list[dict]:
    """Read the lines of `append_jsonl`, without an incomplete last one.

    Raises:
        ValueError: a line before the last is not JSON, or damaged; names the file and the line.
    """
    with named_in_errors(path):
        return parse_json_lines(_read(path))


def truncate_jsonl(path: AnyPath, keep: Callable[[dict], bool]) -> None:
    """Keep only the rows for which `keep(row)` is true, in one atomic write.

    A run that continues from a checkpoint removes the rows of later steps this way. If there is no
    file, nothing happens.
    """
    if Path(path).exists():
        lines = [b""]
        for row in filter(keep, read_jsonl(path)):
            lines.append(row_line(row, lines_digest(lines[-1]) or NO_LINES))
        write_bytes(path, b"".join(lines))


def save_tensors(
    path: AnyPath,
    tensors: Mapping[str, Tensor],
    meta: Mapping | None = None,
    *,
    unless: Callable[[], bool] | None = None,
) -> None:
    """Write tensors as safetensors, and their sha256 to `<path>.sha256`.

    At every moment the checksum file lists the digest of the data that is there. During the change
    it lists the old and the new digest, afterwards the new one only. Raises the errors of
    `write_bytes`.

    Args:
        path: of the .safetensors file.
        tensors: by name.
        meta: kept in the header; anything that `write_json` takes.
        unless: called while no other process can write in this folder; if it returns True, nothing
            is written.
    """
    data = pack_tensors(tensors, meta)
    target = _target(path)
    with locked_folder(target.parent):
        if unless is None or not unless():
            _replace_pair(target, data)


def load_tensors(path: AnyPath, require_checksum: bool = False) -> tuple[dict[str, Tensor], dict]:
    """Read a safetensors file, after its content was checked against `<path>.sha256`.

    Args:
        path: a file of `save_tensors`, or any safetensors file.
        require_checksum: refuse a file without a checksum. Published files have none.

    Returns:
        tensors: by name, on the CPU.
        meta: the value given to `save_tensors`; of another safetensors file, its header's texts.

    Raises:
        FileNotFoundError: there is no such file, or no checksum although it is required.
        ValueError: the file is damaged or is not safetensors (a pickle, an incomplete download).
            Nothing in it is executed.
    """
    data = _read_checked(Path(path).resolve(), require_checksum)
    with named_in_errors(path):
        return unpack_tensors(data)


def path_for(folder: AnyPath, name: str, ending: str) -> Path:
    """The path of the file in `folder` that is named after any text, e.g. a token of a data set.

    Letters and digits of any script and "-_.+=@ " stay, so that usual tokens are file names as they
    are. Everything else, and a dot at the beginning, is written as in a URL: "a/b" becomes "a%2Fb",
    and `urllib.parse.unquote` gives the text back. A name above `LONGEST_NAME` bytes is cut and
    ends in "~" and a digest. Different texts give different names.

    Args:
        folder: the file lies directly in it, whatever the text is.
        name: any text.
        ending: with its dot, e.g. ".safetensors".
    """
    kept = [each if each.isalnum() or each in "-_.+=@ " else _percent(each) for each in name]
    if name.startswith("."):
        kept[0] = _percent(".")
    stem = "".join(kept)
    if not 0 < len(stem.encode()) <= LONGEST_NAME:
        begin = stem.encode()[: LONGEST_NAME - 40].decode(errors="ignore")
        stem = f"{begin}~{sha256(name.encode(errors='surrogatepass'))[:32]}"
    return Path(folder) / f"{stem}{ending}"


def _percent(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode(errors="surrogatepass"))


def sha256_of(path: AnyPath) -> str:
    """The sha256 digest of a file, 64 hexadecimal digits."""
    return sha256(_read(path))


def remove_leftovers(folder: AnyPath) -> None:
    """Remove the temporary files that killed processes left in a folder more than an hour ago."""
    for part in Path(folder).glob(f".*{PART}"):
        with suppress(OSError):  # another process may remove it first
            if time.time() - part.stat().st_mtime > LEFTOVER_SECONDS:
                part.unlink()


def _target(path: AnyPath) -> Path:
    """The file to write, behind all symbolic links; its folder exists afterwards."""
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ValueError(f"{path}: expected the place of a file, there is a folder or a device")
    with write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


@contextmanager
def _new_file(target: Path, data: bytes) -> Iterator[None]:
    """Write `data` under a temporary name; rename it to `target` if the block succeeds."""
    part = target.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        with write_errors(target), open(part, "xb") as file:
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield
        with write_errors(target):
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def write_errors(target: Path) -> Iterator[None]:
    """Name the file, its state and what to try when the system refuses to write."""
    try:
        yield
    except Timeout:  # a lock that another process holds
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = "Free some space" if full else "Check the folder and its permissions"
        raise OSError(
            error.errno,
            f"{target}: could not be written ({error.strerror or error}); the old file is "
            f"unchanged. {advice}, or choose another folder",
        ) from error


def _complete_last_line(file) -> int:
    """Make an open file end with a line break; returns its size in bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    complete, tail = split_tail(file.readall())
    if tail:
        return size + file.write(b"\n")
    return file.truncate(len(complete))


def _digest_so_far(file) -> str:
    """The digest that the next line of an open file continues."""
    file.seek(max(file.seek(0, os.SEEK_END) - 64, 0))
    last = lines_digest(file.readall())
    if last is None:
        file.seek(0)
        last = sha256(file.readall())[:16]
    return last


def _replace_pair(target: Path, data: bytes) -> None:
    """Replace data and checksum so that they agree at every moment; the folder must be locked."""
    new, sidecar = sha256(data), sidecar_of(target)
    with _new_file(target, data):
        both = [*_digests_on_disk(target, sidecar), new]
        write_bytes(sidecar, checksum_lines(both, target.name))
    write_bytes(sidecar, checksum_lines([new], target.name))


def _read_checked(target: Path, require_checksum: bool) -> bytes:
    """Read data whose digest is listed in its checksum file.

    No lock is taken: a reader may have no right to create one.
    """
    sidecar = sidecar_of(target)
    while True:
        lines = _read_if_there(sidecar)
        data = _read(target)
        if lines is None and not require_checksum:
            return data
        with named_in_errors(sidecar):
            listed = parse_checksum_lines(lines, target.name) if lines is not None else []
        if sha256(data) in listed:
            return data
        if _read_if_there(sidecar) == lines:  # otherwise a process is writing: read again
            break
    trust = f"If you trust the file: sha256sum {target.name} > {sidecar.name}"
    if lines is None:
        raise FileNotFoundError(f"{sidecar}: expected the sha256 of {target.name} there. {trust}")
    raise ValueError(
        f"{target}: damaged, its sha256 is not the one in {sidecar.name}. Restore it from a copy, "
        f"or make it again. {trust}"
    )


def _digests_on_disk(target: Path, sidecar: Path) -> list[str]:
    """The digests in the checksum file; if there are none, the digest of the data itself."""
    try:
        return parse_checksum_lines(_read_if_there(sidecar) or b"", target.name)
    except ValueError:
        return [sha256_of(target)] if target.exists() else []


def sidecar_of(target: Path) -> Path:
    """The file that holds the sha256 of `target`."""
    return target.with_name(target.name + ".sha256")


def _read(path: AnyPath) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: there is no such file") from error


def _read_if_there(path: Path) -> bytes | None:
    with suppress(FileNotFoundError):
        return read_regular(path)
    return None


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes from replacing checksummed files in this folder."""
    lock = FileLock(folder / LOCK, timeout=600, poll_interval=0.01)
    with write_errors(folder / LOCK):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
