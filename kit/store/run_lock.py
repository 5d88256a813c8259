"""The lock on the folder of a run: only one run at a time writes into it."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from kit.store.files import AnyPath, read_json, write_errors, write_json

RUN_LOCK = ".kit-run-lock"  # locked while a run goes on; the system frees it when the run dies
OWNER = ".kit-run-owner.json"  # who holds the lock
WORKERS_END = 30  # seconds: the worker processes of a killed run end by themselves before

_held: dict[Path, int] = {}  # folders locked by this process, and the thread that did it


@contextmanager
def lock_run(folder: AnyPath) -> Iterator[None]:
    """Keep other runs out of a folder while a block runs; the folder is made if necessary.

    The thread that holds the lock may take it again. The lock of a process that was killed is no
    obstacle.

    Raises:
        OSError: the folder is not writable; names it.
        ValueError: another run holds the lock; names its process, host and start.
    """
    folder = Path(folder).resolve()
    if _held.get(folder) == threading.get_ident():
        yield
        return
    lock = _acquired(folder)
    _held[folder] = threading.get_ident()
    try:
        write_json(folder / OWNER, _this_process())
        yield
    finally:
        del _held[folder]
        with suppress(OSError):
            (folder / OWNER).unlink()
        lock.release()


def _acquired(folder: Path) -> FileLock:
    lock = FileLock(folder / RUN_LOCK, timeout=0)
    began = time.monotonic()
    while True:
        try:
            with write_errors(folder / RUN_LOCK):
                folder.mkdir(parents=True, exist_ok=True)
                lock.acquire()
            return lock
        except Timeout:
            owner = _owner(folder)
            if not _is_dead(owner) or time.monotonic() - began > WORKERS_END:
                raise ValueError(_refusal(folder, owner)) from None
        time.sleep(0.2)  # the workers of a dead process still hold its lock


def _this_process() -> dict:
    return {
        "pid": os.getpid(),
        "created": psutil.Process().create_time(),
        "host": socket.gethostname(),
        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _owner(folder: Path) -> dict:
    """Read who holds the lock: host and process; empty if this is not known."""
    with suppress(ValueError, OSError):
        owner = read_json(folder / OWNER)
        if isinstance(owner, dict):
            return owner
    return {}


def _is_dead(owner: dict) -> bool:
    """Whether the holder was a process of this host that has ended."""
    if owner.get("host") != socket.gethostname():
        return False
    try:
        return psutil.Process(owner["pid"]).create_time() - owner["created"] > 1  # another one
    except psutil.NoSuchProcess:
        return True
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False


def _refusal(folder: Path, owner: dict) -> str:
    who = "another run"
    if owner:
        who = "process {pid} on {host}, since {since}".format_map(
            {name: owner.get(name, "?") for name in ("pid", "host", "since")}
        )
    return (
        f"{folder}: in use by {who}. Two runs in one folder would mix their results. Wait for the "
        "other one, stop it, or choose another folder"
    )
