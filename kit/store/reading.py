"""Open files for reading: regular files only, because a pipe can block for ever."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Open a file to read its bytes. Symbolic links are followed.

    A named pipe would block until another program writes into it, and a device may never end.

    Raises:
        OSError: the file is missing or not readable; names the path.
        ValueError: the path is a folder, a named pipe, a device or a socket, or no file name.
    """
    if "\0" in os.fspath(path):
        raise ValueError(f"{os.fspath(path)!r}: this is no file name, it has a zero byte")
    _check_kind(path, os.stat(path).st_mode)
    # Without O_NONBLOCK this would wait, if a pipe took the place of the file after the check.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_kind(path, os.fstat(file.fileno()).st_mode)
    except ValueError:
        file.close()
        raise
    return file


def read_regular(path: str | os.PathLike) -> bytes:
    """Read a whole file; raises the errors of `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def _check_kind(path: str | os.PathLike, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise ValueError(f"{Path(path)}: expected a regular file, this is {kind}")
